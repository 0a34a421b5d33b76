"""``python -m logkeep``."""

from logkeep.cli import main

main()
