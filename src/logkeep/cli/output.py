"""How commands talk: JSON for programs, tables and colours for people, plain lines where nobody watches."""

import json
import sys
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console

from logkeep.model import CHINA

STATE_STYLES = {
    "open": "cyan",
    "pending": "yellow",
    "failed": "red",
    "complete": "green",
    "empty": "bright_black",
    "lost": "bold white on red",
    "acknowledged": "magenta",
    "orphaned": "yellow",
    "backfilling": "yellow",
    "covered": "green",
    "suspect": "bold yellow",
    "damaged": "bold white on red",
}


def console() -> Console:
    """Standard output; no colours and no wrapping surprises where it is not a terminal."""
    wide = None if sys.stdout.isatty() else 200
    return Console(file=sys.stdout, width=wide, highlight=False, soft_wrap=wide is not None)


def print_json(value: Any) -> None:
    """One JSON document on standard output, out at once: a reader who has left is noticed here, not at the exit."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")
    sys.stdout.flush()


def china(moment: datetime | None) -> str:
    """A moment as the vendor's clock shows it."""
    return "-" if moment is None else f"{moment.astimezone(CHINA):%Y-%m-%d %H:%M}"


def left(until: datetime | None, now: datetime) -> str:
    """Time left, in the two largest units."""
    if until is None:
        return "-"
    if until <= now:
        return "over"
    return duration(until - now)


def duration(span: timedelta) -> str:
    """A length of time in its two largest units."""
    minutes = int(span.total_seconds()) // 60
    days, hours = divmod(minutes // 60, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min"


def size(count_bytes: float) -> str:
    """Bytes in binary units."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count_bytes < 1024:  # noqa: PLR2004 - binary units
            return f"{count_bytes:.0f} {unit}" if unit == "B" else f"{count_bytes:.1f} {unit}"
        count_bytes /= 1024
    return f"{count_bytes:.1f} TiB"
