"""One pipeline for everything the program logs, its libraries included.

    event → facts of the context → logger, level, time → exception as data → redaction → JSON line or console line

Everything after the second arrow runs inside the handler, which lets no exception out: an event that cannot be
formatted becomes one line that says so, a line that cannot be written is counted and dropped. What comes after the
redaction adds nothing but punctuation, and the finished line is compared with the hidden secrets once more.

Libraries speak from WARNING up, whatever the level: SQLAlchemy, for one, prints rows at DEBUG.

Nobody outside can forge a line: each event is one line (a traceback on the console is indented), and control
characters, line separators and characters that turn the direction of writing appear as escapes.
"""

import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import structlog
from structlog.processors import ExceptionRenderer, TimeStamper
from structlog.stdlib import ProcessorFormatter
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict

from logkeep.observe.redaction import Redactor

__all__ = ["LogFormat", "Redactor", "bound", "configure", "redactor"]

LogFormat = Literal["auto", "json", "console"]
_FIRST = ("timestamp", "level", "logger", "event")
_FORGING = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def configure(level: str, format: LogFormat = "auto", stream: TextIO | None = None) -> Redactor:  # noqa: A002 - the setting's name
    """Set logging up for the whole process, in place of an earlier set-up.

    Args:
        level: ``debug``, ``info``, ``warning``, ``error`` or ``critical``: for logkeep's own events.
        format: ``auto`` is ``console`` on a terminal and ``json`` elsewhere.
        stream: Where lines go; standard error when omitted.

    Returns:
        The redactor in force; it still knows what an earlier set-up's was told to hide.

    Raises:
        ValueError: no such level.
    """
    target = sys.stderr if stream is None else stream
    terminal = target.isatty()
    on_console = format == "console" or (format == "auto" and terminal)
    hider = redactor()
    render = _console(colors=terminal and not os.environ.get("NO_COLOR")) if on_console else _json_line
    own = logging.getLogger("logkeep")
    own.setLevel(level.upper())
    _install(_Handler(target, hider, _formatter(hider, render)), max(own.level, logging.WARNING))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    return hider


def redactor() -> Redactor:
    """The redactor in force; before ``configure`` one that nobody consults."""
    return next((handler.redactor for handler in _ours()), None) or Redactor()


def bound(**facts: object) -> AbstractContextManager[None]:
    """Add facts, such as a run's id, to every event logged inside, in tasks started inside too."""
    return structlog.contextvars.bound_contextvars(**facts)


def _ours() -> Iterator["_Handler"]:
    return (handler for handler in logging.getLogger().handlers if isinstance(handler, _Handler))


def _install(handler: "_Handler", level: int) -> None:
    root = logging.getLogger()
    for former in list(_ours()):
        root.removeHandler(former)
    root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(capture=True)


Render = Callable[[object, str, EventDict], str]


def _formatter(hider: Redactor, render: Render) -> ProcessorFormatter:
    return ProcessorFormatter(
        foreign_pre_chain=[structlog.contextvars.merge_contextvars],
        processors=[
            structlog.stdlib.add_logger_name,
            structlog.stdlib.add_log_level,
            TimeStamper(fmt="iso", utc=True),
            ExceptionRenderer(ExceptionDictTransformer(show_locals=False, use_rich=False, max_frames=20)),
            ProcessorFormatter.remove_processors_meta,
            hider,
            lambda logger, method, event: hider.exact(render(logger, method, event)),
        ],
    )


class _Handler(logging.Handler):
    """Writes one line an event and lets nothing out; ``lost`` counts the lines the stream did not take."""

    def __init__(self, stream: TextIO, hider: Redactor, formatter: ProcessorFormatter) -> None:
        super().__init__()
        self.redactor = hider
        self.lost = 0
        self._stream = stream
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as error:  # noqa: BLE001 - an event that cannot be told must not end the program
            line = self.redactor.exact(_unspeakable(record, error))
        try:
            encoding = getattr(self._stream, "encoding", None) or "utf-8"
            self._stream.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # closed, full, or its reader has gone
            self.lost += 1


def _unspeakable(record: logging.LogRecord, error: Exception) -> str:
    """What can be said about an event without touching any of its facts."""
    facts = {
        "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "level": "error",
        "logger": "logkeep.observe",
        "event": "event_unspeakable",
        "origin": record.name,
        "line": record.lineno,
        "error": type(error).__name__,
    }
    return json.dumps(facts)


def _json_line(_logger: object, _method: str, event: EventDict) -> str:
    ordered = {key: event[key] for key in _FIRST if key in event} | dict(event)
    return _FORGING.sub(_json_escape, json.dumps(ordered, ensure_ascii=False, allow_nan=False))


def _json_escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _console(*, colors: bool) -> Render:
    renderer = structlog.dev.ConsoleRenderer(colors=colors)

    def render(logger: object, method: str, event: EventDict) -> str:
        trace = event.pop("exception", None)
        flat = {_printable(key): _printable(str(value)) for key, value in event.items()}
        if trace is not None:
            flat["exception"] = "\n".join(f"    {_printable(line)}" for line in _told(trace))
        return renderer(logger, method, flat)

    return render


def _printable(text: str) -> str:
    """The text on one line, harmless to a terminal."""
    return _FORGING.sub(lambda found: found[0].encode("unicode-escape").decode("ascii"), text)


def _told(trace: Any) -> Iterator[str]:
    """An exception's data as lines, newest exception first, as ``ExceptionDictTransformer`` lists them."""
    for stack in trace if isinstance(trace, list) else [trace]:
        if not isinstance(stack, Mapping):
            yield str(stack)
            continue
        yield f"{stack.get('exc_type')}: {stack.get('exc_value')}"
        yield from (f"  note: {note}" for note in stack.get("exc_notes") or ())
        for frame in stack.get("frames") or ():
            yield f"  {_place(frame)}"
        for member in stack.get("exceptions") or ():
            yield from (f"  | {line}" for line in _told(member))


def _place(frame: Any) -> str:
    return (
        f"{frame.get('filename')}:{frame.get('lineno')} in {frame.get('name')}"
        if isinstance(frame, dict)
        else str(frame)
    )
