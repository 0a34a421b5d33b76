"""Tells what endangers the archive, once when it begins and once when it ends."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from logkeep.files.ledger import expires_at
from logkeep.files.plan import DANGER
from logkeep.files.report import Standing
from logkeep.model import HourState

log = structlog.stdlib.get_logger("logkeep.daemon")

LAST_DAY = timedelta(days=1)


@dataclass(slots=True)
class Lookout:
    """What was told already, by account; a restart tells it again."""

    unreachable_after: timedelta
    told: dict[str, set[str]] = field(default_factory=dict)

    def look(self, standing: Standing, now: datetime) -> None:
        """Compare how an account stands with what was told of it."""
        account = str(standing.key)
        current = self._worries(standing, now)
        told = self.told.setdefault(account, set())
        for worry in sorted(current.keys() - told):
            log.error(worry, account=account, **current[worry])
        for worry in sorted(told - current.keys()):
            log.info("danger_over", account=account, danger=worry)
        self.told[account] = set(current)

    def _worries(self, standing: Standing, now: datetime) -> dict[str, dict[str, object]]:
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
        trouble = standing.books.account.trouble
        if trouble is not None and now - trouble.since >= self.unreachable_after:
            worries["vendor_long_unreachable"] = {"since": trouble.since.isoformat(), "reason": trouble.reason}
        return worries
