"""The extension's first instructions: register, put ``/next`` on the wire, and only then import the rest.

In: the environment that Lambda gives an extension. Out: a registered extension that runs ``afterglow.main``,
or, when anything in that breaks, a bare loop that only calls ``/next``, so that the function never notices.
Lambda starts the runtime only when all extensions have registered: until then each import is cold start.
Only ``posix``, ``_socket`` and what is built into the interpreter are here for that reason, and what the rest needs
of ``boot`` has no module of its own below both: docs/decisions/0008-imports-in-portions.md.
"""

import _socket
import gc
import posix
import sys
import time

from afterglow.runtime_api import ApiError, RuntimeApi

TYPE_CHECKING = False  # importing typing for this constant would cost 3 ms
if TYPE_CHECKING:
    from collections.abc import Sequence

    from afterglow.handover import Answerer
    from afterglow.subscription import Subscription

NAME = b"afterglow"  # must equal the file's name in /opt/extensions
HOOK_BACKLOG = 64
NICEST = 19
MARK_EVERY_NS = 5_000_000
SHORTEST_PAUSE_S = 0.01
LONGEST_PAUSE_S = 1.0


class Handoff:
    """What boot has in hand when it calls ``main``: the connection, the hook's listener, and its own clocks."""

    __slots__ = (
        "answerer",
        "api",
        "boot_cpu_ns",
        "early",
        "identity",
        "listener",
        "marks",
        "oom_kills",
        "registered_mono_ns",
        "started_mono_ns",
        "subscribed",
        "subscription",
    )

    def __init__(self, api: RuntimeApi, listener: "_socket.socket | None") -> None:
        self.api = api
        self.listener = listener
        self.started_mono_ns = 0
        self.boot_cpu_ns = 0
        self.registered_mono_ns = 0
        self.identity = b"{}"
        self.subscribed = True  # to INVOKE
        self.subscription: Subscription | None = None
        self.answerer: Answerer | None = None  # who answers events while we import; None: ourselves
        self.oom_kills: int | None = None  # when we were started, if that was long ago
        self.early: list[tuple[bytes, int]] = []  # events that came before ``main`` ran, and when
        self.marks: list[tuple[int, int, bytes]] = []  # clocks on the way there: see ``mark``


def say(text: str) -> None:
    """One line on stderr, in one write, so that it cannot be torn apart by the function's own output."""
    posix.write(2, f"afterglow: {text}\n".encode())


def hook_address(runtime_api: str) -> bytes:
    """Name of the abstract Unix socket that the hook sends to; per Runtime API, so environments don't mix."""
    return b"\0afterglow/1/" + runtime_api.encode()


def open_listener(runtime_api: str) -> "_socket.socket | None":
    """Listen for the hook before the runtime exists. None: no Unix sockets here, or the name is taken."""
    listener = None
    try:
        # SEQPACKET keeps datagram boundaries; a plain datagram socket would hold 10 only
        # (net.unix.max_dgram_qlen), and would not tell when the runtime's process dies.
        listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_NONBLOCK)
        listener.bind(hook_address(runtime_api))
        listener.listen(HOOK_BACKLOG)
    except OSError as error:
        if listener is not None:
            listener.close()
        say(f"cannot listen for the hook ({error}): going on with what /proc shows")
        return None
    return listener


def register(handoff: Handoff) -> None:
    """Register for INVOKE and SHUTDOWN; for SHUTDOWN alone where INVOKE is refused (Managed Instances)."""
    answer = handoff.api.register(NAME, b'["INVOKE","SHUTDOWN"]')
    if answer.status == 403 and b"InvalidEventType" in answer.body:
        handoff.subscribed = False
        answer = handoff.api.register(NAME, b'["SHUTDOWN"]')
    if answer.status != 200 or not handoff.api.extension_id:
        raise ApiError(f"register was answered {answer.status}: {answer.body[:200]!r}")
    handoff.identity = answer.body


def subscribe(handoff: Handoff) -> None:
    """Ask for telemetry unless that is switched off; the answer is read later."""
    if posix.environ.get(b"AFTERGLOW_TELEMETRY", b"on").lower() not in (b"off", b"0", b"false"):
        from afterglow.subscription import Subscription  # noqa: PLC0415 - register need not wait for it

        handoff.subscription = Subscription(handoff.api.address, handoff.api.extension_id, hurried=handoff.subscribed)


