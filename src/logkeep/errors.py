"""Every failure logkeep knows, by whose fault it is and what happens next.

    LogkeepError                      exit_code   what happens next
    ├── UsageError                    2           the operator mends the command or the settings; nothing was touched
    │   └── ConfigError               2           carries all problems at once, one line each
    ├── HomeError                     4           storage, catalog or lock: nothing can be kept until it is mended
    │   ├── StorageError              4
    │   │   └── StorageFull           4           downloads pause by themselves; listing and the ledger go on
    │   ├── CatalogError              4
    │   └── LockHeld                  4           names the holder
    └── VendorError                   5           somebody else's side
        ├── FatalVendorError          3/5         asking again now cannot help: pause the account, alarm, ask slowly
        │   ├── CredentialsRefused    3           the secret itself was refused
        │   ├── NotEntitled           3           the account lacks the right, or its quota is used up
        │   └── AccountPaused         3           an earlier refusal still holds; nothing was sent
        ├── RetriableVendorError      5           the same request may succeed later
        │   ├── Unreachable           5           no usable answer: DNS, TCP, TLS, time-out, 5xx, a gateway's page
        │   ├── RateLimited           5           carries how long to wait
        │   └── TokenRefused          5           a token, not the secret: fetch another and ask again
        └── SkippableVendorError      1           this one thing failed; the others go on
            ├── SpanRefused           1           the vendor will not list this span: ask a smaller one
            ├── PageRefused           1           the vendor will not serve a page of this size: ask a smaller one
            ├── UnreadableReply       1           success by its status, not by its shape
            └── FetchFailed           1           a file could not be fetched; carries what to try next

``exit_code`` is the process's when the error ends a command; the numbers are the contract of the commands.
Messages are for a person, fit on one line, and never hold a token, a secret, a signed query or a reply's body.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class LogkeepError(Exception):
    """The root; never raised itself."""

    exit_code = 4


class UsageError(LogkeepError):
    """The command line asks for something that cannot be."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in the settings: where (a key's path) and what to do about it."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class ConfigError(UsageError):
    """The settings are wrong; ``problems`` holds every mistake found, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class HomeError(LogkeepError):
    """The place where things are kept is not usable."""

    exit_code = 4


class StorageError(HomeError):
    """The storage path is missing, read-only, of the wrong device, or answered with an I/O error."""


class StorageFull(StorageError):
    """No room: downloads wait, everything else goes on."""


class CatalogError(HomeError):
    """The catalog cannot be opened, is corrupt, or was written by a newer version."""


class LockHeld(HomeError):
    """Another process keeps this storage; ``holder`` says which."""

    def __init__(self, holder: str) -> None:
        self.holder = holder
        super().__init__(f"the storage is in use by {holder}; stop it first, or point this one elsewhere")


class VendorError(LogkeepError):
    """The vendor's side failed. ``code`` is the vendor's own (HTTP status or envelope code), if it gave one."""

    exit_code = 5

    def __init__(self, message: str, *, code: int | None = None, trace_id: str = "") -> None:
        self.code = code
        self.trace_id = trace_id
        super().__init__(message)


class FatalVendorError(VendorError):
    """Asking again now cannot help."""

    exit_code = 3


class CredentialsRefused(FatalVendorError):
    """The vendor does not accept the credentials."""


class NotEntitled(FatalVendorError):
    """The credentials are good, but the account has no right to this, or its quota is used up."""


class AccountPaused(FatalVendorError):
    """An earlier refusal pauses this account; nothing was sent. The message says until when and why."""


class RetriableVendorError(VendorError):
    """The same request may succeed later. ``retry_after_s`` is the vendor's wish, where it uttered one."""

    def __init__(
        self, message: str, *, code: int | None = None, trace_id: str = "", retry_after_s: float | None = None
    ) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message, code=code, trace_id=trace_id)


class Unreachable(RetriableVendorError):
    """No usable answer came: name resolution, connection, TLS, time-out, 5xx, or a page that is not the API's."""


class RateLimited(RetriableVendorError):
    """Too many requests; the pace of this credential pauses."""


class TokenRefused(RetriableVendorError):
    """The access token was refused (expired, evicted by a fourth one, revoked); the secret may be fine.

    ``evicted`` is True where the vendor says that newer tokens of the same credential pushed this one out.
    """

    def __init__(self, message: str, *, code: int | None = None, trace_id: str = "", evicted: bool = False) -> None:
        self.evicted = evicted
        super().__init__(message, code=code, trace_id=trace_id)


class SkippableVendorError(VendorError):
    """This one thing failed and is recorded; everything else goes on."""

    exit_code = 1


class SpanRefused(SkippableVendorError):
    """The vendor will not list these hours in one request."""


class PageRefused(SkippableVendorError):
    """The vendor will not serve a page of this size or number."""


class UnreadableReply(SkippableVendorError):
    """A success by its status whose content is not what the vendor documents."""


class NextStep(StrEnum):
    """What a failed fetch calls for."""

    RETRY = "retry"
    """The same URL, later."""
    RELIST = "relist"
    """The URL is spent: list the hour again for a fresh one."""
    COMPARE = "compare"
    """Bytes arrived that disagree with what was promised: quarantined, and compared with the next attempt's."""
    GIVE_UP = "give_up"
    """Not in this pass; the next poll tries again."""
    WAIT_FOR_ROOM = "wait_for_room"
    """The disk has no room."""


class FetchFailed(SkippableVendorError):
    """A file did not arrive whole. ``reason`` is a stable word, the message one line with the facts."""

    def __init__(
        self, reason: str, message: str, *, step: NextStep, code: int | None = None, retry_after_s: float | None = None
    ) -> None:
        self.reason = reason
        self.step = step
        self.retry_after_s = retry_after_s
        super().__init__(f"{reason}: {message}", code=code)
