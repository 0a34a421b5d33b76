"""Vendors that publish records: what a walk over pages proves, what is kept, and how it lies in the archive."""
