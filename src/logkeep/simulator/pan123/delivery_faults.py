"""What can go wrong with the bytes of a download. Each kind changes the honest delivery.

``fault.at`` says at which byte, or how many; without it the middle is taken, so that something good came before.
"""

from collections.abc import Callable
from dataclasses import replace
from random import Random

from logkeep.simulator.content import Cut, Flipped, Held, Joined, exact_gzip
from logkeep.simulator.faults import Struck
from logkeep.simulator.pan123.delivery import Delivery

JUNK = b"\x00junk behind the end\xff"
_GROWTH_BYTES = 89
_TRICKLE_BYTES = 1024
_EXCESS_BYTES = 100

Change = Callable[[Delivery, Struck], Delivery]


def _place(delivery: Delivery, struck: Struck) -> int:
    return delivery.content.size // 2 if struck.fault.at is None else struck.fault.at


def _truncate(delivery: Delivery, struck: Struck) -> Delivery:
    return replace(delivery, stop_after=_place(delivery, struck), ending="cut")


def _reset(delivery: Delivery, struck: Struck) -> Delivery:
    return replace(delivery, stop_after=_place(delivery, struck), ending="reset")


def _stall(delivery: Delivery, struck: Struck) -> Delivery:
    return replace(delivery, stop_after=_place(delivery, struck), ending="stall")


def _short_length(delivery: Delivery, struck: Struck) -> Delivery:
    return replace(delivery, content=Cut(delivery.content, _place(delivery, struck)))


def _wrong_length(delivery: Delivery, struck: Struck) -> Delivery:
    return replace(delivery, excess=_EXCESS_BYTES if struck.fault.at is None else struck.fault.at)


def _corrupt(delivery: Delivery, struck: Struck) -> Delivery:
    return replace(delivery, content=Flipped(delivery.content, _place(delivery, struck)))


def _junk(delivery: Delivery, _struck: Struck) -> Delivery:
    return replace(delivery, content=Joined(delivery.content, Held(JUNK)))


def _zeros(delivery: Delivery, struck: Struck) -> Delivery:
    padding = Held(bytes(512 if struck.fault.at is None else struck.fault.at))
    return replace(delivery, content=Joined(delivery.content, padding))


def _empty(delivery: Delivery, _struck: Struck) -> Delivery:
    return replace(delivery, content=Held(b""))


def _grows(delivery: Delivery, struck: Struck) -> Delivery:
    """Every strike finds one more gzip member behind the content."""
    members = [Held(exact_gzip(_GROWTH_BYTES, Random(number))) for number in range(struck.nth)]
    grown = Joined(delivery.content, *members)
    return replace(delivery, content=grown, etag=grown.etag)


def _chunked(delivery: Delivery, _struck: Struck) -> Delivery:
    return replace(delivery, chunked=True)


def _chunked_cut(delivery: Delivery, struck: Struck) -> Delivery:
    return replace(delivery, chunked=True, stop_after=_place(delivery, struck), ending="cut")


def _ignores_range(delivery: Delivery, _struck: Struck) -> Delivery:
    return replace(delivery, honours_range=False)


def _range_wrong(delivery: Delivery, struck: Struck) -> Delivery:
    return replace(delivery, shift=-1 if struck.fault.at is None else struck.fault.at)


def _range_lies(delivery: Delivery, struck: Struck) -> Delivery:
    return replace(_range_wrong(delivery, struck), confesses=False)


def _changed_etag(delivery: Delivery, struck: Struck) -> Delivery:
    return replace(delivery, etag=f'"changed-{struck.nth}"')


def _no_etag(delivery: Delivery, _struck: Struck) -> Delivery:
    return replace(delivery, etag=None)


def _unasked_206(delivery: Delivery, _struck: Struck) -> Delivery:
    return replace(delivery, forced_status=206)


def _gzip_encoding(delivery: Delivery, _struck: Struck) -> Delivery:
    return replace(delivery, encoding="gzip")


def _slow(delivery: Delivery, struck: Struck) -> Delivery:
    piece = _TRICKLE_BYTES if struck.fault.at is None else struck.fault.at
    return replace(delivery, pause_s=struck.fault.pause.total_seconds(), piece_bytes=piece)


DELIVERY_FAULTS: dict[str, Change] = {
    "truncate": _truncate,
    "reset": _reset,
    "stall": _stall,
    "short_length": _short_length,
    "wrong_length": _wrong_length,
    "corrupt": _corrupt,
    "junk": _junk,
    "zeros": _zeros,
    "empty": _empty,
    "grows": _grows,
    "no_content_length": _chunked,
    "chunked_cut": _chunked_cut,
    "ignores_range": _ignores_range,
    "range_wrong": _range_wrong,
    "range_lies": _range_lies,
    "changed_etag": _changed_etag,
    "no_etag": _no_etag,
    "unasked_206": _unasked_206,
    "content_encoding": _gzip_encoding,
    "slow": _slow,
}
