"""The pipeline from an event to a line."""

import asyncio
import io
import json
import logging
import re
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO, cast

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from logkeep.observe.logging import LogFormat, Redactor, bound, configure, redactor

log = structlog.stdlib.get_logger("logkeep.test")
FORGERY = "ok\n2025-01-01T00:00:00Z [info] all is well\r\x1b[2J\x1b[31m\x9b2J\u2028\u202e\ud800\x00"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class AsciiStream(io.TextIOWrapper):
    def __init__(self) -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding="ascii", newline="\n")


@pytest.fixture(autouse=True)
def logging_restored() -> Iterator[None]:
    """The process's logging is as before once the test is over."""
    root, own, settings = logging.getLogger(), logging.getLogger("logkeep"), structlog.get_config()
    handlers, levels = root.handlers[:], (root.level, own.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    own.setLevel(levels[1])
    logging.captureWarnings(capture=False)
    structlog.configure(**settings)


def alone(level: str, form: LogFormat, stream: io.TextIOBase) -> Redactor:
    """Set logging up as at the start of the program: no handler of pytest's, no secret of an earlier set-up."""
    logging.getLogger().handlers.clear()
    return configure(level, form, cast("TextIO", stream))


def events(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line, parse_constant=pytest.fail) for line in stream.getvalue().splitlines()]


def the_event(stream: io.StringIO) -> dict[str, Any]:
    (event,) = events(stream)
    return event


def test_away_from_a_terminal_an_event_is_one_json_object_with_its_facts() -> None:
    stream = io.StringIO()
    alone("info", "auto", stream)
    log.warning("listing_failed", account="main", 次數=3)
    event = the_event(stream)
    moment = datetime.fromisoformat(event.pop("timestamp"))
    assert abs(moment - datetime.now(UTC)) < timedelta(minutes=1)
    assert event == {
        "level": "warning",
        "logger": "logkeep.test",
        "event": "listing_failed",
        "account": "main",
        "次數": 3,
    }
    assert list(events(stream)[0])[:4] == ["timestamp", "level", "logger", "event"]


def test_on_a_terminal_an_event_is_a_line_for_people() -> None:
    stream = Terminal()
    alone("info", "auto", stream)
    log.info("poll_done", account="main", files=3)
    assert "\x1b[" in stream.getvalue()
    plain = re.sub(r"\x1b\[\d+m", "", stream.getvalue())
    assert re.fullmatch(r"\S+Z \[info +\] poll_done +\[logkeep\.test\] account=main files=3\n", plain)


def test_json_stays_json_on_a_terminal() -> None:
    stream = Terminal()
    alone("info", "json", stream)
    log.info("poll_done")
    assert the_event(stream)["event"] == "poll_done"


def test_the_console_has_no_colours_away_from_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream, wish in ((io.StringIO(), ""), (Terminal(), "1")):
        monkeypatch.setenv("NO_COLOR", wish)
        alone("info", "console", stream)
        log.info("poll_done")
        assert "poll_done" in stream.getvalue()
        assert "\x1b" not in stream.getvalue()


def test_without_a_stream_lines_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    log.info("poll_done")
    assert json.loads(capsys.readouterr().err)["event"] == "poll_done"


def test_the_level_holds_for_our_events() -> None:
    stream = io.StringIO()
    alone("warning", "json", stream)
    log.info("unseen")
    log.warning("seen")
    assert [event["event"] for event in events(stream)] == ["seen"]


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="LOUD"):
        configure("loud")


@pytest.mark.parametrize("name", ["aiohttp.server", "apscheduler.scheduler", "sqlalchemy.engine.Engine", "asyncio"])
def test_a_library_speaks_through_the_same_pipeline_from_warning_up(name: str) -> None:
    """Below that libraries print what must not be printed, such as rows and headers."""
    stream = io.StringIO()
    alone("debug", "json", stream).hide("hidden-secret")
    library = logging.getLogger(name)
    library.debug("row %s", "a")
    library.info("row %s", "b")
    with bound(run="r1"):
        library.warning("asked %s with %r", "https://h/p?sig=1", {"token": "hidden-secret"})
    event = the_event(stream)
    assert (event["logger"], event["level"], event["run"]) == (name, "warning", "r1")
    assert event["event"] == "asked https://h/p?[redacted] with {'token': '[redacted]'}"


def test_a_warning_of_python_becomes_an_event() -> None:
    stream = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        alone("info", "json", stream)
        warnings.warn("client_secret=abc is deprecated", DeprecationWarning, stacklevel=1)
    assert the_event(stream)["logger"] == "py.warnings"
    assert "client_secret=[redacted]" in the_event(stream)["event"]


def fail(secret: str) -> None:
    local = f"only here: {secret}"
    error = ValueError(f"refused\n{local[:4]} {secret}")
    error.add_note(f"note {secret}")
    raise ExceptionGroup("several", [error, OSError("access_token=abc")])


@pytest.mark.parametrize("form", ["json", "console"])
def test_an_exception_is_told_without_locals_and_secrets(form: LogFormat) -> None:
    stream = io.StringIO()
    alone("info", form, stream).hide("hidden-secret")
    try:
        fail("hidden-secret")
    except ExceptionGroup:
        log.exception("pass_failed")
    text = stream.getvalue()
    assert "hidden-secret" not in text
    assert "only here" not in text
    for wanted in ("several (2 sub-exceptions)", r"refused\nonly [redacted]", "note [redacted]", "=[redacted]"):
        assert wanted in text
    assert (" in fail\n" if form == "console" else '"name": "fail"') in text


