"""From raw tables to judged settings: every section and every account by itself, so that no mistake hides another."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from pydantic import ValidationError

from logkeep.config.credentials import with_secret
from logkeep.config.findings import Findings
from logkeep.config.sections import CommonSettings, Section
from logkeep.config.sources import Sources
from logkeep.config.values import Name, Reading, parse_flag
from logkeep.config.wording import KeyPath, show, suggestion
from logkeep.model import AccountKey

SectionT = TypeVar("SectionT", bound=Section)


class AccountSettings(Section):
    """What accounts of every vendor have. A vendor's own class says which vendor it is."""

    vendor: ClassVar[str]

    name: Name

    @property
    def key(self) -> AccountKey:
        """How the catalog and the archive know this account."""
        return AccountKey(self.vendor, self.name)


@dataclass(frozen=True, slots=True)
class AccountKind:
    """A vendor as the settings know it: its section, what stands there, and which key is the secret."""

    vendor: str
    model: type[AccountSettings]
    secret: str


def read_sections(settings: type[CommonSettings], sources: Sources, findings: Findings) -> dict[str, Section]:
    """Every section that is sound; sections that do not exist are findings too."""
    for name in sources.tree:
        if name not in settings.model_fields:
            findings.add((name,), f"no such section; {suggestion(name, settings.model_fields)}")
    context = reading_context(sources)
    read = (
        (name, _judged(info.annotation, sources.tree.get(name, {}), (name,), context, findings))
        for name, info in settings.model_fields.items()
        if isinstance(info.annotation, type) and issubclass(info.annotation, Section)
    )
    return {name: section for name, section in read if section is not None}


def read_accounts(kind: AccountKind, sources: Sources, findings: Findings) -> tuple[AccountSettings, ...]:
    """Every account of a vendor that is sound."""
    tables = sources.tree.get(kind.vendor, [])
    if not isinstance(tables, list):
        findings.add(
            (kind.vendor,),
            f"write [[{kind.vendor}]] with double brackets above each account (in a variable: a JSON list)",
        )
        return ()
    _refuse_twins(kind.vendor, tables, findings)
    context = reading_context(sources)
    return tuple(_accounts(kind, tables, context, sources, findings))


def _accounts(
    kind: AccountKind, tables: list[Any], context: Reading, sources: Sources, findings: Findings
) -> Iterator[AccountSettings]:
    for index, table in enumerate(tables):
        at: KeyPath = (kind.vendor, index)
        raw = with_secret(table, kind.secret, at, sources=sources, findings=findings) if _is_table(table) else table
        account = _judged(kind.model, raw, at, context, findings)
        if account is not None:
            yield account


def _judged(model: type[SectionT], raw: object, at: KeyPath, context: Reading, findings: Findings) -> SectionT | None:
    if not _is_table(raw):
        findings.add(at, f"write a section of keys here, not {'text' if isinstance(raw, str) else 'a bare value'}")
        return None
    try:
        return model.model_validate(raw, context=context)
    except ValidationError as exc:
        findings.add_errors(at, exc, model)
        return None


def _is_table(raw: object) -> bool:
    return isinstance(raw, dict)


def _refuse_twins(vendor: str, tables: list[Any], findings: Findings) -> None:
    """Names are folders; on some file systems ``Main`` and ``main`` would be one."""
    first: dict[str, int] = {}
    for index, table in enumerate(tables):
        name = table.get("name") if isinstance(table, dict) else None
        if isinstance(name, str) and first.setdefault(name.lower(), index) != index:
            twin = f"{vendor}[{first[name.lower()]}]"
            findings.add(
                (vendor, index, "name"), f"{show(name)} is taken by {twin}; give each account a name of its own"
            )


def reading_context(sources: Sources) -> Reading:
    """What values must know of their surroundings, even while the section that says so has other mistakes."""
    download = sources.tree.get("download")
    raw: Mapping[str, Any] = download if isinstance(download, dict) else {}
    return Reading(
        folder=sources.folder,
        allow_http=_allowed(raw.get("allow_http", False)),
        allow_private_addresses=_allowed(raw.get("allow_private_addresses", False)),
    )


def _allowed(raw: object) -> bool:
    """An unreadable permission counts as given: it is a problem already, and its echo would only confuse."""
    try:
        return parse_flag(raw)
    except ValueError:
        return True
