"""``logkeep explain``: the whole story of one hour or one file."""

from typing import Annotated, Any

import typer
from rich.text import Text

from logkeep.catalog import Catalog
from logkeep.catalog.records import FileRecord, HourRecord, ListingRecord
from logkeep.cli.invocation import Beside, Invocation, Known, KnownStream, with_catalog
from logkeep.cli.output import STATE_STYLES, console, print_json
from logkeep.errors import UsageError
from logkeep.files.ledger import Judged, expires_at
from logkeep.model import Hour, Span, rfc3339
from logkeep.records.story import hour_story, record_story
from logkeep.store.local import LocalStore

NAME = "explain"


def command(
    context: typer.Context,
    what: Annotated[
        str, typer.Argument(metavar="HOUR|ID", help="An hour, YYYYMMDDHH (+08:00), or the id of a file or record.")
    ],
    account: Annotated[str | None, typer.Option(metavar="A", help="Only this account.")] = None,
    json: Annotated[bool, typer.Option("--json", help="For programs; see docs/json.md.")] = False,
) -> None:
    """Tell everything known of an hour, a file or a record: evidence, versions, failures, what the vendor changed."""
    invocation: Invocation = context.obj

    async def look(opened: Beside) -> list[dict[str, Any]]:
        chosen = opened.chosen(account)
        stories = [story for known in chosen.accounts for story in await _stories(opened, known, what)]
        stories += [story for known in chosen.streams for story in await _stream_stories(opened, known, what)]
        if not stories:
            raise UsageError(f"{what!r} is no hour (YYYYMMDDHH) and no id that is on record")
        return stories

    stories = with_catalog(invocation, look)
    if json:
        print_json({"stories": stories})
        return
    for story in stories:
        _show(story)


async def _stories(opened: Beside, known: Known, what: str) -> list[dict[str, Any]]:
    hour = _hour(what)
    stories = [] if hour is None else [await _hour_story(opened, known, hour)]
    file = await known.catalog.files.get(known.record.account_id, what)
    if file is not None:
        key = known.settings.key
        story = await _file_story(known.catalog, known.record.account_id, file)
        stories.append({"vendor": key.vendor, "account": key.name, "file": story})
    return stories


async def _stream_stories(opened: Beside, known: KnownStream, what: str) -> list[dict[str, Any]]:
    stream, stories = await known.stream(), list[dict[str, Any]]()
    if stream is None:
        return []
    store = LocalStore(opened.settings.storage.path, create=False)
    titles = {"vendor": known.settings.key.vendor, "account": known.settings.key.name}
    hour = _hour(what)
    if hour is not None:
        stories.append(titles | await hour_story(known.catalog, store, stream, hour))
    record = await record_story(known.catalog, store, stream, what)
    if record is not None:
        stories.append(titles | {"record": record})
    return stories


def _hour(text: str) -> Hour | None:
    try:
        return Hour.parse(text)
    except ValueError:
        return None


async def _hour_story(opened: Beside, known: Known, hour: Hour) -> dict[str, Any]:
    catalog, account_id, key = known.catalog, known.record.account_id, known.settings.key
    standing = await opened.standing(known)
    judged = next((judged for judged in standing.ledger if judged.hour == hour), None)
    kept = await catalog.hours.window(account_id, hour)
    record = judged.record if judged is not None else kept.get(hour)
    listings = await catalog.hours.listings_of(account_id, Span(hour, hour))
    files = await catalog.files.of_hour(account_id, hour)
    numbers = [listing.listing_id for listing in listings if listing.listing_id is not None]
    return {
        "vendor": key.vendor,
        "account": key.name,
        "hour": str(hour),
        "from": rfc3339(hour.start),
        "to": rfc3339(hour.end),
        "expires_at": rfc3339(expires_at(hour)),
        **_verdict(judged, record),
        "evidence": None if record is None else _evidence(record),
        "listings": [_listing(listing) for listing in listings],
        "files": [await _file_story(catalog, account_id, file) for file in files],
        "mutations": [
            {"at": rfc3339(at), "file_id": m.file_id, "kind": m.kind, "detail": m.detail}
            for at, m in await catalog.hours.mutations_of(account_id, hour)
        ],
        "unreadable_rows": await catalog.hours.unreadable(account_id, numbers),
    }


