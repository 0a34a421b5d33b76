"""Two lesser endpoints: what the account is entitled to, and per-file traffic totals of the last three days."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from logkeep.simulator.pan123.account import Account
from logkeep.simulator.pan123.envelope import Refused, bad_parameter
from logkeep.simulator.pan123.offered import CHINA

TRAFFIC_RETENTION = timedelta(days=3)
_FORM = "%Y-%m-%d %H:%M:%S"


def user_info(account: Account) -> dict[str, Any]:
    """Data of ``user/info``: with a phone number and an address in it, as the vendor's."""
    until = account.rights_until
    rights = (
        None if until is None else {"startTime": "2025-01-01 00:00:00", "endTime": f"{until.astimezone(CHINA):{_FORM}}"}
    )
    return {
        "uid": 1_800_000_001,
        "nickname": "模拟用户",
        "passport": "13800138000",
        "mail": "simulated@example.com",
        "vip": account.developer_rights,
        "developerInfo": rights,
    }


def traffic_page(account: Account, params: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Data of ``direct-link/log``: the rows counted in the asked time.

    Raises:
        Refused: a parameter is missing or unreadable, or the time is more than three days ago.
    """
    start, end = _moment(params, "startTime"), _moment(params, "endTime")
    if start < now - TRAFFIC_RETENTION:
        raise Refused(1, "仅限查询近三天的日志")
    try:
        page, size = int(params["pageNum"]), int(params["pageSize"])
    except (KeyError, TypeError, ValueError):
        raise bad_parameter("pageNum") from None
    rows = [row for at, row in account.traffic_rows if start <= at <= end]
    return {"list": rows[(page - 1) * size : page * size], "total": 0}


def _moment(params: Mapping[str, Any], name: str) -> datetime:
    try:
        return datetime.strptime(str(params.get(name)), _FORM).replace(tzinfo=CHINA)
    except ValueError:
        raise bad_parameter(name) from None
