"""``logkeep check``: would it work? Settings, storage, catalog; then a token and one small page from each vendor."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.text import Text

from logkeep.catalog import Catalog
from logkeep.cli.invocation import Invocation, run_async
from logkeep.cli.output import china, console, print_json, size
from logkeep.daemon.archiver import catalog_path, lexiang_client, lock_path, pan123_client
from logkeep.errors import LockHeld, LogkeepError
from logkeep.model import Hour
from logkeep.store.local import LocalStore
from logkeep.store.lock import StorageLock
from logkeep.vendors.lexiang.settings import LexiangSettings
from logkeep.vendors.pan123.settings import Pan123Settings
from logkeep.vendors.settings import Settings

NAME = "check"

_ORDER = (2, 4, 3, 5, 1)
_SMALL_PAGE = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, whether it is well, and what was found."""

    name: str
    ok: bool
    detail: str
    code: int = 0


def command(
    context: typer.Context,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no vendor.")] = False,
    json: Annotated[bool, typer.Option("--json", help="For programs; see docs/json.md.")] = False,
) -> None:
    """Validate the settings, open storage and catalog, then ask each vendor for a token and one small page."""
    invocation: Invocation = context.obj
    settings = invocation.settings(log_level="critical")
    findings = [Finding("settings", True, f"{len(settings.pan123) + len(settings.lexiang)} account(s)")]
    findings += run_async(_look(invocation, settings, offline=offline))
    if json:
        rows = [{"name": f.name, "ok": f.ok, "detail": f.detail} for f in findings]
        print_json({"ok": all(f.ok for f in findings), "checks": rows})
    else:
        out = console()
        for finding in findings:
            mark = Text("ok    ", style="green") if finding.ok else Text("FAILED", style="red")
            out.print(Text.assemble(mark, f"  {finding.name}: {finding.detail}"))
    code = next((code for code in _ORDER if any(f.code == code for f in findings)), 0)
    if code:
        raise typer.Exit(code)


async def _look(invocation: Invocation, settings: Settings, *, offline: bool) -> list[Finding]:
    findings: list[Finding] = []
    async with AsyncExitStack() as stack:
        try:
            store = LocalStore(settings.storage.path, create=settings.storage.create)
            await store.open()
            stack.push_async_callback(store.close)
            findings.append(Finding("storage", True, f"{settings.storage.path}, {size(await store.free_bytes())} free"))
            catalog, how = await stack.enter_async_context(_catalog(settings))
            findings.append(Finding("catalog", True, f"{catalog_path(settings)}, {how}"))
        except LogkeepError as error:
            name = "catalog" if findings else "storage"
            return [*findings, Finding(name, False, str(error), error.exit_code)]
        if not offline:
            findings.extend([await _ask(invocation, settings, account, catalog) for account in settings.pan123])
            findings.extend(
                [await _ask_records(invocation, settings, account, catalog) for account in settings.lexiang]
            )
    return findings


@asynccontextmanager
async def _catalog(settings: Settings) -> AsyncIterator[tuple[Catalog, str]]:
    """Open as the keeper where nobody keeps the storage, beside the daemon where one does."""
    catalog, lock = Catalog(catalog_path(settings)), StorageLock(lock_path(settings))
    try:
        try:
            lock.acquire()
        except LockHeld as held:
            await catalog.open_beside()
            how = f"kept by {held.holder}"
        else:
            await catalog.open()
            how = "no daemon is running"
        yield catalog, how
    finally:
        await catalog.close()
        lock.release()


async def _ask(invocation: Invocation, settings: Settings, account: Pan123Settings, catalog: Catalog) -> Finding:
    name, newest = str(account.key), Hour.of(invocation.clock.now()) + -1
    client = pan123_client(settings, account, catalog, invocation.clock, invocation.rng)
    await client.open()
    try:
        await client.ensure_token()
        page = await client.list_page(newest, newest + 1, 1, _SMALL_PAGE)
    except LogkeepError as error:
        return Finding(name, False, str(error), error.exit_code)
    finally:
        await client.close()
    return Finding(name, True, f"token accepted, {len(page.files)} file(s) in hour {newest}{_skew(page.skew_s)}")


async def _ask_records(
    invocation: Invocation, settings: Settings, account: LexiangSettings, catalog: Catalog
) -> Finding:
    name = str(account.key)
    client = lexiang_client(settings, account, catalog, invocation.clock, invocation.rng)
    await client.open()
    try:
        await client.ensure_token()
        page = await client.read_page(1, _SMALL_PAGE)
    except LogkeepError as error:
        return Finding(name, False, str(error), error.exit_code)
    finally:
        await client.close()
    newest = max((record.created_at for record in page.records if record.created_at is not None), default=None)
    count = "" if page.total is None else f", {page.total} counted"
    return Finding(name, True, f"token accepted, newest record {china(newest)}{count}{_skew(page.skew_s)}")


def _skew(skew_s: float | None) -> str:
    return "" if skew_s is None else f", its clock differs by {skew_s:+.0f} s"
