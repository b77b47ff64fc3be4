"""One invocation, from what three witnesses say of it. In: hook, platform and /proc. Out: its records.

Pure. The platform's figure stands before the hook's, the hook's before what was observed; ``sources`` says which.
"""

from typing import Any, NamedTuple

from afterglow.callsite import Stack
from afterglow.endings import Evidence, ending
from afterglow.records import Ending, Invocation

CURVE_POINTS = 120
RUNTIME_BUDGET_NS = 700_000_000  # 30 % of SHUTDOWN's 2 s (RIE source, rapid/shutdown.go), and a little
WORKER_GONE = "worker-gone"
DEADLY_WITHIN_NS = 250_000_000  # from a deadly signal to a process that is gone, its memory given back
WATCHED = ("timeout", "out-of-memory", "aborted")
"""Endings that stacks taken before them, as time or memory ran out, have to do with. An exit is another matter."""


_UNKNOWN: dict[str, Any] = dict.fromkeys(Invocation._fields)


class Exit(NamedTuple):
    """A call that ends the process that makes it, or can: ``os._exit``, a signal to somebody."""

    call: str
    at_ns: int
    stack: Stack

    def ended_it(self, gone_ns: int | None) -> bool:
        """Return whether the process went right after it; the signal may have been somebody else's."""
        return self.call == "os._exit" or (gone_ns is not None and 0 <= gone_ns - self.at_ns < DEADLY_WITHIN_NS)


class Closing(NamedTuple):
    """What is known of the environment's end, for the invocations that did not outlive it."""

    reason: str  # SHUTDOWN's, lower case
    fatal: str | None = None
    stacks: tuple[Stack, ...] = ()
    oom_kills: int = 0
    runtime_gone_early: bool = False
    gone_ns: int | None = None  # when the runtime's process went, as far as that was seen
    exited: Exit | None = None  # what Init called last that ends its process


