"""The documentation says what the program does: events, JSON, commands, exit codes, states, reasons, links."""

import ast
import json
import re
import shlex
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from logkeep.catalog import Catalog
from logkeep.catalog.records import HourRecord, Intent, TroubleKind
from logkeep.cli.app import _DEFECT, app
from logkeep.cli.status import _MARKS
from logkeep.config.sources import CONFIG_VARIABLE, known_variables
from logkeep.errors import LogkeepError
from logkeep.files.attempt import _WORDS
from logkeep.files.plan import Why
from logkeep.files.run import FRESH_ADDRESSES
from logkeep.model import AccountKey, Hour, HourState, StreamState
from logkeep.simulator import OMIT, LexiangCloud
from logkeep.vendors.settings import Settings
from program import Installation, installation

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "logkeep"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
READMES = [page for page in PAGES if page.name.startswith("README") and page.parent == ROOT]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OUTSIDE = {"https://keepachangelog.com/en/1.1.0/", "https://semver.org/spec/v2.0.0.html"}


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def section(text: str, title: str) -> str:
    """What stands under a heading of the second level."""
    (found,) = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return str(found)


def rows(text: str) -> list[list[str]]:
    r"""The cells of every table row, heads left out; ``\|`` is no border."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    heads = {text.splitlines()[at - 1] for at, line in enumerate(text.splitlines()) if line.startswith("|---")}
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines if line not in heads]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


# --- events


@dataclass(frozen=True, order=True)
class Event:
    """One event: where it comes from, how loud it is, and every field it may have."""

    logger: str
    name: str
    level: str
    fields: frozenset[str]


LEVELS = {level: level for level in ("debug", "info", "warning", "error", "critical")} | {"exception": "error"}


class Module:
    """The events that one module logs, read from its source."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tree = ast.parse(path.read_text(encoding="utf-8"))
        made = [call for call in self.calls(self.tree) if ast.unparse(call.func).endswith("get_logger") and call.args]
        self.logger = ast.literal_eval(made[0].args[0]) if made else ""
        bound = [call for call in self.calls(self.tree) if ast.unparse(call.func) == "log.bind"]
        self.bound = {str(keyword.arg) for call in bound for keyword in call.keywords}

    def events(self) -> Iterator[Event]:
        for function in ast.walk(self.tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for call in self.calls(function):
                    yield from self._event(call, function)
        for told in ast.walk(self.tree):  # a line that is written by hand
            if isinstance(told, ast.Dict) and "event" in (names := keys(told)):
                facts = dict(zip(names, told.values, strict=True))
                name, level, logger = (ast.literal_eval(facts[key]) for key in ("event", "level", "logger"))
                yield Event(logger, name, level, frozenset(names) - {"timestamp", "event", "level", "logger"})

    def _event(self, call: ast.Call, function: ast.AST) -> Iterator[Event]:
        if not isinstance(call.func, ast.Attribute) or call.func.attr not in LEVELS:
            return
        speaker = ast.unparse(call.func.value)
        if speaker not in ("log", "self._log"):
            return
        level = LEVELS[call.func.attr]
        fields = {"exception"} if call.func.attr == "exception" else set()
        fields |= self.bound if speaker == "self._log" else set()
        for keyword in call.keywords:
            fields |= {keyword.arg} if keyword.arg else self._spread(keyword.value, function)
        for name, more in self._names(call.args[0]):
            yield Event(self.logger, name, level, frozenset(fields | more))

    def _names(self, said: ast.expr) -> Iterable[tuple[str, set[str]]]:
        """The event's name; where that is a variable, each key under which the module keeps a dictionary of facts."""
        if isinstance(said, ast.Constant):
            return [(str(said.value), set())]
        kept = [
            node for node in ast.walk(self.tree) if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)
        ]
        found = [
            (name, set(keys(node.value)))
            for node in kept
            for target in node.targets
            if isinstance(target, ast.Subscript) and isinstance(node.value, ast.Dict)
            for name in self._constants(target.slice)
        ]
        found += [
            (str(key.value), set(keys(facts)))
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Dict)
            for key, facts in zip(node.keys, node.values, strict=True)
            if isinstance(key, ast.Constant) and isinstance(facts, ast.Dict)
        ]
        assert found, f"{self.path}:{said.lineno}: what is the name of this event?"
        return found

    def _constants(self, node: ast.expr) -> Iterable[str]:
        """A constant, or every value of a variable that loops over constants."""
        if isinstance(node, ast.Constant):
            return [str(node.value)]
        return [
            str(part.value)
            for loop in ast.walk(self.tree)
            if isinstance(loop, ast.For) and isinstance(loop.target, ast.Tuple) and isinstance(loop.iter, ast.Tuple)
            for item in loop.iter.elts
            if isinstance(item, ast.Tuple)
            for target, part in zip(loop.target.elts, item.elts, strict=True)
            if ast.unparse(target) == ast.unparse(node) and isinstance(part, ast.Constant)
        ]

    def _spread(self, node: ast.expr, function: ast.AST) -> set[str]:
        """The keys of a dictionary that is handed over with ``**``."""
        match node:
            case ast.Dict():
                return set(keys(node))
            case ast.IfExp(body=one, orelse=other):
                return self._spread(one, function) | self._spread(other, function)
            case ast.DictComp(generators=[ast.comprehension(iter=ast.Tuple() as names)]):
                return set(ast.literal_eval(names))
            case ast.Name(id=name):
                given = [node for node in ast.walk(function) if isinstance(node, ast.Assign)]
                values = [node.value for node in given if ast.unparse(node.targets[0]) == name]
                assert values, f"{self.path}:{node.lineno}: what is in {name}?"
                return {key for value in values for key in self._spread(value, function)}
            case ast.Subscript():  # facts kept under the event's name: ``_names`` reads them
                return set()
        raise AssertionError(f"{self.path}:{node.lineno}: which fields are these?")

    @staticmethod
    def calls(node: ast.AST) -> list[ast.Call]:
        return [found for found in ast.walk(node) if isinstance(found, ast.Call)]


