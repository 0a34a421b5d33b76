"""Where the archive lies: the port and its adapters."""
