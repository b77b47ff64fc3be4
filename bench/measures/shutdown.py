"""The end of an environment. In: SHUTDOWN, with little or much left to tell. Out: a Section.

From inside: ``took_ms`` of the Shutdown record. From outside: the time between the deaths of the runtime's process
and of the extension's, by pidfd; RIE sends SHUTDOWN when the first has gone.
"""

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import NamedTuple

from afterglow.records import Shutdown
from afterglow_layer.failure import Failure
from bench.arms import layer_arm
from bench.effort import Effort
from bench.environment import extension_pid, plan_for, runtime_pid, started, this_python
from bench.section import Budget, Section, Table, plain
from bench.stats import bootstrap

TITLE = "SHUTDOWN received → everything printed"
BUDGET_MS = 300.0
ROUNDS = 20
DEATH_LIMIT_S = 10
FIRST = -20  # nice


class Ending(NamedTuple):
    """What the environment has behind it when it ends."""

    handler: str
    event: Mapping[str, float]
    calls: int


ENDINGS = {
    "1 invocation": Ending("trivial.handler", {}, 1),
    "1,000 invocations": Ending("trivial.handler", {}, 1000),
    "50 threads left running": Ending("lingering.handler", {"threads": 50, "seconds": 60}, 1),
    "200 findings, ended": Ending("lingering.handler", {"threads": 4}, 50),
}

METHOD = f"""\
{ROUNDS} environments per row, each shut down by RIE (SIGTERM). *From inside* is `took_ms` of the Shutdown record, up
to the record itself; *from outside* is the time between the end of the runtime's process and the end of the
extension's: RIE's own reaction, SHUTDOWN over HTTP, every record, the last EMF and the interpreter's end are in
there. The watcher shares the cores with them, and on a busy machine may see both ends at once: 0.00."""


def measure(effort: Effort, show: Callable[[Table], None]) -> Section:
    """Measure each ending."""
    inside: dict[str, list[float]] = {name: [] for name in ENDINGS}
    outside: dict[str, list[float]] = {name: [] for name in ENDINGS}
    for turn in range(effort.rounds(ROUNDS)):
        for name, ending in ENDINGS.items():
            told_ms, seen_ms = _end(ending)
            inside[name].append(told_ms)
            outside[name].append(seen_ms)
        show(plain(outside, "ms", f"From outside, round {turn + 1}"))
    budgets = [Budget(f"After {name}, from outside", BUDGET_MS, "ms", bootstrap(outside[name])) for name in ENDINGS]
    tables = [
        plain(outside, "ms", "From outside"),
        plain(inside, "ms", "From inside (`took_ms`)"),
    ]
    return Section(METHOD, budgets, tables, [])


def _end(ending: Ending) -> tuple[float, float]:
    """Return (took_ms, ms between the two processes' ends) of one environment."""
    arm = layer_arm(this_python())._replace(env={})
    with started(plan_for(arm, ending.handler)) as environment:
        for _ in range(ending.calls):
            environment.call(ending.event)
        deaths = Deaths([runtime_pid(), extension_pid()])
        environment.stop()
        runtime_ns, extension_ns = deaths.wait()
        told = [record.took_ms for record in environment.records() if isinstance(record, Shutdown)]
    if len(told) != 1:
        raise Failure(f"{len(told)} Shutdown records, not one")
    return told[0], (extension_ns - runtime_ns) / 1e6


class Deaths:
    """When processes end, by a thread that waits for nothing else."""

    def __init__(self, pids: list[int]) -> None:
        self._pids = pids
        self._at_ns: dict[int, int] = {}
        self._pidfds = {os.pidfd_open(pid): pid for pid in pids}
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        with contextlib.suppress(PermissionError):  # On a busy machine it would see both ends at once.
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), FIRST)
        with ExitStack() as stack:
            poller = select.poll()
            for pidfd in self._pidfds:
                stack.callback(os.close, pidfd)
                poller.register(pidfd, select.POLLIN)
            while len(self._at_ns) < len(self._pidfds):
                for pidfd, _ in poller.poll():
                    self._at_ns[self._pidfds[pidfd]] = time.monotonic_ns()
                    poller.unregister(pidfd)

    def wait(self) -> list[int]:
        """Return the times of the ends, in the order of the pids."""
        self._thread.join(DEATH_LIMIT_S)
        if self._thread.is_alive():
            raise Failure("a process of the sandbox did not end")
        return [self._at_ns[pid] for pid in self._pids]
