"""Tells what endangers the archive, once when it begins and once when it ends."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from logkeep.catalog.care import Care
from logkeep.catalog.records import AccountRecord
from logkeep.files.ledger import expires_at
from logkeep.files.plan import DANGER
from logkeep.files.report import Standing
from logkeep.model import HourState, StreamState, rfc3339
from logkeep.records.report import StreamStanding

log = structlog.stdlib.get_logger("logkeep.daemon")

LAST_DAY = timedelta(days=1)


@dataclass(slots=True)
class Lookout:
    """What was told already, by account; a restart tells it again."""

    unreachable_after: timedelta
    told: dict[str, set[str]] = field(default_factory=dict)

    def look(self, standing: Standing, now: datetime) -> None:
        """Compare how an account stands with what was told of it."""
        worries = self._worries(standing, now) | self._trouble(standing.books.account, now)
        worries |= self._damage(standing.care)
        self._tell(str(standing.key), worries)

    def look_at_stream(self, standing: StreamStanding, now: datetime) -> None:
        """The same for a record stream: it is behind, or something in it has to be read again and was not yet."""
        worries: dict[str, dict[str, object]] = {}
        behind = [gap for gap in standing.gaps if gap.state == StreamState.FAILED]
        if behind:
            worries["stream_behind"] = {"since": rfc3339(behind[0].start), "reason": behind[0].reason}
        self._tell(str(standing.key), worries | self._trouble(standing.account, now) | self._damage(standing.care))

    def _tell(self, account: str, current: dict[str, dict[str, object]]) -> None:
        told = self.told.setdefault(account, set())
        for worry in sorted(current.keys() - told):
            log.error(worry, account=account, **current[worry])
        for worry in sorted(told - current.keys()):
            log.info("danger_over", account=account, danger=worry)
        self.told[account] = set(current)

    @staticmethod
    def _worries(standing: Standing, now: datetime) -> dict[str, dict[str, object]]:
        worries: dict[str, dict[str, object]] = {}
        lacking = [judged.hour for judged in standing.ledger if judged.state in (HourState.PENDING, HourState.FAILED)]
        for event, within in (("hours_endangered", DANGER), ("hours_about_to_expire", LAST_DAY)):
            near = [hour for hour in lacking if expires_at(hour) - now <= within]
            if near:
                worries[event] = {
                    "hours": len(near),
                    "first": str(near[0]),
                    "expires_at": expires_at(near[0]).isoformat(),
                    "hint": "run `logkeep gaps` for the reasons",
                }
        return worries

    @staticmethod
    def _damage(care: Care) -> dict[str, dict[str, object]]:
        if not care.damaged:
            return {}
        return {"archive_damaged": {"objects": care.damaged, "hint": "run `logkeep gaps` for what and why"}}

    def _trouble(self, account: AccountRecord, now: datetime) -> dict[str, dict[str, object]]:
        trouble = account.trouble
        if trouble is None or now - trouble.since < self.unreachable_after:
            return {}
        return {"vendor_long_unreachable": {"since": trouble.since.isoformat(), "reason": trouble.reason}}
