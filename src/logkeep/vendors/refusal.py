"""A reply that is no success, and the errors that mean the same for every vendor. Pure.

Which refusal means which error is each vendor's own affair and stands in its ``refusals``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from logkeep.errors import CredentialsRefused, NotEntitled, RateLimited, Unreachable, UnreadableReply
from logkeep.vendors.strict_json import JsonRefused
from logkeep.vendors.wire import clean_text, header, read_rate_reset, read_retry_after


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reply that is no success. ``code`` is the envelope's, None where there was no envelope; 0 says success.

    ``named`` are the parameters that the vendor finds fault with, where it names any.
    """

    status: int
    headers: Mapping[str, str]
    code: int | None
    message: str = ""
    trace_id: str = ""
    named: frozenset[str] = frozenset()

    @property
    def facts(self) -> str:
        """The refusal in one line: ``message`` is clean already."""
        where = f"HTTP {self.status}" if self.code in (None, 0) else f"code {self.code}"
        return f"{where}: {self.message}" if self.message else where

    @property
    def number(self) -> int:
        """The vendor's own code, or the status where it gave none."""
        return self.code or self.status


def is_good(status: int) -> bool:
    """Whether a status says success; a redirect does not, and none is followed."""
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


def refusal_without_json(
    status: int, headers: Mapping[str, str], problem: JsonRefused, *, hide: Sequence[str] = ()
) -> Refusal:
    """Describe a reply that is no usable JSON: mostly a gateway's page.

    Raises:
        UnreadableReply: a success by its status, and what came was meant to be JSON.
        Unreachable: a success by its status, and what came is not the API's at all.
    """
    if is_good(status) and problem.meant:
        raise UnreadableReply(f"HTTP {status}, but {problem}", code=status)
    kind = clean_text(header(headers, "Content-Type").partition(";")[0], hide=hide, at_most=40) or "no content type"
    refusal = Refusal(status, headers, None, f"not the API's answer ({kind})")
    if is_good(status):
        raise Unreachable(refusal.facts, code=status)
    return refusal


def rate_limited(refusal: Refusal) -> RateLimited:
    """Too many requests, with the vendor's own word for how long to wait, if it gave one."""
    wait_s = read_retry_after(refusal.headers)
    if wait_s is None:
        wait_s = read_rate_reset(refusal.headers)
    return RateLimited(refusal.facts, code=refusal.number, trace_id=refusal.trace_id, retry_after_s=wait_s)


def unreachable(refusal: Refusal) -> Unreachable:
    """Trouble that may pass by itself."""
    wait_s = read_retry_after(refusal.headers)
    return Unreachable(refusal.facts, code=refusal.number, trace_id=refusal.trace_id, retry_after_s=wait_s)


def credentials_refused(refusal: Refusal) -> CredentialsRefused:
    """The secret itself is wrong."""
    return CredentialsRefused(refusal.facts, code=refusal.number, trace_id=refusal.trace_id)


def not_entitled(refusal: Refusal) -> NotEntitled:
    """The secret is right, and the account lacks the right."""
    return NotEntitled(refusal.facts, code=refusal.number, trace_id=refusal.trace_id)
