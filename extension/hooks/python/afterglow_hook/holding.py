"""What a thread still has in hand of what it was given. In: a thread, its innermost frame. Out: Handoffs, a state."""

from __future__ import annotations

from afterglow_hook import acts, handoffs
from afterglow_hook.batches import lying_about
from afterglow_hook.loops import module_of, runs_for_ever
from afterglow_hook.waits import IDLE, LOCKED, RUNNING, SLEEPING, thread_state, timeout_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from types import FrameType

EXPORTERS = ("elasticapm.",)
"""Packages whose threads turn what they take into bytes at once, and send those later: no item of theirs lies about."""


def settle(thread: threading.Thread, frame: FrameType | None) -> list[handoffs.Handoff]:
    """Return what a thread still has in hand."""
    ident = thread.ident or 0
    timeout = timeout_of(frame)
    at_rest = handoffs.rests(ident, frame) or (
        ident not in handoffs.waited_from
        and thread_state(frame, thread.native_id) in (IDLE, SLEEPING)
        and runs_for_ever(frame)
    )
    held = handoffs.in_hand.get(ident, ())
    batches = len(held) > 1 or timeout is not None or any(each.rested_ns is not None for each in held)
    lying = lying_about(frame) if batches and any(each.ids for each in held) else None
    sent_ns = acts.sent_ns.get(ident, 0) if held and module_of(frame).startswith(EXPORTERS) else None
    return handoffs.settle(ident, lying, at_rest=at_rest, timeout=timeout, sent_ns=sent_ns)


def state_with(thread: threading.Thread, frame: FrameType | None) -> str:
    """Return what a thread does that has something in hand."""
    if handoffs.rests(thread.ident or 0, frame):
        return "collecting a batch"
    state = thread_state(frame, thread.native_id)
    if state == IDLE and frame is not None and frame.f_back is not None and frame.f_back.f_code.co_name == "get":
        return "about to take it"
    return {IDLE: "waiting", LOCKED: RUNNING}.get(state, state)
