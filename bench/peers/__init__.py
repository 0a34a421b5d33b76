"""What logkeep is measured against."""
