"""The download server: an object store behind presigned addresses, on another port than the API."""

from collections.abc import Mapping
from datetime import timedelta

from aiohttp import web

from logkeep.simulator.faults import Faults, Struck
from logkeep.simulator.pan123.delivery import Delivery, deliver
from logkeep.simulator.pan123.delivery_faults import DELIVERY_FAULTS
from logkeep.simulator.pan123.download_faults import DOWNLOAD_FAULTS, Errand, next_hop
from logkeep.simulator.pan123.offered import OfferedFile
from logkeep.simulator.pan123.quirks import Quirks
from logkeep.simulator.pan123.signing import BadSignature, Signer, Ticket
from logkeep.simulator.wire import Wire, http_date, sent_status, xml
from logkeep.simulator.witness import KEPT_HEADERS, Request, Witness

FORBIDDEN_HEADERS = ("Authorization", "Platform", "Cookie")


class Downloads:
    """The handlers. ``objects`` maps raw request paths to files; ``origin`` is scheme, host and port."""

    def __init__(
        self,
        quirks: Quirks,
        objects: Mapping[str, OfferedFile],
        *,
        signer: Signer,
        faults: Faults,
        witness: Witness,
        wire: Wire,
    ) -> None:
        self.origin = ""
        self._quirks = quirks
        self._objects = objects
        self._signer = signer
        self._faults = faults
        self._witness = witness
        self._wire = wire
        self._used: set[str] = set()

    def app(self) -> web.Application:
        """An application that takes every path."""
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._handle)
        return app

    def address(self, file: OfferedFile, hop: str | None = None) -> str:
        """A fresh presigned address, good for ``url_lifetime``."""
        expires = self._quirks.now() + self._quirks.url_lifetime
        return self.origin + self._signer.sign(file.path, expires, hop=hop)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name: request.headers[name] for name in KEPT_HEADERS if name in request.headers}
        with self._witness.watch(Request("download", request.method, self._quirks.now(), headers)) as seen:
            file = self._objects.get(request.raw_path.partition("?")[0])
            if file is not None:
                seen.file_id, seen.client_id = file.file_id, file.account
            response = self._refusal(request, seen, file) or await self._answer(request, seen, file)
            seen.status = sent_status(response)
            return response

    def _refusal(self, request: web.Request, seen: Request, file: OfferedFile | None) -> web.Response | None:
        """What an honest store refuses: credentials of another host, other methods, bad addresses, missing objects."""
        forbidden = [name for name in FORBIDDEN_HEADERS if name in request.headers]
        if forbidden:
            self._witness.violation(f"{', '.join(forbidden)} sent to the download host for file {seen.file_id}")
            return xml(400, "InvalidArgument", "Only one auth mechanism allowed")
        if request.method != "GET":
            return xml(403, "AccessDenied", "Access Denied")
        try:
            ticket = self._signer.check(request.raw_path)
        except BadSignature:
            return xml(403, "SignatureDoesNotMatch", "The request signature does not match.")
        seen.hop = ticket.hop
        return self._stale(ticket, file)

    def _stale(self, ticket: Ticket, file: OfferedFile | None) -> web.Response | None:
        now = self._quirks.now()
        spent = self._quirks.single_use_urls and ticket.nonce in self._used
        if spent or ticket.expires <= now:
            return xml(403, "AccessDenied", "Request has expired")
        if self._quirks.single_use_urls:
            self._used.add(ticket.nonce)
        if file is None or not file.offered_at(now, self._quirks.retention):
            return xml(404, "NoSuchKey", "The specified key does not exist.")
        return None

    async def _answer(self, request: web.Request, seen: Request, file: OfferedFile | None) -> web.StreamResponse:
        assert file is not None, "an address without a file is refused before"
        errand = Errand(request, lambda hop: self.address(file, hop), self._wire)
        if seen.hop is not None:
            underway = next_hop(errand, seen.hop)
            return underway or await deliver(request, seen, self._delivery(file), self._wire)
        struck = self._faults.take(seen)
        if struck is not None and struck.fault.kind in DOWNLOAD_FAULTS:
            return await DOWNLOAD_FAULTS[struck.fault.kind](errand, struck.fault)
        return await deliver(request, seen, self._delivery(file, struck), self._wire)

    def _delivery(self, file: OfferedFile, struck: Struck | None = None) -> Delivery:
        honest = Delivery(
            content=file.content,
            last_modified=http_date(file.visible_from + timedelta(minutes=len(file.history))),
            etag=file.content.etag if self._quirks.offer_etag else None,
            encoding="gzip" if self._quirks.content_encoding else None,
        )
        return honest if struck is None else DELIVERY_FAULTS[struck.fault.kind](honest, struck)
