"""The invocations of a run, one after the other, with a freeze after each.

In: a plan and a sandbox that is up. Out: Calls, and what went wrong on the way.
"""

import time
from collections.abc import Sequence

from afterglow_collector.facts import Call
from afterglow_layer.local.cgroups import FreezeError
from afterglow_layer.local.freezer import NoFreezer
from afterglow_layer.local.invoke import TIMED_OUT, invoke, judge
from afterglow_layer.local.logs import Logs
from afterglow_layer.local.plan import Plan
from afterglow_layer.local.sandbox import Sandbox

PATIENCE_S = 15.0  # Past the function's timeout: RIE takes up to 2 s for a shutdown, a slow machine more.
START_LINE_LIMIT_S = 0.5
ANSWER_KEPT = 2000


class Calls:
    """The calls of one run, and what went wrong on the way."""

    def __init__(self, plan: Plan, sandbox: Sandbox, logs: Logs, before: Sequence[Call] = ()) -> None:
        """Go on from the calls of earlier environments."""
        self.plan = plan
        self.made: list[Call] = [*before]
        self.problem: str | None = None
        self.logs = logs
        self.freezer = sandbox.freezer
        self._sandbox = sandbox
        self._frozen_ms = 0.0
        self.frozen_after_ms: float | None = None

    def drive(self) -> bool:
        """Make every call, freeze after each, then let RIE shut down; tell whether Ctrl-C cut it short."""
        interrupted = False
        try:
            for event in self.plan.events:
                self.made.append(self._call(len(self.made) + 1, event))
                if self._over():
                    break
                self._hold_frozen()
        except KeyboardInterrupt:
            interrupted = True
        self._sandbox.stop()
        return interrupted

    def _call(self, number: int, event: bytes) -> Call:
        self.frozen_after_ms = None
        starts, expired = self.logs.starts(), self._sandbox.watch.expired
        sent_at_ms = time.time() * 1000
        answer = invoke(self._sandbox.invoke_port, event, self.plan.timeout_s + PATIENCE_S)
        request_id = self.logs.request_id_after(starts, START_LINE_LIMIT_S)
        outcome, error_type = judge(answer, request_id)
        if self._sandbox.watch.expired > expired:  # RIE saw a runtime that was killed.
            outcome, error_type = TIMED_OUT
        return Call(
            index=number,
            request_id=request_id,
            sent_at_ms=sent_at_ms,
            took_ms=answer.took_ms,
            http_status=answer.http_status,
            outcome=outcome,
            error_type=error_type,
            answer=answer.body.decode(errors="replace")[:ANSWER_KEPT],
            frozen_before_ms=self._frozen_ms,
        )

    def _over(self) -> bool:
        if self.made[-1].outcome != "no-answer":
            return False
        # The connection breaks a moment before the process is known to be gone.
        state = "ended" if self._sandbox.ends_within(1.0) else "gave no answer"
        self.problem = f"{self._name()} {state} in invocation {len(self.made)}:\n{self.logs.last_of_rie()}"
        return True

    def _name(self) -> str:
        return "RIE" if self.plan.rie else f"the {self.plan.emulator}"

    def _hold_frozen(self) -> None:
        """Freeze at once, stay so for the gap, thaw: the next request, or SHUTDOWN, follows at once."""
        begin = time.monotonic()
        try:
            self.freezer.freeze()
            begin = time.monotonic()
            time.sleep(self.plan.gap_s)
        except FreezeError as error:
            self.problem = f"not frozen after invocation {len(self.made)}, nor after any later one: {error}"
            self.freezer = NoFreezer()
        finally:
            self.freezer.thaw()
        is_still = self.freezer.name != NoFreezer.name
        self._frozen_ms = (time.monotonic() - begin) * 1000 if is_still else 0.0
        self.frozen_after_ms = self._frozen_ms
