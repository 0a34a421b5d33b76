"""What is known: accounts, tokens, hours with their evidence, files with their versions, runs."""

from logkeep.catalog.catalog import Catalog

__all__ = ["Catalog"]
