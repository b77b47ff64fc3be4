"""The Init phase: extensions, runtime, and everyone's first ``/next``.

In: a sandbox without processes. Out: one that waits for its first invocation, and the phase's telemetry; or
InitFailed. The order is RIE's (RIE source, rapid/handlers.go, doRuntimeDomainInit): extensions are started
and *all must register*, then the runtime is started; it asks for its first event, then registration closes;
each extension asks for its first event, then subscription to telemetry closes.
"""

import time
from collections.abc import Sequence

from afterglow_layer.emulator import environ, facts, telemetry_events
from afterglow_layer.emulator.figures import SUCCESS, TIMED_OUT, Ending
from afterglow_layer.emulator.parties import Extension, Fault, Faulted, OutOfTime, Party
from afterglow_layer.emulator.processes import Process, describe_exit
from afterglow_layer.emulator.sandbox import Sandbox
from afterglow_layer.emulator.states import ExtensionState, RuntimeState

WAITING = (RuntimeState.READY, RuntimeState.RESTORE_READY)


class InitFailed(Exception):  # noqa: N818 - a turn of events that the lifecycle handles
    """Init did not get to its end; ``fault`` is None when it ran out of time."""

    def __init__(self, ending: Ending, fault: Fault | None) -> None:
        super().__init__(f"{ending.status} {ending.error_type or ''}")
        self.ending = ending
        self.fault = fault


def initialise(sandbox: Sandbox, phase: str, limit_ms: float) -> float:
    """Run the phase (``init``, or ``invoke`` for a suppressed init) and return how long it took, in ms."""
    began = time.monotonic()
    sandbox.journal.note("init.start", "platform", phase=phase)
    sandbox.registration_open = sandbox.subscription_open = True
    sandbox.telemetry.emit("platform.initStart", telemetry_events.init_start(sandbox.settings, phase))
    failed: InitFailed | None = None
    try:
        _start_everyone(sandbox, began + limit_ms / 1000)
    except Faulted as broken:
        failed = InitFailed(Ending("error", broken.fault.error_type), broken.fault)
    except OutOfTime:
        failed = InitFailed(TIMED_OUT, None)
    took_ms = (time.monotonic() - began) * 1000
    _tell(sandbox, phase, SUCCESS if failed is None else failed.ending, took_ms)
    if failed is not None:
        raise failed
    sandbox.ready = True
    return took_ms


def _start_everyone(sandbox: Sandbox, deadline_mono_s: float) -> None:
    for path in sandbox.extension_paths:
        extension = Extension(name=path.name)
        sandbox.extensions.append(extension)
        if len(sandbox.extensions) > facts.MAX_EXTENSIONS:
            raise Faulted(Fault("Extension.LaunchError", "TooManyExtensions"))
        _start(sandbox, extension, extension.name, [str(path)], "Extension.LaunchError")
    sandbox.wait_until(lambda: _none(sandbox, ExtensionState.STARTED), deadline_mono_s)
    _start(sandbox, sandbox.runtime, "runtime", sandbox.runtime_command, "Runtime.InvalidEntrypoint")
    sandbox.wait_until(lambda: sandbox.runtime.state in WAITING, deadline_mono_s)
    sandbox.registration_open = False
    sandbox.wait_until(lambda: _none(sandbox, ExtensionState.REGISTERED), deadline_mono_s)
    sandbox.subscription_open = False
    sandbox.telemetry.close_subscription()


def _none(sandbox: Sandbox, state: ExtensionState) -> bool:
    return all(extension.state is not state for extension in sandbox.extensions)


def _start(sandbox: Sandbox, party: Party, who: str, command: Sequence[str], blame: str) -> None:
    """Execute a party's program; a file without run bit or shebang breaks the environment (seen on RIE)."""
    extension = isinstance(party, Extension)
    variables = environ.extension_environ if extension else environ.runtime_environ
    log_type = "extension" if extension else "function"

    def printed(process: Process, line: str) -> None:
        sandbox.journal.note("output", process.name, line=line)
        sandbox.on_line(process.name, line)
        sandbox.telemetry.log(log_type, line)

    try:
        party.process = Process(
            who,
            [*sandbox.launcher, *sandbox.settings.launcher, *command],
            environ=variables(sandbox.settings, sandbox.runtime_api),
            cwd=sandbox.settings.cwd,
            on_line=printed,
            on_exit=lambda process, code: _exited(sandbox, party, process, code),
        )
    except OSError as error:
        raise Faulted(Fault(blame, str(error))) from None
    sandbox.hold.adopt(party.process.pid)
    sandbox.journal.note("process.start", who, pid=party.process.pid)


def _exited(sandbox: Sandbox, party: Party, process: Process, code: int) -> None:
    """Nobody may exit while the environment lives (RIE source, rapid/handlers.go, watchEvents)."""
    with sandbox.lock:  # who reads of the exit in the journal, and invokes at once, meets what came of it
        sandbox.journal.note("process.exit", process.name, code=code, pid=process.pid)
        if party.gone or sandbox.closing:
            sandbox.changed()
        elif isinstance(party, Extension):
            message = f"exit code {code}" if code == 0 else describe_exit(code)
            sandbox.break_with(Fault(sandbox.blamed or "Extension.Crash", message))
        else:
            cause = "without providing a reason" if code == 0 else f"with error: {describe_exit(code)}"
            blame = sandbox.blamed or "Runtime.ExitError"
            sandbox.break_with(Fault(blame, f"Runtime exited {cause}", sandbox.init_error_body))


def _tell(sandbox: Sandbox, phase: str, ending: Ending, took_ms: float) -> None:
    """Emit what ends an init, in the order of RIE's deferred calls."""
    settings, emit = sandbox.settings, sandbox.telemetry.emit
    emit("platform.initRuntimeDone", telemetry_events.init_runtime_done(settings, phase, ending))
    for each in sandbox.extensions:
        record = telemetry_events.extension(each.name, each.state.value, each.events, each.error_type)
        emit("platform.extension", record)
    emit("platform.initReport", telemetry_events.init_report(settings, phase, ending, took_ms))
    sandbox.journal.note("init.done", "platform", phase=phase, status=ending.status, took_ms=took_ms)
