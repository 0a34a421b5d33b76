"""The HTTP side of the daemon: for now the two questions that service managers and load balancers ask.

``/livez``   200 while the event loop turns and the process does not stop, 503 once it does
``/readyz``  200 when every check is well, 503 otherwise, with each check's name

Both answer ``GET`` and ``HEAD`` to anybody who can connect; what is wrong, in words, only to this machine.
"""

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import IPv6Address, ip_address

import structlog
from aiohttp import web

from logkeep.errors import ConfigError, Problem
from logkeep.observe.logging import redactor

log = structlog.stdlib.get_logger("logkeep.web")

Probe = Callable[[], Awaitable[str | None]]
"""Returns None when well, else a short reason."""

_PROBE_TIMEOUT_S = 2.0  # a service manager's own patience is rarely longer
_REASON_CHARS = 200


class WebServer:
    """Serves the probes at one address.

    Args:
        host: An address or a name that resolves here.
        port: 0 takes a free one.
        probes: One for each thing that must work, by the name it has in the answer.
        probe_timeout_s: A probe that takes longer counts as failed and is cancelled.
    """

    def __init__(
        self, host: str, port: int, probes: Mapping[str, Probe], *, probe_timeout_s: float = _PROBE_TIMEOUT_S
    ) -> None:
        self._host = host
        self._port = port
        self._probes = dict(probes)
        self._probe_timeout_s = probe_timeout_s
        self._runner: web.AppRunner | None = None
        self._stopping = False
        self._failing: frozenset[str] = frozenset()

    @property
    def port(self) -> int:
        """The port in use; before ``open`` the one asked for."""
        addresses = self._runner.addresses if self._runner else []
        return int(addresses[0][1]) if addresses else self._port

    async def open(self) -> None:
        """Listen.

        Raises:
            ConfigError: the address cannot be listened on; nothing is left open.
        """
        runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=self._probe_timeout_s + 1)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that cannot be one
            await runner.cleanup()
            raise ConfigError([_refusal(self._host, self._port, error)]) from error
        self._runner = runner
        log.info("web_listening", host=self._host, port=self.port)

    def stopping(self) -> None:
        """From now on both probes answer 503, so that nobody sends work here or waits for it."""
        self._stopping = True

    async def close(self) -> None:
        """Stop listening, and let requests that are being answered finish. Idempotent."""
        if self._runner is not None:
            await self._runner.cleanup()

    def _app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.on_response_prepare.append(_set_headers)
        return app

    async def _livez(self, _: web.Request) -> web.Response:
        return web.json_response({"live": not self._stopping}, status=503 if self._stopping else 200)

    async def _readyz(self, request: web.Request) -> web.Response:
        reasons = await self._reasons()
        self._tell_change(reasons)
        local = _asked_from_here(request)
        ready = not self._stopping and not any(reasons.values())
        checks = {name: (reason if local else "failing") if reason else "ok" for name, reason in reasons.items()}
        return web.json_response({"ready": ready, "checks": checks}, status=200 if ready else 503)

    async def _reasons(self) -> dict[str, str | None]:
        """Every check's reason to fail, all asked at once."""
        async with asyncio.TaskGroup() as group:
            asked = {name: group.create_task(self._ask(name, probe)) for name, probe in self._probes.items()}
        return {name: task.result() for name, task in asked.items()}

    async def _ask(self, name: str, probe: Probe) -> str | None:
        try:
            async with asyncio.timeout(self._probe_timeout_s):
                reason = await probe()
        except TimeoutError:
            return f"no answer within {self._probe_timeout_s:g} s"
        except Exception as error:
            log.exception("probe_crashed", check=name)
            return f"the check itself failed ({type(error).__name__})"
        return None if reason is None else redactor().text(reason)[:_REASON_CHARS] or "failing"

    def _tell_change(self, reasons: Mapping[str, str | None]) -> None:
        """Log when the set of failing checks changes, not each time somebody asks."""
        failing = {name: reason for name, reason in reasons.items() if reason}
        if self._failing == frozenset(failing):
            return
        self._failing = frozenset(failing)
        if failing:
            log.warning("readiness_lost", checks=failing)
        else:
            log.info("readiness_regained")


async def _set_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "logkeep"
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"


def _asked_from_here(request: web.Request) -> bool:
    """Whether the question comes from this machine, and not through a proxy on it."""
    proxied = any(name in request.headers for name in ("Forwarded", "X-Forwarded-For", "Via"))
    return not proxied and is_loopback(request.remote)


def is_loopback(peer: str | None) -> bool:
    """Whether a peer's address is this machine's own; anything that is no address is not."""
    try:
        address = ip_address(peer or "")
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def _refusal(host: str, port: int, error: OSError | UnicodeError) -> Problem:
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    number = error.errno or 0 if isinstance(error, OSError) else 0
    why = {
        errno.EADDRINUSE: "is in use",
        errno.EACCES: "needs more rights than this user has",
        errno.EADDRNOTAVAIL: "is no address of this machine",
    }.get(number) or f"cannot be listened on ({os.strerror(number) if number > 0 else 'no such name'})"
    return Problem("web.listen", f'{where} {why}; choose another or set it to ""')
