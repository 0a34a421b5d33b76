"""123pan's direct-link offline logs."""
