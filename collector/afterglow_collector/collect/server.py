"""Runs the service in this process, from start to stop.

In: Options. Out: an exit status, and on the way a line for each thing that an operator would ask about.

    open the data folder → restore the state → start journal, publisher, sinks → listen → … → SIGTERM
    → listen no more → answer what is under way → close all minutes → save → let the sinks send → 0

SIGHUP reads tokens and certificate again. A second SIGTERM stops the waiting: nothing is lost by it.
"""

import asyncio
import logging
import os
import resource
import signal
import sys
import time
from contextlib import suppress

import uvloop

from afterglow_collector.collect import listening
from afterglow_collector.collect.assembly import Parts, assemble
from afterglow_collector.collect.connection import Connection
from afterglow_collector.collect.options import Options
from afterglow_collector.collect.together import Together
from afterglow_collector.collect.tokens import TokenError

LOG = logging.getLogger(__name__)

SWITCH_S = 0.0005
"""How long a thread may keep the interpreter from another that asks for it. With Python's 5 ms the journal's thread
would wait 25 times as long for each of its few instructions as for a sync."""

TICK_S = 1.0
_HANDSHAKE_S = 10.0
_LOOK_S = 0.02  # between two looks at whether the last connection is gone


def run(options: Options) -> int:
    """Run until SIGTERM or SIGINT; return the exit status. StartError or ListenError when it cannot be started."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    sys.setswitchinterval(SWITCH_S)
    _raise_file_limit(options.max_connections)
    loop = uvloop.new_event_loop()
    try:
        return loop.run_until_complete(_Server(options).run())
    finally:
        loop.close()


class _Server:
    """The process's life."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.address = listening.parse_address(options.listen)
        self.tls = listening.tls_context(options.tls_cert, options.tls_key)
        self.stop = asyncio.Event()
        self.hurry = asyncio.Event()

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        together = Together(loop.call_soon)
        parts = assemble(self.options, os.environ, lambda work: loop.call_soon_threadsafe(together.run, work))
        service = parts.service
        listening.check_access(self.address, tokens=bool(service.tokens), insecure=self.options.insecure)
        sock, address = listening.open_socket(self.address)
        self._watch_signals(parts)
        parts.start()
        handshake_s = _HANDSHAKE_S if self.tls else None
        server = await loop.create_server(
            lambda: Connection(service, loop.time, together),
            sock=sock,
            ssl=self.tls,
            backlog=listening.BACKLOG,
            ssl_handshake_timeout=handshake_s,
        )
        LOG.info("listening on %s", address.shown("https" if self.tls else "http"))
        await self._tick_until_stopped(parts)
        server.close()
        await self._drain(parts)
        if address.path is not None:
            os.unlink(address.path)  # noqa: PTH108 - the socket is ours
        LOG.info("stopped")
        return 0

    def _watch_signals(self, parts: Parts) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload, parts)

    def _asked_to_stop(self) -> None:
        if self.stop.is_set():
            self.hurry.set()
        self.stop.set()

    def _reload(self, parts: Parts) -> None:
        try:
            parts.service.tokens.load()
            if self.tls is not None and self.options.tls_cert is not None:
                listening.load_certificate(self.tls, self.options.tls_cert, self.options.tls_key)
        except (TokenError, listening.ListenError) as error:
            LOG.error("%s; what was in force stays so", error)  # noqa: TRY400 - the file's fault, no bug's
        else:
            LOG.info("read tokens and certificate again")

    async def _tick_until_stopped(self, parts: Parts) -> None:
        loop = asyncio.get_running_loop()
        while not self.stop.is_set():
            parts.service.tick()
            for connection in list(parts.service.connections):
                connection.check(loop.time(), self.options.request_timeout_s, self.options.idle_timeout_s)
            if parts.runners:
                parts.publisher.outbox.trim(min(runner.acknowledged_seq for runner in parts.runners) + 1)
            await _set_within(self.stop, TICK_S)

    async def _drain(self, parts: Parts) -> None:
        """Bring everything to its end: requests, minutes, state, sinks."""
        service = parts.service
        service.stopping = True
        until_s = time.monotonic() + self.options.drain_s
        LOG.info("stopping: %d connections", len(service.connections))
        while service.connections and time.monotonic() < until_s and not self.hurry.is_set():
            for connection in list(service.connections):
                connection.close_when_idle()
            await _set_within(self.hurry, _LOOK_S)
        closed = asyncio.Event()
        service.close_all(closed.set)
        await closed.wait()
        service.save()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, parts.publisher.stop)
        await self._stop_sinks(parts, max(0.0, until_s - time.monotonic()))
        if parts.journal is not None:
            await loop.run_in_executor(None, parts.journal.stop)
        parts.publisher.outbox.close()
        os.close(parts.lock)

    async def _stop_sinks(self, parts: Parts, drain_s: float) -> None:
        loop = asyncio.get_running_loop()
        stops = [loop.run_in_executor(None, runner.stop, drain_s) for runner in parts.runners]
        for runner, drained in zip(parts.runners, await asyncio.gather(*stops), strict=True):
            if not drained:
                LOG.warning("sink %s: not all was sent; it goes on from there at the next start", runner.name)


async def _set_within(event: asyncio.Event, limit_s: float) -> None:
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(event.wait(), limit_s)


def _raise_file_limit(connections: int) -> None:
    """Ask for as many open files as connections take; what the hard limit allows is all that there is to get."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + 256
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