def keys(node: ast.Dict) -> list[str]:
    return [str(key.value) for key in node.keys if isinstance(key, ast.Constant)]


def logged() -> set[Event]:
    modules = [path for path in SOURCE.rglob("*.py") if "simulator" not in path.parts]
    found: dict[tuple[str, str, str], frozenset[str]] = {}
    for event in (event for path in modules for event in Module(path).events()):
        known = found.get((event.logger, event.name, event.level), frozenset())
        found[event.logger, event.name, event.level] = known | event.fields
    return {Event(*where, fields) for where, fields in found.items()}


def documented_events() -> set[Event]:
    text = read("docs/events.md")
    loggers = re.findall(r"^## (logkeep\.\w+)$", text, re.MULTILINE)
    return {
        Event(logger, quoted(name)[0], level, frozenset(quoted(fields)))
        for logger in loggers
        for name, level, fields, *_ in rows(section(text, logger))
    }


def test_every_event_is_documented_with_its_level_and_fields_and_no_other() -> None:
    assert sorted(logged()) == sorted(documented_events())


def test_every_event_has_a_meaning() -> None:
    assert [row[0] for row in rows(read("docs/events.md")) if len(row) != 5 or not row[3]] == []


# --- JSON

KINDS = {str: "text", bool: "boolean", int: "number", float: "number", dict: "object", list: "list", type(None): "null"}


VERBATIM = ("stories[].record.line.record", "stories[].record.line.included")
ODDITIES = {"future", "undated", "unreadable", "disorder", "drift"}