class Answering:
    """A finder that finds nothing: Python asks it before each module that it loads, and an INVOKE gets its answer.

    Lambda and RIE wait for that answer. In portions of whole packages it would come up to 6 ms late.
    """

    __slots__ = ("_handoff",)

    def __init__(self, handoff: Handoff) -> None:
        self._handoff = handoff

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Answer what has come meanwhile; after SHUTDOWN there is nothing to answer."""
        del name, path, target
        handoff = self._handoff
        if time.monotonic_ns() - handoff.marks[-1][0] > MARK_EVERY_NS:
            mark(handoff)
        answer = handoff.api.take_now() if handoff.api.pending else None
        if answer is not None:
            handoff.early.append((answer.body, time.monotonic_ns()))
            if not is_shutdown(answer.body):
                handoff.api.send_next()


def mark(handoff: Handoff) -> None:
    """Take our clocks down: on a small function, freezes come over our own start, and ``poller`` tells them by these.

    Monotonic and CPU time, and what the kernel says of waiting for a CPU (/proc/PID/schedstat), to be parsed later.
    """
    schedstat = b""
    try:
        descriptor = posix.open("/proc/self/schedstat", posix.O_RDONLY | posix.O_CLOEXEC)
        schedstat = posix.read(descriptor, 100)
        posix.close(descriptor)
    except OSError:  # where the kernel does not count
        pass
    handoff.marks.append((time.monotonic_ns(), time.process_time_ns(), schedstat))


def import_the_rest(handoff: Handoff) -> None:
    """Import what ``run`` needs, without garbage collection: modules make none, and it takes a tenth of the CPU."""
    gc.disable()
    mark(handoff)
    answering = Answering(handoff)
    sys.meta_path.insert(0, answering)
    try:
        __import__("afterglow.main")
    finally:
        sys.meta_path.remove(answering)
        gc.enable()


def take_over(handoff: Handoff) -> None:
    """Answer events ourselves from here on, if somebody else did so until now."""
    if handoff.answerer is not None:
        from afterglow.handover import take_over  # noqa: PLC0415 - it was there first, then

        take_over(handoff)


def is_shutdown(event: bytes) -> bool:
    """Return whether an event ends the environment; boot has no JSON parser at hand."""
    return b'"eventType":"SHUTDOWN"' in event.replace(b" ", b"")


def bare_loop(handoff: Handoff) -> None:
    """Keep the environment alive without doing anything: the last resort that must always work.

    ApiError when there is no Runtime API any more, and so no environment.
    """
    if handoff.listener is not None:
        handoff.listener.close()  # the hook sees that nobody listens, and stops
    api, pause_s = handoff.api, SHORTEST_PAUSE_S
    while not is_shutdown(api.latest):
        try:
            if not api.pending:
                api.send_next()
            status = api.receive().status
        except (ApiError, OSError):  # it hung up, or what it sent cannot be read on from
            status = 0
            api.reconnect()
        if status == 200:
            pause_s = SHORTEST_PAUSE_S
        else:  # a refusal comes at once: asking again at once would burn the function's CPU
            time.sleep(pause_s)
            pause_s = min(LONGEST_PAUSE_S, pause_s * 2)


def main(inherited: "Sequence[str]" = ()) -> None:
    """Run the extension until SHUTDOWN; exit status 1 when the Runtime API does not speak to us.

    ``inherited`` is the launcher's argument, if it could do anything for us.
    """
    try:
        live(time.monotonic_ns(), time.process_time_ns(), inherited)
    except (ApiError, OSError) as error:
        say(f"{error}: nothing is profiled")
        sys.exit(1)


def live(started_mono_ns: int, boot_cpu_ns: int, inherited: "Sequence[str]" = ()) -> None:
    """Register or find it done, import the rest, run it. The clocks are those of the first instruction."""
    runtime_api = posix.environ.get(b"AWS_LAMBDA_RUNTIME_API", b"").decode()
    if not runtime_api:
        say("AWS_LAMBDA_RUNTIME_API is not set: this program is started by Lambda, from /opt/extensions")
        sys.exit(2)
    if inherited:
        from afterglow.handover import adopt  # noqa: PLC0415 - nobody waits for us

        handoff = adopt(inherited[0], runtime_api)
    else:
        handoff = Handoff(RuntimeApi(runtime_api), open_listener(runtime_api))
        handoff.started_mono_ns, handoff.boot_cpu_ns = started_mono_ns, boot_cpu_ns
        register(handoff)
        handoff.registered_mono_ns = time.monotonic_ns()
        handoff.api.send_next()
    try:
        if not inherited:
            subscribe(handoff)  # before the function goes first: it might have ended its Init by then
        posix.nice(NICEST)
        try:
            import_the_rest(handoff)
        finally:
            take_over(handoff)
        from afterglow.main import run  # noqa: PLC0415 - after register, that is the point

        run(handoff)
    except Exception as error:  # noqa: BLE001 - the outer guard: log once, let the function live
        say(f"{type(error).__name__}: {error}; profiling ends here, the function goes on undisturbed")
    bare_loop(handoff)  # has nothing to do after SHUTDOWN
