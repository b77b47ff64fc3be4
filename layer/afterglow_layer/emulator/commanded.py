"""``Lambda``: an execution environment that tests can command.

In: the runtime's command, extensions or a whole layer, settings, misbehaviours; then invocations and commands.
Out: answers, and everything that was seen. The runtime and the extensions are real processes; the platform is this
process.

>>> with Lambda(managed_python("app.handler"), layer=Path("layer")) as function:
...     answer = function.invoke({"n": 1})
...     function.shutdown("SPINDOWN")
"""

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from afterglow_layer.emulator import phase_invoke, phase_managed
from afterglow_layer.emulator.answer import Answer, Invocation
from afterglow_layer.emulator.holding import take_hold
from afterglow_layer.emulator.journal import Journal, Seen
from afterglow_layer.emulator.layered import LayeredOpt, extensions_of
from afterglow_layer.emulator.phase_freeze import freeze, thaw
from afterglow_layer.emulator.phase_shutdown import kill_everyone, shut_down
from afterglow_layer.emulator.router import Router
from afterglow_layer.emulator.sandbox import Sandbox
from afterglow_layer.emulator.settings import InitType, LambdaSettings, Misbehaviour, ShutdownReason
from afterglow_layer.emulator.wire import Server

EAGER = (InitType.PROVISIONED, InitType.SNAP_START, InitType.MANAGED)
"""These initialise before the first invocation; on demand, the first invocation starts everything."""


def _ignore(who: str, line: str) -> None:
    """Print nothing: the journal has every line."""


class Lambda:
    """One function's environment, from the first start to the last shutdown. A context manager."""

    def __init__(
        self,
        runtime_cmd: Sequence[str],
        extensions: Sequence[Path] = (),
        settings: LambdaSettings | None = None,
        misbehave: Misbehaviour | None = None,
        *,
        layer: Path | None = None,
        on_line: Callable[[str, str], None] = _ignore,
        address: tuple[str, int] = ("127.0.0.1", 0),
    ) -> None:
        self.settings = settings or LambdaSettings()
        self.journal = Journal()
        self._layer = layer
        self._opt: LayeredOpt | None = None
        paths = [*(extensions_of(layer) if layer else []), *(Path(path).absolute() for path in extensions)]
        self._sandbox = Sandbox(
            list(runtime_cmd),
            paths,
            settings=self.settings,
            misbehave=misbehave or Misbehaviour(),
            journal=self.journal,
            on_line=on_line,
        )
        self._server = Server(Router(self._sandbox), address)
        self._sandbox.runtime_api = self._server.address
        self._open: list[Invocation] = []

    def __enter__(self) -> "Lambda":  # noqa: PYI034 - Self came with 3.11, and nobody derives from this
        if self._layer is not None:
            self._opt = LayeredOpt(self._layer, self.settings.cwd)
            self._sandbox.launcher = self._opt.launcher
        self._server.start()
        self._sandbox.hold = take_hold(self.settings.freezer, self.runtime_api)
        self._start_ahead()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Shut down in order, or, when the caller's block failed, kill what is there."""
        try:
            if kind is None:
                self.shutdown()
        finally:
            kill_everyone(self._sandbox)
            self._sandbox.hold.close()
            self._server.stop()
            if self._opt is not None:
                self._opt.close()

    @property
    def runtime_api(self) -> str:
        """The address that AWS_LAMBDA_RUNTIME_API holds."""
        return self._server.address

    @property
    def events(self) -> tuple[Seen, ...]:
        """Everything seen so far, in order."""
        return self.journal.events

    def wait_for(self, wanted: Callable[[Seen], bool], *, timeout_s: float = 15.0, after: Seen | None = None) -> Seen:
        """Return the first event that ``wanted`` accepts; else NeverSeen, with the last events in it."""
        return self.journal.wait_for(wanted, timeout_s=timeout_s, after=after)

    def begin(self, event: object = None, *, trace: str | None = None, client_context: str | None = None) -> Invocation:
        """Invoke and return at once; ``.wait()`` gives the answer. Only Managed Instances serve several together."""
        invocation = Invocation(as_payload(event), trace, client_context)
        self._open = [each for each in self._open if not each.ended.is_set()] + [invocation]
        self.journal.note("invoke.asked", "caller", request_id=invocation.request_id)
        threading.Thread(target=self._serve, args=(invocation,), daemon=True).start()
        return invocation

    def invoke(self, event: object = None, *, trace: str | None = None, client_context: str | None = None) -> Answer:
        """Invoke and return the answer, while an extension may still be busy (``settle`` waits for that)."""
        return self.begin(event, trace=trace, client_context=client_context).wait()

    def settle(self) -> None:
        """Wait until every invocation has been reported, and the environment is frozen if it freezes."""
        for invocation in self._open:
            invocation.ended.wait()

    def shutdown(self, reason: str | ShutdownReason = ShutdownReason.SPINDOWN) -> None:
        """End the environment, if one is there; the next invocation starts another."""
        self.settle()
        with self._sandbox.turn:
            if self._sandbox.processes():
                shut_down(self._sandbox, ShutdownReason(reason))

    def freeze(self) -> None:
        """Freeze now; for tests that want it out of turn."""
        with self._sandbox.turn:
            freeze(self._sandbox)

    def thaw(self) -> None:
        """Thaw now; for tests that want it out of turn."""
        with self._sandbox.turn:
            thaw(self._sandbox)

    def _serve(self, invocation: Invocation) -> None:
        """Run one invocation; whatever breaks in here must not leave its caller waiting."""
        try:
            if self.settings.init_type is InitType.MANAGED:
                phase_managed.serve(self._sandbox, invocation)
            else:
                with self._sandbox.turn:
                    phase_invoke.serve(self._sandbox, invocation)
        finally:
            invocation.give(500, b"", "Emulator.Bug")
            self.journal.note("invoke.done", "platform", request_id=invocation.request_id)
            invocation.ended.set()

    def _start_ahead(self) -> None:
        if self.settings.init_type not in EAGER:
            return
        with self._sandbox.turn:
            started = phase_invoke.start_cold(self._sandbox) is not None
            self._sandbox.restore_due = started and self.settings.init_type is InitType.SNAP_START
            if started and self.settings.freeze and self.settings.init_type is not InitType.MANAGED:
                freeze(self._sandbox)


def as_payload(event: object) -> bytes:
    """Return the event's bytes: bytes as they are, anything else as JSON, nothing as an empty object."""
    if isinstance(event, bytes):
        return event
    return json.dumps({} if event is None else event).encode()
