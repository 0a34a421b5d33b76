"""What a walk is to read, and what it says after each page. Pure."""

from dataclasses import dataclass
from datetime import datetime

from logkeep.catalog.records import Suspect
from logkeep.records.windows import Window


@dataclass(frozen=True, slots=True)
class Stretch:
    """What is to be read: every record created after ``bottom`` (None: all of them) and not after ``top``.

    ``top`` None is the top of the listing; else about ``above`` rows are newer. ``why`` is for people.
    """

    top: datetime | None
    bottom: datetime | None
    above: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """What follows from a page.

    ``ask`` is the next window, None when the walk is over; ``why`` says why it is asked, or why the walk ends.
    ``stretch`` is the one that the page was read for; of it, everything newer than ``reached`` is read now (None:
    nothing new can be said). ``finished``: stretches that are read to their bottom; with ``at_end``, to the end of the
    listing. ``depth`` is about how many rows lie above ``reached``. ``unproven``: a step was taken without proof.
    ``error``: why the walk failed.
    """

    ask: Window | None
    why: str
    stretch: Stretch
    reached: datetime | None = None
    finished: tuple[Stretch, ...] = ()
    at_end: bool = False
    depth: int = 0
    unproven: bool = False
    suspects: tuple[Suspect, ...] = ()
    error: str = ""