class Running:
    """An invocation that has begun."""

    __slots__ = (
        "agent_cpu_from_ms",
        "closing",
        "curve",
        "error_message",
        "error_origin",
        "error_stack",
        "exited",
        "frozen_ms",
        "gone_ns",
        "index",
        "invoked_ns",
        "is_invited",
        "memory_looks",
        "own",
        "peak_rss_bytes",
        "pid",
        "platform",
        "request_id",
        "returned",
        "seen",
        "trace",
        "verdict",
    )

    def __init__(self, request_id: str, index: int, invoked_ns: int, agent_cpu_ms: float) -> None:
        self.request_id = request_id
        self.index = index
        self.invoked_ns = invoked_ns
        self.agent_cpu_from_ms = agent_cpu_ms
        self.frozen_ms: float | None = None
        self.trace: str | None = None
        self.is_invited = True  # False: the hook has seen it, but its INVOKE has not been read yet
        self.pid: int | None = None  # of the process that runs the handler: on Managed Instances, one of several
        self.gone_ns: int | None = None  # when that process went, amid the invocation, the environment living on
        self.closing: Closing | None = None  # what it left behind
        self.verdict: tuple[str, str] | None = None  # settled already: the Init that it waited for has failed
        self.returned: dict[str, Any] | None = None
        self.error_origin: str | None = None
        self.error_stack: Stack | None = None  # what was raised came through it
        self.exited: Exit | None = None  # what it called last that ends its process
        self.error_message: str | None = None
        self.platform: dict[str, Any] = {}  # fields of platform.Said
        self.seen: dict[str, Any] = {}  # fields of Invocation, from /proc at the return
        self.own: dict[str, Any] = {}  # some of the same, from the hook: the look at /proc came too late for them
        self.curve: list[tuple[int, int]] = []  # (mono ns, RSS bytes)
        self.peak_rss_bytes: int | None = None
        self.memory_looks = 0  # how often its stacks were asked for, because memory was running out

    def sampled(self, at_ns: int, rss_bytes: int | None) -> None:
        """Note one look at the function's memory; of many, every second old one is given up."""
        if rss_bytes is None:
            return
        self.peak_rss_bytes = max(self.peak_rss_bytes or 0, rss_bytes)
        self.curve.append((at_ns, rss_bytes))
        if len(self.curve) > CURVE_POINTS:
            del self.curve[: CURVE_POINTS // 2 : 2]


class Context(NamedTuple):
    """What is the environment's, not the invocation's."""

    hook_seen: bool
    init_error: str | None
    memory_mb: int | None
    closing: Closing | None
    now_ns: int


def closing_of(running: Running, context: Context) -> Closing | None:
    """Return the end that this invocation met: its own process's, or else the environment's.

    SHUTDOWN ends processes before it reaches us; one that goes just before it need not have gone by itself.
    """
    own = running.closing
    if own is None or running.gone_ns is None or running.returned is not None:
        return context.closing
    long_before = context.now_ns - running.gone_ns > RUNTIME_BUDGET_NS
    return own if context.closing is None or own.fatal or long_before else context.closing


def judge(running: Running, context: Context) -> tuple[str, str]:
    """Return how it ended, and who says so."""
    if running.verdict is not None:
        return running.verdict
    fact, closing = running.returned, closing_of(running, context)
    peak = running.seen.get("peak_rss_bytes") or running.peak_rss_bytes
    return ending(
        Evidence(
            returned=fact is not None,
            error_type=fact["error"] if fact else None,
            hook_seen=context.hook_seen,
            init_error=context.init_error,
            platform_status=running.platform.get("status"),
            platform_error=running.platform.get("error_type"),
            shutdown=closing.reason if closing else None,
            fatal=closing.fatal if closing else None,
            oom_kills=closing.oom_kills if closing else 0,
            runtime_gone=closing.runtime_gone_early if closing else False,
            peak_share=peak / (context.memory_mb * 1_048_576) if peak and context.memory_mb else None,
        )
    )


def figures_of(running: Running) -> tuple[dict[str, Any], dict[str, str]]:
    """Return fields of Invocation with the best figure there is, and where each is from."""
    fact = running.returned
    figures: dict[str, Any] = {**running.seen, **running.own}
    sources = {name: "observed" for name, value in figures.items() if value is not None}
    sources.update(dict.fromkeys(running.own, "hook"))
    if fact is not None:
        duration_ms = (fact["at"] - fact["from"]) / 1e6
        user_ms, system_ms = fact["user"] * 1000, fact["system"] * 1000
        from_hook = {
            "duration_ms": duration_ms,
            "cpu_user_ms": user_ms,
            "cpu_system_ms": system_ms,
        }
        figures.update(from_hook, error_type=fact["error"], hook_ms=fact["own"] / 1e6)
        figures.update(error_origin=running.error_origin, error_message=running.error_message)
        sources.update(dict.fromkeys(from_hook, "hook"))
    said = {name: value for name, value in running.platform.items() if name in _UNKNOWN}
    said.pop("status", None)
    if fact is not None and fact["error"] is not None:
        said.pop("error_type", None)  # the hook knows the exception's own class
    figures.update(said)
    sources.update(dict.fromkeys(said, "platform"))
    if fact is not None:
        cpu_ms = figures["cpu_user_ms"] + figures["cpu_system_ms"]
        figures["wait_ms"], sources["wait_ms"] = max(0.0, figures["duration_ms"] - cpu_ms), sources["duration_ms"]
    return figures, sources


def invocation_of(running: Running, at_ms: int, agent_cpu_ms: float | None, verdict: tuple[str, str]) -> Invocation:
    """Return the record of an invocation that is over; ``agent_cpu_ms`` None: it cannot be told whose it was."""
    figures, sources = figures_of(running)
    status, source = verdict
    peak = figures.get("peak_rss_bytes")
    if peak is None and running.peak_rss_bytes is not None:
        figures["peak_rss_bytes"], sources["peak_rss_bytes"] = running.peak_rss_bytes, "observed"
    known = {name: round(value, 3) if type(value) is float else value for name, value in figures.items()}
    return Invocation(
        **{
            **_UNKNOWN,
            **known,
            "request_id": running.request_id,
            "index": running.index,
            "at_ms": at_ms,
            "cold": running.index == 1,
            "status": status,
            "frozen_before_ms": running.frozen_ms,
            "trace": running.trace,
            "agent_cpu_ms": None if agent_cpu_ms is None else round(agent_cpu_ms - running.agent_cpu_from_ms, 3),
            "sources": {**sources, "status": source},
        }
    )


def ending_of(running: Running, at_ms: int, context: Context, verdict: tuple[str, str]) -> Ending | None:
    """Return what there is to say of a bad end; None for an invocation that came to its own, or to its Init's."""
    status, source = verdict
    cause: str | None = running.returned.get("cause") if running.returned is not None else None
    if status in ("ok", "unknown") or (status == "error" and cause is None) or running.verdict is not None:
        return None
    closing = closing_of(running, context) or Closing("")
    exited = running.exited if status == "crash" and running.returned is None and not closing.fatal else None
    if exited is not None and not exited.ended_it(running.gone_ns or closing.gone_ns):
        exited = None
    stacks = _stacks(running, closing, status, exited)
    curve = [[round((at - context.now_ns) / 1e6, 1), round(rss / 1_048_576, 2)] for at, rss in running.curve]
    return Ending(
        at_ms=at_ms,
        request_id=running.request_id,
        index=running.index,
        status=status,
        source=source,
        detail=closing.fatal or _raised(running) or running.platform.get("error_type") or closing.reason or None,
        error_message=running.error_message,
        stacks=[stack.frames for stack in stacks],
        memory_mb=context.memory_mb,
        peak_rss_bytes=running.seen.get("peak_rss_bytes") or running.peak_rss_bytes,
        memory_curve=curve,
        oom_kills=closing.oom_kills,
        own=[stack.own for stack in stacks],
        cause=exited.call if exited is not None else cause,
    )


def _stacks(running: Running, closing: Closing, status: str, exited: Exit | None) -> list[Stack]:
    """Return where it was: where its process was ended, what was raised came through, or its threads were at."""
    if status in WATCHED or closing.fatal:
        return list(closing.stacks)
    if exited is not None:
        return [exited.stack]
    return [running.error_stack] if running.error_stack is not None and running.error_stack.frames else []


def _raised(running: Running) -> str | None:
    """Return the class of what came out of the handler."""
    return running.returned["error"] if running.returned is not None else None
