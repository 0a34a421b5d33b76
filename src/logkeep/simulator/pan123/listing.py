"""Which rows a listing request gets: pure but for the account it looks into."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any

from logkeep.simulator.pan123.account import Account
from logkeep.simulator.pan123.envelope import Refused, bad_parameter
from logkeep.simulator.pan123.offered import OfferedFile, hour_index, hour_start
from logkeep.simulator.pan123.quirks import Quirks


@dataclass(frozen=True, slots=True)
class Query:
    """A listing request, read."""

    start: datetime
    end: datetime
    page: int
    size: int


def read_query(params: Mapping[str, Any]) -> Query:
    """Read the four parameters, all of them required.

    Raises:
        Refused: one is missing or unreadable, or the span ends before it starts.
    """
    query = Query(
        start=_hour(params, "startHour"),
        end=_hour(params, "endHour"),
        page=_count(params, "pageNum"),
        size=_count(params, "pageSize"),
    )
    if query.end < query.start:
        raise Refused(1, "结束时间不能早于开始时间")
    return query


def _hour(params: Mapping[str, Any], name: str) -> datetime:
    value = params.get(name)
    if not isinstance(value, str):
        raise bad_parameter(name)
    try:
        return hour_start(value)
    except ValueError:
        raise bad_parameter(name) from None


def _count(params: Mapping[str, Any], name: str) -> int:
    value = params.get(name)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise bad_parameter(name)
    if isinstance(value, str) and not (value.isascii() and value.isdigit()):
        raise bad_parameter(name)
    if int(value) < 1:
        raise bad_parameter(name)
    return int(value)


def hours_looked_at(query: Query, quirks: Quirks) -> range:
    """The hours that the server looks at, as ``hour_index``.

    Raises:
        Refused: the span is larger than allowed, or starts before the retention and that is an error here.
    """
    first = hour_index(query.start)
    asked = hour_index(query.end) - first
    if quirks.max_span_hours is not None and asked > quirks.max_span_hours:
        raise Refused(1, f"查询时间范围不能超过{quirks.max_span_hours}小时")
    if quirks.refuse_older == "error" and query.start < quirks.now() - quirks.retention:
        raise Refused(1, "仅支持查询近30天的日志")
    hours = range(first, first + asked + quirks.end_inclusive)
    if quirks.clamp_span_hours is None:
        return hours
    return hours[-quirks.clamp_span_hours :] if quirks.clamp_keeps == "last" else hours[: quirks.clamp_span_hours]


def rows_listed(account: Account, query: Query, quirks: Quirks) -> list[OfferedFile]:
    """Every file the query could page through now, in the server's order.

    Raises:
        Refused: as ``hours_looked_at``.
    """
    now = quirks.now()
    hours = hours_looked_at(query, quirks)
    rows = [file for file in account.in_hours(hours) if file.offered_at(now, quirks.retention)]
    if quirks.order == "shuffled":
        return sorted(rows, key=lambda file: Random(f"{quirks.seed}|{file.seq}").random())
    return sorted(rows, key=lambda file: file.seq, reverse=quirks.order == "newest")


def page_of(rows: list[OfferedFile], query: Query, quirks: Quirks) -> list[OfferedFile]:
    """The rows of the page asked for, as this server counts pages."""
    size = query.size if quirks.page_cap is None else min(query.size, quirks.page_cap)
    number = 1 if quirks.ignore_page_num else query.page
    if quirks.repeat_last_page:
        number = min(number, max(1, -(-len(rows) // size)))
    return rows[(number - 1) * size : number * size]
