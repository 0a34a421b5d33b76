"""logkeep keeps the logs that vendors throw away, and proves that none is missing."""

__version__ = "0.1.0"
