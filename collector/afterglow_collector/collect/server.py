"""Runs the service in this process, from start to stop.

In: Options. Out: an exit status, and on the way a line for each thing that an operator would ask about.

    open the data folder → restore the state → start journal, publisher, sinks → listen → … → SIGTERM
    → listen no more → answer what is under way → close all minutes → save → let the sinks send → 0

SIGHUP reads tokens and certificate again. A second SIGTERM stops the waiting: nothing is lost by it; further ones, also
those that come while the process ends, change nothing.
"""

import asyncio
import logging
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType

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
_WATCHED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
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
            ssl=self.tls.context if self.tls else None,
            backlog=listening.BACKLOG,
            ssl_handshake_timeout=handshake_s,
        )
        LOG.info("listening on %s", address.shown("https" if self.tls else "http"))
        await self._tick_until_stopped(parts)
        server.close()
        await self._drain(parts)
        if address.path is not None:
            with suppress(OSError):  # somebody has removed it meanwhile
                Path(address.path).unlink()
        for number in _WATCHED:
            signal.signal(number, signal.SIG_IGN)
        LOG.info("stopped")
        return 0

    def _watch_signals(self, parts: Parts) -> None:
        """Have signals handled in the loop. The loop's own handlers would go with it, before the process has ended."""
        loop = asyncio.get_running_loop()

        def watch(number: int, act: Callable[[], None]) -> None:
            def caught(_number: int, _frame: FrameType | None) -> None:
                loop.call_soon_threadsafe(act)

            signal.signal(number, caught)

        watch(signal.SIGTERM, self._asked_to_stop)
        watch(signal.SIGINT, self._asked_to_stop)
        watch(signal.SIGHUP, lambda: self._reload(parts))

    def _asked_to_stop(self) -> None:
        if self.stop.is_set():
            self.hurry.set()
        self.stop.set()

    def _reload(self, parts: Parts) -> None:
        """Read tokens and certificate anew. Each is for itself: one that is no use keeps the other from nothing."""
        wrong = []
        for load in (parts.service.tokens.load, self.tls.load if self.tls is not None else None):
            try:
                if load is not None:
                    load()
            except (TokenError, listening.ListenError) as error:
                wrong.append(str(error))
        for words in wrong:
            LOG.error("%s; what was in force stays so", words)
        if not wrong:
            LOG.info("read tokens and certificate again")

    async def _tick_until_stopped(self, parts: Parts) -> None:
        while not self.stop.is_set():
            try:
                self._tick(parts)
            except Exception:  # one of the service's two guards: the next tick may do what this one could not
                LOG.exception("tick")
                parts.service.counts.bugs += 1
            await _set_within(self.stop, TICK_S)

    def _tick(self, parts: Parts) -> None:
        parts.service.tick()
        now_s = asyncio.get_running_loop().time()
        for connection in list(parts.service.connections):
            connection.check(now_s, self.options.request_timeout_s, self.options.idle_timeout_s)
        if parts.runners:
            parts.publisher.outbox.trim(min(runner.acknowledged_seq for runner in parts.runners) + 1)

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
        try:
            parts.publisher.outbox.close()
        except OSError as error:
            LOG.error("outbox: %s; the next start makes again what is not on disk", error)  # noqa: TRY400 - the disk's
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
