"""The command line: one command a module, and nothing but talking to people and exit codes."""

from logkeep.cli.app import main

__all__ = ["main"]
