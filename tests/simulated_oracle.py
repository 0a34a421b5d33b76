"""What must hold at any time, whatever happened: held against the vendors' truth, not against the program's books.

Files and records are judged when a pass ends well, gaps and the archive once a day and at the end, alerts and the pace
whenever something is logged. A promise counts from moments that the program cannot miss: a file that was offered when
a poll's alarm came, and still is when the next pass has ended without any failure, has to be in the archive then.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from logkeep.catalog import Catalog
from logkeep.daemon.archiver import catalog_path, patience_of
from logkeep.files.report import standing
from logkeep.model import Gap, HourState, StreamState
from logkeep.records.report import stream_standing
from logkeep.vendors.lexiang.settings import STREAM
from logkeep.vendors.settings import Settings
from simulated_alerts import Alerts
from simulated_archive import FileShelf, RecordShelf
from simulated_world import DAY, HOUR, RETENTION, Version, World, china

SETTLE = 2 * HOUR
LOOKBACK = 48 * HOUR
GRACE = 24 * HOUR
SLACK = timedelta(minutes=40)
_LONG = timedelta(days=40)


class Oracle:
    """``violations`` is empty, or says what was broken and when; ``totals`` counts what was looked at."""

    def __init__(self, world: World, settings: Callable[[], Settings]) -> None:
        self.violations: list[str] = []
        self.totals: Counter[str] = Counter()
        self._world = world
        self._settings = settings
        self._files = FileShelf(world.host.root)
        self._records = RecordShelf(world.host.root)
        self._alerts = Alerts(world, self.violation)
        self._pending: list[Version] = []
        self._taken = 0
        self._digests: dict[str, set[str]] = {}
        self._owed: dict[datetime, set[str]] = {}
        self._pass_end: datetime | None = None
        self._failed_at: datetime | None = None
        self._answered_at: datetime | None = None
        self._well_at: datetime | None = None
        self._proved_to: list[tuple[datetime, datetime]] = []
        self._record_ends: list[datetime] = []
        self._awaited: list[int] = []
        self._seen_records = 0

    @property
    def now(self) -> datetime:
        return self._world.host.true_now()

    @property
    def weight(self) -> dict[str, int]:
        """MiB in use after the first month, and after the last."""
        rss = self._alerts.rss
        return {"first_month_mib": rss[0], "last_month_mib": rss[-1]} if rss else {}

    @property
    def listed(self) -> list[tuple[datetime, datetime]]:
        """From when to when 123pan answered listings; silence of more than half a day parts two of them."""
        return self._alerts.listings

    def violation(self, text: str) -> None:
        """Something must not be so."""
        if len(self.violations) < 200:
            self.violations.append(f"{self.now:%m-%d %H:%M:%S} {text}")

    def begin(self) -> None:
        """The simulation begins."""
        self._begun = self.now
        self._alerts.begin(self.now)

    def started(self) -> None:
        """A daemon begins."""
        self._pass_end, self._record_ends = self.now, []
        self._alerts.started(self.now)

    def stopped(self) -> None:
        """It is no more."""
        self._alerts.stopped()

    def told(self, event: str, fields: Mapping[str, Any]) -> None:
        """Something was logged."""
        self._alerts.told(event, fields)
        if event in ("fetch_failed", "listing_failed"):
            self._failed_at = self.now
        elif event == "pass_finished":
            self._file_pass(ok=fields["outcome"] == "ok" and not fields["failed"])
        elif event == "record_pass_finished":
            self._record_pass(ok=fields["outcome"] == "ok" and not fields["cut"])

    def _clock_right_since(self, moment: datetime) -> bool:
        set_at = self._world.clock_set_at
        return not self._world.host.offset and (set_at is None or set_at < moment)

    def _file_pass(self, *, ok: bool) -> None:
        begun, now = self._pass_end, self.now
        self._pass_end = now
        if not ok or begun is None:
            self._failed_at = now if not ok else self._failed_at
            self._alerts.file_pass(ok=ok)
            return
        self._alerts.file_pass(ok=ok)
        poll = last_cron(begun, 5, range(0, 24, self._world.habits.poll_hours))
        sweep = last_cron(begun, 30, (3,))
        self._well_at = now
        self.totals["file_passes"] += 1
        for since, reach in ((poll, LOOKBACK), (sweep, RETENTION - 2 * HOUR)):
            trusted = self._clock_right_since(since - DAY) and (self._failed_at is None or self._failed_at < since)
            if trusted:
                self._require_files(since, now, reach)
                self._proved_to.append((since, now))

    def _take_versions(self) -> None:
        for version in self._world.versions[self._taken :]:
            self._digests.setdefault(version.file_id, set()).add(version.sha256)
            self._owed.setdefault(version.hour, set()).add(version.sha256)
            self._pending.append(version)
        self._taken = len(self._world.versions)

    def _require_files(self, since: datetime, now: datetime, reach: timedelta) -> None:
        self._take_versions()
        kept: list[Version] = []
        for version in self._pending:
            if version.since > since or version.until <= now or version.hour + HOUR > since:
                if version.until > now - _LONG:
                    kept.append(version)
            elif now - version.hour - HOUR > reach:
                kept.append(version)
            elif self._files.holds(version.hour, version.file_id, version.sha256):
                self._kept(version)
            else:
                self.violation(f"lost: file {version.file_id} of {china(version.hour):%Y%m%d%H}, since {version.since}")
        self._pending = kept

    def _kept(self, version: Version) -> None:
        self.totals["files"] += 1
        self._owed[version.hour].discard(version.sha256)

    def _record_pass(self, *, ok: bool) -> None:
        ends, now = self._record_ends, self.now
        self._alerts.record_pass(now, ok=ok, begun=ends[-1] if ends else None)
        self._record_ends = [*ends[-2:], now] if ok else [now]
        if len(self._record_ends) < 3:
            return
        begun = self._record_ends[0]
        self.totals["record_passes"] += 1
        readers = self._world.readers
        self._awaited.extend(range(self._seen_records, len(readers.records.created_s)))
        self._seen_records = len(readers.records.created_s)
        self._awaited = [number for number in self._awaited if self._still_awaited(number, begun, now)]

    def _still_awaited(self, number: int, begun: datetime, now: datetime) -> bool:
        readers = self._world.readers
        gone = readers.records.gone.get(number)
        record_id = readers.rows.id_of(number)
        if self._records.holds(record_id):
            self.totals["records"] += 1
            return False
        if gone is not None and gone[0] <= now:
            return False
        since = readers.records.batch(number).since
        created = datetime.fromtimestamp(readers.records.created_s[number], now.tzinfo)
        late = since - created
        reach = max(timedelta(minutes=10), 2 * self._world.habits.interval) - timedelta(minutes=1)
        nightly, weekly = last_cron(begun, 0, (4,)), last_cron(begun, 0, (5,), weekday=6)
        due = since <= begun and late < reach
        due = due or (since <= nightly and created > now - 47 * HOUR and self._clock_right_since(nightly - DAY))
        due = due or (since <= weekly and created > now - 29 * DAY and self._clock_right_since(weekly - DAY))
        if due:
            self.violation(f"lost: record {record_id} of {created}, offered since {since}")
        return not due

    # --- the books

    async def look(self) -> None:
        """Once a day: the archive holds nothing twice and nothing wrong, and the gaps are the true ones."""
        self._alerts.daily()
        if self._world.host.mode != "well":
            return
        self._take_versions()
        self._look_at_archive(at_rest=False)
        if self._clock_right_since(self.now - DAY) and catalog_path(self._settings()).exists():
            await self._look_at_gaps()

    def _look_at_archive(self, *, at_rest: bool) -> None:
        self._files.read(again=at_rest)
        for path, file_id, digest in self._files.fresh():
            if digest not in self._digests.get(file_id, ()):
                self.violation(f"wrong: {path} is nothing that the vendor offered")
        for path in self._files.doubled():
            self.violation(f"twice: {path}")
        self._records.read(again=at_rest)
        known = self._world.readers.rows
        for record_id, path in self._records.fresh():
            if at_rest or self.totals["lines_compared"] % 7 == 0:
                self._compare(record_id, path, known)
            self.totals["lines_compared"] += 1
        if at_rest:
            for record_id, count in self._records.doubled():
                self.violation(f"twice: record {record_id} lies on {count} lines")

    def _compare(self, record_id: str, path: str, known: Any) -> None:
        try:
            known.number_of(record_id)
        except KeyError:
            self.violation(f"wrong: record {record_id} in {path} is none that the vendor offered")

    async def _look_at_gaps(self) -> None:
        now, settings = self.now, self._settings()
        catalog = Catalog(catalog_path(settings))
        await catalog.open_beside()
        try:
            pan, lexiang = settings.pan123[0], settings.lexiang[0]
            patience = patience_of(pan, settings.schedule.zone, now)
            known = {record.vendor: record for record in await catalog.accounts.all()}
            if len(known) < 2:
                return
            files = await standing(catalog, known["pan123"], now=now, settle=pan.settle, patience=patience)
            stream = await stream_standing(catalog, known["lexiang"], STREAM, now=now, interval=lexiang.interval)
        finally:
            await catalog.close()
        self.totals["looks"] += 1
        self._alerts.take_requests()
        self._judge_hours(files.gaps, files.books.account.watched_from.start, patience, now)
        self._judge_stream(stream.gaps, now)

    def _judge_hours(self, gaps: list[Gap] | Any, watched_from: datetime, patience: timedelta, now: datetime) -> None:
        named = {hour: gap.state for gap in gaps for hour in _hours(gap)}
        hour = max(watched_from, self._begun - RETENTION)
        last_answer = self._alerts.listed_at
        while hour + HOUR + patience < now:
            lost_from = hour + RETENTION + HOUR + GRACE
            unseen = last_answer is None or last_answer < hour + HOUR + SETTLE
            proved = any(hour + HOUR + SETTLE <= s and e < hour + RETENTION for s, e in self._proved_to)
            if unseen and hour not in named:
                self.violation(f"silent gap: {china(hour):%Y%m%d%H} was never listed once settled, and is not named")
            if named.get(hour) == HourState.LOST and proved and not self._owed.get(hour):
                self.violation(f"false gap: {china(hour):%Y%m%d%H} is called lost, and nothing of it is")
            settled, gone = hour + HOUR + SETTLE, hour + RETENTION + GRACE
            never = not any(settled <= e and s <= gone for s, e in self._alerts.listings)
            judged = self._well_at is not None and self._well_at > lost_from + HOUR
            if never and judged and named.get(hour) != HourState.LOST:
                self.violation(f"silent loss: {china(hour):%Y%m%d%H} was never listed, and is not called lost")
            hour += HOUR
        fresh = self._well_at is not None and now - self._well_at < self._world.habits.poll_hours * HOUR
        untroubled = self._failed_at is None or (self._well_at is not None and self._failed_at < self._well_at - DAY)
        for gap in gaps:
            if gap.state != HourState.LOST and fresh and untroubled:
                self.violation(f"false gap: {gap.start} {gap.state} {gap.reason}")
        self.totals["hours_lost"] = sum(state == HourState.LOST for state in named.values())

    def _judge_stream(self, gaps: list[Gap] | Any, now: datetime) -> None:
        behind = [gap for gap in gaps if gap.state == StreamState.FAILED]
        well_at, begun = self._alerts.record_well_at, self._alerts.record_begun_at
        three = 3 * self._world.habits.interval
        if well_at is not None and now - well_at > three + timedelta(minutes=1) and not gaps:
            self.violation("silent gap: no pass over the records for three intervals, and none is named")
        if behind and begun is not None and now - begun < three:
            self.violation(f"false gap: {behind[0].reason}")

    async def close_books(self) -> None:
        """At the end, after days of quiet: everything that is still offered is there, once."""
        self._take_versions()
        self._look_at_archive(at_rest=True)
        now = self.now
        for version in self._pending:
            seen = version.since < now - 26 * HOUR and version.until > now and version.hour > now - RETENTION + DAY
            if seen and not self._files.holds(version.hour, version.file_id, version.sha256):
                self.violation(f"lost at the end: file {version.file_id} of {china(version.hour):%Y%m%d%H}")
        if self._seen_records == 0 and self._world.habits.records:
            self.violation("nothing of the records was ever judged")
        if self.totals["file_passes"] == 0:
            self.violation("no pass over the files ever went well")
        await self._look_at_gaps()
        self.totals["archived_files"], self.totals["archived_records"] = len(self._files), len(self._records)


def last_cron(moment: datetime, minute: int, hours: Any, *, weekday: int | None = None) -> datetime:
    """When such a line last came, at the latest then; China's time."""
    local = china(moment).replace(second=0, microsecond=0)
    candidate = local.replace(minute=minute)
    while candidate > moment or candidate.hour not in hours or weekday not in (None, candidate.weekday()):
        candidate -= HOUR
    return candidate


def _hours(gap: Gap) -> list[datetime]:
    if gap.start is None or gap.end is None:
        return []
    return [gap.start + n * HOUR for n in range(round((gap.end - gap.start) / HOUR))]
