"""What SHUTDOWN means. In: its reason, the runtime's last words, the kernel's counts. Out: a Closing, an Init's Ending.

Pure.
"""

from collections.abc import Callable, Sequence
from typing import Any

from afterglow import stacks
from afterglow.callsite import Stack
from afterglow.records import Ending
from afterglow.running import Closing

PEACEFUL = ("spindown", "sandboxterminated")
"""SHUTDOWN's reasons, real Lambda's and RIE's, when nothing went wrong."""


def why_lost(reason: str) -> str:
    """Return what SHUTDOWN's reason means for work that was still going on; real Lambda's words and RIE's."""
    return {"timeout": "timeout", "failure": "crash", "releasefail": "crash"}.get(reason.lower(), "shutdown")


StackOf = Callable[[Sequence[Sequence[object]]], Stack]


def closing_of(reason: str, last_words: str, oom_kills: int, stack_of: StackOf, *, gone_early: bool) -> Closing:
    """Return what is known of the end; ``last_words`` is faulthandler's text, empty where there is none."""
    parsed = stacks.parse_stacks(last_words)
    return Closing(
        reason=reason,
        fatal=stacks.parse_fatal(last_words),
        stacks=tuple(stack_of(stack) for stack in parsed),
        oom_kills=oom_kills,
        runtime_gone_early=gone_early and reason not in PEACEFUL,
    )


def init_verdict(
    fact: dict[str, Any] | None, closing: Closing, *, hook_seen: bool, begun: int, overdue: bool = False
) -> tuple[str, str] | None:
    """Return how an Init failed, and who says so; None for one that did not.

    ``begun`` counts the invocations that came after it; ``overdue``: it went on until its time was up.
    """
    if fact is not None and fact["error"] is not None:
        return "init-error", "hook"
    half_imported = fact is None and hook_seen  # RIE, trying again, calls that a spindown
    if begun or not (half_imported or closing.reason not in PEACEFUL):
        return None
    if closing.oom_kills:
        return "out-of-memory", "observed"
    out_of_time = closing.reason == "timeout" or (overdue and half_imported and not closing.fatal)
    return ("timeout" if out_of_time else "init-error"), "observed"


def init_ending_of(
    verdict: tuple[str, str],
    fact: dict[str, Any] | None,
    closing: Closing,
    stack_of: StackOf,
    *,
    said: str | None,
    took_ms: float,
    at_ms: int,
    memory_mb: int | None,
    peak_rss_bytes: int | None,
) -> Ending:
    """Return the Ending of an Init that failed; ``said`` is the platform's error type."""
    raised = fact["error"] if fact is not None else None
    out_of_time = f"timeout after {took_ms / 1000:.1f} s" if verdict[0] == "timeout" else None
    died = None if closing.reason in PEACEFUL else closing.reason
    exited = closing.exited if raised is None and not closing.fatal and verdict[0] == "init-error" else None
    if exited is not None and not exited.ended_it(closing.gone_ns):
        exited = None
    told = [exited.stack] if exited is not None else init_stacks(fact, closing, stack_of)
    return Ending(
        at_ms=at_ms,
        request_id=None,
        index=None,
        status=verdict[0],
        source=verdict[1],
        detail=raised or closing.fatal or out_of_time or said or died,
        error_message=fact.get("message") if fact is not None else None,
        stacks=[stack.frames for stack in told],
        memory_mb=memory_mb,
        peak_rss_bytes=peak_rss_bytes,
        memory_curve=[],
        oom_kills=closing.oom_kills,
        own=[stack.own for stack in told],
        cause=exited.call if exited is not None else None,
    )


def init_stacks(fact: dict[str, Any] | None, closing: Closing, stack_of: StackOf) -> list[Stack]:
    """Return where an Init failed: what its import raised came through, else what its threads were at."""
    if fact is not None and fact.get("origin"):
        return [stack_of(fact["origin"])]
    return list(closing.stacks)