@pytest.mark.parametrize("form", ["json", "console"])
def test_nobody_outside_can_forge_a_line_or_drive_the_terminal(form: LogFormat) -> None:
    stream = io.StringIO()
    alone("info", form, stream)
    log.info("row_read", file_name=FORGERY, nested=[{FORGERY: FORGERY}], **{FORGERY: 1})
    logging.getLogger("aiohttp").warning("bad request: %s", FORGERY)
    lines = stream.getvalue().split("\n")
    assert [line[:4] for line in lines] == [lines[0][:4], lines[1][:4], ""]
    assert lines[0][:4] in ('{"ti', f"{datetime.now(UTC):%Y}")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e\ud800]", stream.getvalue())


def test_json_brings_odd_characters_back_unharmed() -> None:
    stream = io.StringIO()
    alone("info", "json", stream)
    log.info("row_read", name=FORGERY + "\U000e0001 中文")
    assert the_event(stream)["name"] == FORGERY + "\U000e0001 中文"
    assert "中文" in stream.getvalue()


def test_a_forged_traceback_on_the_console_stays_indented() -> None:
    stream = io.StringIO()
    alone("info", "console", stream)
    log.error("pass_failed", exc_info=ValueError(FORGERY))
    log.error("odd_fact", exception=FORGERY)
    first, *rest = [line for line in stream.getvalue().splitlines() if "odd_fact" not in line]
    assert "pass_failed" in first
    assert len(rest) == 2
    assert all(line.startswith("    ") for line in rest)


class Broken:
    def __str__(self) -> str:
        raise RuntimeError("hidden-secret")

    __repr__ = __str__


class BrokenError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("hidden-secret")


@pytest.mark.parametrize("form", ["json", "console"])
def test_an_event_that_cannot_be_formatted_is_named_and_the_program_goes_on(form: LogFormat) -> None:
    stream = io.StringIO()
    alone("info", form, stream).hide("hidden-secret")
    log.info("odd_fact", fact=Broken(), error=BrokenError())
    log.error("odd_error", exc_info=BrokenError())
    log.error("odd_info", exc_info=object())
    logging.getLogger("aiohttp").warning("%s and %s", *["only one"])
    logging.getLogger("aiohttp").warning("%s", Broken())
    log.info("still_here")
    text = stream.getvalue()
    assert text.count('"event": "event_unspeakable"') == 2
    assert '"origin": "aiohttp"' in text
    assert "odd_fact" in text
    assert "still_here" in text
    assert "hidden-secret" not in text


def test_a_stream_that_takes_nothing_does_not_end_the_program() -> None:
    stream = io.StringIO()
    alone("info", "json", stream)
    stream.close()
    log.info("unseen")
    (handler,) = logging.getLogger().handlers
    assert vars(handler)["lost"] == 1


def test_a_stream_that_knows_only_ascii_gets_escapes() -> None:
    stream = AsciiStream()
    alone("info", "console", stream)
    log.info("row_read", name="中")
    assert b"name=\\u4e2d" in stream.bytes.getvalue()


async def test_bound_facts_follow_the_tasks_started_inside_and_end_with_it() -> None:
    stream = io.StringIO()
    alone("info", "json", stream)

    async def work(name: str) -> None:
        await asyncio.sleep(0)
        log.info(name)

    async with asyncio.TaskGroup() as group:
        with bound(run="r1", account="main"):
            group.create_task(work("inside"))
        group.create_task(work("outside"))
    facts = {event["event"]: (event.get("run"), event.get("account")) for event in events(stream)}
    assert facts == {"inside": ("r1", "main"), "outside": (None, None)}


def test_a_second_set_up_replaces_the_first_and_remembers_its_secrets() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure("info", "json", first).hide("hidden-secret")
    configure("info", "json", second)
    redactor().hide("other-secret")
    log.info("told", fact="hidden-secret other-secret")
    assert first.getvalue() == ""
    assert the_event(second)["fact"] == "[redacted] [redacted]"


def test_without_a_set_up_hiding_is_allowed() -> None:
    redactor().hide("hidden-secret")
    assert redactor().text("hidden-secret") == "hidden-secret"


def refuse(text: str) -> None:
    try:
        int(text + "x")
    except ValueError as error:
        error.add_note(text)
        raise KeyError(text) from error


words = st.text(st.characters() | st.sampled_from("\\%\"' {}:,=ab1"), max_size=12)
secrets = words.filter(lambda text: len(text) >= 6) | st.sampled_from(
    ["redact", "timestamp", '", "ev', "123456", "\n    a=b"]
)


@pytest.mark.parametrize("form", ["json", "console"])
@given(secret=secrets, around=words, data=st.data())
def test_no_line_at_debug_level_holds_a_hidden_secret(
    form: LogFormat, secret: str, around: str, data: st.DataObject
) -> None:
    """Wherever it is put: event, key, value, nesting, exception, cause, note, library's arguments."""
    stream = Terminal()
    alone("debug", form, stream).hide(secret)
    loaded = around + secret + around
    fact = data.draw(
        st.sampled_from(
            [loaded, [loaded], {loaded: {loaded}}, loaded.encode("utf-8", "surrogatepass"), ValueError(loaded)]
        )
    )
    log.debug(loaded, fact=fact, **{loaded: 1})
    logging.getLogger("aiohttp").error("%s %r", loaded, fact)
    try:
        refuse(loaded)
    except KeyError as error:
        log.exception("failed", error=error)
    assert stream.getvalue().count("\n") >= 3
    assert secret not in stream.getvalue()