def fields_of(value: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """Every field of a document with its kind. Keys that are data are named by what they are."""
    if at:
        yield at, KINDS[type(value)]
    if isinstance(value, dict) and at not in VERBATIM:
        for key, item in value.items():
            name = key_of(key, value)
            yield from fields_of(item, f"{at}.{name}" if at else name)
    elif isinstance(value, list) and at not in VERBATIM:
        for item in value:
            yield from (found for found in fields_of(item, f"{at}[]") if found != (f"{at}[]", "object"))


def key_of(key: str, value: dict[str, Any]) -> str:
    if re.fullmatch(r"\d{10}", key):
        return "HOUR"
    if re.fullmatch(r"\d{4}-\d\d-\d\d|unknown", key):
        return "DAY"
    if set(value) == set(HourState):
        return "STATE"
    return "KIND" if set(value) <= ODDITIES else key


def kinds_of(documents: Iterable[Any]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for document in documents:
        for at, kind in fields_of(document):
            if not at.startswith("stories[].file."):  # documented as one of ``stories[].files[]``
                found.setdefault(at, set()).add(kind)
    return found


def documented_fields(title: str) -> dict[str, set[str]]:
    """The table of a section: the kinds that each field may have."""
    table = rows(section(read("docs/json.md"), title))
    return {quoted(field)[0]: set(re.findall("text|boolean|number|object|list|null", kind)) for field, kind, _ in table}


ODD, BARE = "f59de3063c9311e8b64995597300a871", "64d8df663c9211e8a6d56f2588dac9b6"
COMMANDS: dict[str, Callable[[Hour], list[list[str]]]] = {
    "`logkeep status --json`": lambda _: [["status"]],
    "`logkeep gaps --json`": lambda _: [["gaps"]],
    "`logkeep plan --json`": lambda _: [["plan"]],
    "`logkeep explain HOUR --json`": lambda now: [["explain", str(now + back)] for back in (-10, -5, -700, -800)],
    "`logkeep explain ID --json`": lambda _: [["explain", "1"], ["explain", ODD], ["explain", BARE]],
    "`logkeep check --json`": lambda _: [["check"], ["check", "--offline"]],
    "`logkeep verify --json`": lambda _: [["verify"]],
    "`logkeep rebuild --json`": lambda _: [["rebuild", "--replace"]],
}


async def eventful_records(home: Installation, cloud: LexiangCloud) -> None:
    """Two record streams: one in which everything happens, and one that has never been read."""
    account, untouched = cloud.add_account(), cloud.add_account("other")
    accounts = [
        {"name": name, "app_key": of.app_key, "app_secret": of.app_secret, "base_url": cloud.base_url}
        for name, of in (("hq", account), ("branch", untouched))
    ]
    home.environ["LOGKEEP_LEXIANG"] = json.dumps([{**known, "requests_per_second": 500} for known in accounts[:1]])
    cloud.per_page_cap = 50
    account.populate(120, days=3)
    account.add_record(datetime.now(UTC) + timedelta(days=1), record_id=ODD, owner_name="张三")
    account.add_record(record_id=BARE, owner_shape="null", target_shape="null", attributes={"created_at": "?"})
    assert "122 records archived" in (await home.run("sync", "lexiang")).out
    account.add_record(overrides={"id": OMIT})
    await home.run("sync", "lexiang")
    home.environ["LOGKEEP_LEXIANG"] = json.dumps([{**known, "requests_per_second": 500} for known in accounts])


async def eventful(home: Installation, cloud: LexiangCloud, now: Hour) -> None:
    """Make everything happen that a field of some output tells of; lost hours lie 700 and 800 hours back."""
    home.keys["span_hours"] = 6
    files = home.account.populate(40, 1)
    await home.watch(39)
    await eventful_records(home, cloud)
    assert (await home.run("sync", "pan123")).code == 1
    home.account.publish((now + -10).start, listed_size=77)
    home.account.publish((now + -5).start, overrides={"id": OMIT})
    await home.run("sync", "pan123")
    catalog, moment = Catalog(home.catalog), datetime.now(UTC)
    await catalog.open()
    accounts = {known.name: known for known in await catalog.accounts.all()}
    account, records = accounts["main"], accounts["hq"]
    lost = [HourRecord(now + back, lost_at=moment, refused_at=moment, lost_reason="gone") for back in (-700, -800)]
    await catalog.hours.save(account.account_id, lost)
    for known in (account, records):
        await catalog.accounts.trouble(known.account_id, TroubleKind.UNREACHABLE, "no answer", now=moment)
    await catalog.accounts.enrol([AccountKey("pan123", "old")], now=moment, watched_from=now)
    path = "pan123/main/date=2025-06-20/hour=15/12-202506201516.gz"
    file_id = next(str(file.file_id) for file in files if Hour.of(file.hour) == now + -10)
    flagged = Intent(account.account_id, file_id, 2, "x.part", path, "ab" * 32, 77, 77, ("size_differs",))
    await catalog.transfers.archived([flagged], now=moment)
    await catalog.close()
    segment = min(home.storage.glob("lexiang/hq/*/date=*/*.jsonl.gz"))
    segment.write_bytes(segment.read_bytes() + b"x")
    (home.storage / path).parent.mkdir(parents=True)
    (home.storage / path).write_bytes(b"no gzip")
    (home.storage / "notes.txt").write_text("mine", encoding="utf-8")
    acknowledged = await home.run("gaps", "--ack", "main", str(now + -800), "--reason", "disk full", "--by", "ops")
    assert acknowledged.code == 0


async def test_every_json_output_has_the_documented_fields_and_no_other(tmp_path: Path) -> None:
    """The table of each section is the program's output in an eventful life; its examples show every field of it."""
    async with installation(tmp_path) as home, LexiangCloud() as cloud:
        now = Hour.of(datetime.now(UTC))
        await eventful(home, cloud, now)
        for title, calls in COMMANDS.items():
            documents = [(await home.run(*call, "--json")).json for call in calls(now)]
            printed, table = kinds_of(documents), documented_fields(title)
            assert printed.keys() == table.keys(), title
            assert {field: kinds for field, kinds in printed.items() if not kinds <= table[field]} == {}, title


@pytest.mark.parametrize("title", COMMANDS)
def test_the_examples_of_json_show_every_field(title: str) -> None:
    blocks = FENCED.findall(section(read("docs/json.md"), title))
    examples, table = kinds_of(json.loads(body) for kind, body in blocks if kind == "json"), documented_fields(title)
    assert examples.keys() == table.keys()
    assert {field: kinds for field, kinds in examples.items() if not kinds <= table[field]} == {}


def test_every_command_with_json_has_its_section() -> None:
    with_json = {name for name, options in commands().items() if "--json" in options}
    titles = re.findall(r"^## `logkeep (\w+)", read("docs/json.md"), re.MULTILINE)
    assert set(titles) == with_json
    assert re.findall(r"^## (`logkeep .*`)$", read("docs/json.md"), re.MULTILINE) == list(COMMANDS)


# --- commands and exit codes


def commands() -> dict[str, set[str]]:
    """Every command and its options."""
    group: Any = get_command(app)
    return {
        name: {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
        for name, command in group.commands.items()
    }


@pytest.mark.parametrize("page", READMES, ids=lambda page: page.name)
def test_every_command_and_option_is_in_the_readme_and_no_other(page: Path) -> None:
    calls = [quoted(row[0])[0] for row in rows(page.read_text(encoding="utf-8")) if row[0].startswith("`logkeep ")]
    told: dict[str, set[str]] = {}
    for call in calls:
        told.setdefault(call.split()[1], set()).update(re.findall(r"--\w+", call))
    assert told == commands()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_call_of_the_program_that_a_page_shows_could_be_made(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    blocks = [body for kind, body in FENCED.findall(text) if kind in ("sh", "console")]
    calls = [line.removeprefix("$ ") for body in blocks for line in body.splitlines()]
    calls += [code for code in quoted(FENCED.sub("", text)) if code.startswith("logkeep ")]
    known = commands()
    for words in (shlex.split(call) for call in calls if call.startswith("logkeep ")):
        assert words[1] in known, words
        assert {word.strip("[]") for word in words[2:] if word.lstrip("[").startswith("--")} <= known[words[1]], words


def kinds_of_error(kind: type[LogkeepError] = LogkeepError) -> Iterator[type[LogkeepError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from kinds_of_error(narrower)


@pytest.mark.parametrize("page", [*READMES, ROOT / "docs" / "operations.md"], ids=lambda page: page.name)
def test_every_exit_code_is_documented(page: Path) -> None:
    codes = {0, *(kind.exit_code for kind in kinds_of_error())}
    told = {int(row[0]) for row in rows(page.read_text(encoding="utf-8")) if row[0].isdigit()}
    assert codes <= told
    assert told - codes <= {_DEFECT, 128 + signal.SIGTERM}


# --- states, reasons, settings


def test_every_state_is_in_the_ledger_s_page_with_its_mark() -> None:
    table = rows(section(read("docs/ledger.md"), "The seven states"))
    assert {quoted(state)[0]: quoted(mark)[0] for state, mark, _ in table} == {
        state.value: _MARKS[state] for state in HourState
    }


def test_every_state_of_a_record_stream_is_in_the_ledger_s_page() -> None:
    table = rows(section(read("docs/ledger.md"), "The four states of a record stream"))
    assert {quoted(state)[0] for state, _ in table} == set(StreamState)


def test_every_reason_to_read_a_stretch_is_in_the_ledger_s_page() -> None:
    """They are the constants among what the plan's functions say."""
    tree = ast.parse((SOURCE / "records" / "plan.py").read_text(encoding="utf-8"))
    texts = {
        node.value.rstrip(": ")
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and not node.value.endswith((".", ".\n"))
    }
    table = rows(section(read("docs/ledger.md"), "What is read of a stream, and why"))
    assert {row[0] for row in table} == {text for text in texts if re.fullmatch("[a-z0-9 ,]{4,}", text)}


def reasons_of_streams() -> Iterator[str]:
    """What a walk fails with and what is said of a gap; a blank stands for each fact in it."""
    for name, callee, place in (("walk", "self._fail", 0), ("report", "Gap", 4)):
        tree = ast.parse((SOURCE / "records" / f"{name}.py").read_text(encoding="utf-8"))
        said = [call.args[place] for call in Module.calls(tree) if ast.unparse(call.func) == callee]
        for text in said:
            if isinstance(text, ast.Constant | ast.JoinedStr):
                parts = text.values if isinstance(text, ast.JoinedStr) else [text]
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else " " for part in parts)


def test_every_reason_why_a_stream_is_not_covered_is_explained() -> None:
    table = rows(section(read("docs/operations.md"), "When a record stream is not covered"))
    explained = [re.sub("[`…]", "", reason).strip() for reason, *_ in table]
    told = list(reasons_of_streams())
    assert len(told) > 3
    assert [reason for reason in told if not any(part in reason for part in explained)] == []
    assert {"drift", "disorder", "unreadable"} <= set(explained)


def test_every_reason_to_list_is_in_the_ledger_s_page() -> None:
    table = rows(section(read("docs/ledger.md"), "What is asked, and why"))
    assert {row[0] for row in table} == {*(why.value for why in Why), FRESH_ADDRESSES}


def test_every_reason_of_a_failed_file_is_explained() -> None:
    source = [ast.parse(path.read_text(encoding="utf-8")) for path in (SOURCE / "files").glob("*.py")]
    calls = [call for tree in source for call in Module.calls(tree) if ast.unparse(call.func) == "FetchFailed"]
    words = {call.args[0].value for call in calls if call.args and isinstance(call.args[0], ast.Constant)}
    table = rows(section(read("docs/operations.md"), "When a file does not come"))
    assert {word for row in table for word in quoted(row[0])} == {*words, *_WORDS.values(), "size_differs"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_variable_that_a_page_names_exists(page: Path) -> None:
    named = set(re.findall(r"\bLOGKEEP_[A-Z0-9_]*[A-Z0-9]\b", page.read_text(encoding="utf-8")))
    assert named <= {*known_variables(Settings), CONFIG_VARIABLE}


def test_every_section_of_the_settings_is_introduced() -> None:
    told = {
        name.strip("[]") for row in rows(section(read("docs/configuration.md"), "The file")) for name in quoted(row[0])
    }
    assert told == set(Settings.model_fields)


# --- the pages themselves


def anchors(text: str) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", FENCED.sub("", page.read_text(encoding="utf-8"))):
        if link in OUTSIDE:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), link


def test_every_page_is_reached_from_the_index() -> None:
    linked = set(re.findall(r"\]\(([^)#]+)\)", read("docs/README.md")))
    pages = {str(page.relative_to(ROOT / "docs")) for page in PAGES if page.is_relative_to(ROOT / "docs")}
    assert {page for page in pages if not page.startswith("decisions/")} - {"README.md"} <= linked
    assert "decisions/README.md" in linked


def test_decisions_are_numbered_indexed_and_of_one_form() -> None:
    records = sorted(page for page in PAGES if re.match(r"\d{4}-", page.name))
    assert [page.name[:4] for page in records] == [f"{number:04}" for number in range(1, len(records) + 1)]
    index = re.findall(r"^- \[(\d{4})\]\((\S+)\): (.+)$", read("docs/decisions/README.md"), re.MULTILINE)
    assert [name for _, name, _ in index] == [page.name for page in records]
    for page, (number, _, title) in zip(records, index, strict=True):
        text = page.read_text(encoding="utf-8")
        assert text.startswith(f"# {number}: {title}\n")
        assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Context", "Choice", "What would change our mind"]


def test_every_make_target_is_introduced_to_contributors() -> None:
    (targets,) = re.findall(r"^\.PHONY: (.*)$", read("Makefile"), re.MULTILINE)
    assert {quoted(row[0])[0] for row in rows(read("CONTRIBUTING.md"))} == {f"make {name}" for name in targets.split()}