def _verdict(judged: Judged | None, record: HourRecord | None) -> dict[str, str]:
    if judged is not None:
        return {"state": judged.state.value, "reason": judged.reason}
    if record is not None and record.attested_at is not None:
        state = "complete" if record.offered else "empty"
        return {"state": state, "reason": "kept; the vendor's window has passed"}
    return {"state": "outside", "reason": "outside the hours that are watched"}


def _evidence(record: HourRecord) -> dict[str, Any]:
    return {
        "listed_at": rfc3339(record.listed_at),
        "attested_at": rfc3339(record.attested_at),
        "listings": record.listings,
        "rows_offered": record.offered,
        "empty_looks": record.blanks,
        "lateness_seconds": record.lateness_s,
        "failure": record.failure or None,
        "refused_at": rfc3339(record.refused_at),
        "lost_at": rfc3339(record.lost_at),
        "acknowledged": None
        if record.acked_at is None
        else {"at": rfc3339(record.acked_at), "by": record.acked_by, "reason": record.ack_reason},
    }


def _listing(listing: ListingRecord) -> dict[str, Any]:
    return {
        "asked_at": rfc3339(listing.asked_at),
        "from": str(listing.span.first),
        "to": str(listing.span.last),
        "why": listing.why,
        "calls": listing.calls,
        "rows": listing.rows,
        "trace_id": listing.trace_id or None,
        "error": listing.error or None,
    }


async def _file_story(catalog: Catalog, account_id: int, file: FileRecord) -> dict[str, Any]:
    return {
        "id": file.file_id,
        "name": file.name,
        "listed_bytes": file.size_bytes,
        "hour": None if file.hour is None else str(file.hour),
        "first_seen_at": rfc3339(file.first_seen_at),
        "last_seen_at": rfc3339(file.last_seen_at),
        "withdrawn_at": rfc3339(file.withdrawn_at),
        "wanted": file.wanted,
        "failure": file.failure or None,
        "lost_at": rfc3339(file.lost_at),
        "versions": [
            {
                "version": version.version,
                "path": version.path,
                "bytes": version.size_bytes,
                "sha256": version.sha256,
                "stored_at": rfc3339(version.stored_at),
                "flags": list(version.flags),
            }
            for version in await catalog.files.versions(account_id, file.file_id)
        ],
        "failed_attempts": [
            {"at": rfc3339(at), "reason": reason}
            for at, reason in await catalog.files.attempts(account_id, file.file_id)
        ],
        "set_aside": [
            {"at": rfc3339(s.seen_at), "sha256": s.sha256, "bytes": s.size_bytes, "disagreement": s.disagreement}
            for s in await catalog.transfers.sightings(account_id, file.file_id)
        ],
    }


def _show(story: dict[str, Any]) -> None:
    """The same facts, indented; what is empty is left out."""
    out = console()
    title = f"{story['vendor']}/{story['account']}  {_subject(story)}"
    out.print(Text(title, style="bold"))
    for name, value in story.items():
        if name in ("vendor", "account", "hour"):
            continue
        style = STATE_STYLES.get(value, "") if name == "state" else ""
        for line in _lines(name, value, 1):
            out.print(Text(line, style=style))


def _subject(story: dict[str, Any]) -> str:
    return str(story["hour"] if "hour" in story else story["file" if "file" in story else "record"]["id"])


def _lines(name: str, value: Any, depth: int) -> list[str]:
    indent = "  " * depth
    if value in (None, [], {}):
        return []
    if isinstance(value, dict):
        return [f"{indent}{name}:", *(line for key, item in value.items() for line in _lines(key, item, depth + 1))]
    if isinstance(value, list):
        return [f"{indent}{name}:", *(line for item in value for line in _item_lines(item, depth + 1))]
    return [f"{indent}{name}: {value}"]


def _item_lines(item: Any, depth: int) -> list[str]:
    if not isinstance(item, dict):
        return [f"{'  ' * depth}- {item}"]
    lines = [line for key, value in item.items() for line in _lines(key, value, depth + 1)]
    return [f"{'  ' * depth}- {lines[0].strip()}", *lines[1:]] if lines else []
