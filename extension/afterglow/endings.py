"""How an invocation ended. In: everything that is known of its end. Out: one word of ENDINGS, and where it is from.

Pure, and the order is the point: memory before time, since a function that the kernel has killed for its memory
is often reported as one that timed out (the last thing anybody saw of it was the deadline).
"""

from collections.abc import Callable
from typing import NamedTuple

ENDINGS = ("ok", "error", "timeout", "out-of-memory", "crash", "init-error", "aborted", "unknown")
NEARLY_ALL = 0.95  # of the configured memory


LEAVE_THE_RUNTIME = ("SystemExit", "KeyboardInterrupt", "GeneratorExit")
"""What is no ``Exception``: awslambdaric does not catch it, so it ends the runtime."""


class Evidence(NamedTuple):
    """What is known at the end; None: nobody said."""

    returned: bool = False  # the hook saw the handler return or raise
    error_type: str | None = None  # of the handler, as the hook saw it
    hook_seen: bool = True
    init_error: str | None = None
    platform_status: str | None = None  # success, failure, error, timeout
    platform_error: str | None = None
    shutdown: str | None = None  # SHUTDOWN's reason, lower case; None: the environment lives on
    fatal: str | None = None  # the fatal signal's words, from the runtime itself
    oom_kills: int = 0  # by the kernel, during this environment
    runtime_gone: bool = False  # its process had ended before SHUTDOWN
    peak_share: float | None = None  # highest memory, as a share of what is configured


def _killed_for_memory(seen: Evidence) -> bool:
    """Return whether the kernel says so, or memory was full and the process gone before anybody ended it."""
    died = seen.shutdown is not None and not seen.fatal
    full = seen.peak_share is not None and seen.peak_share >= NEARLY_ALL
    return died and (seen.oom_kills > 0 or (full and seen.runtime_gone))


def _crashed(seen: Evidence) -> bool:
    return seen.shutdown in ("failure", "releasefail") or (seen.platform_status == "failure" and seen.hook_seen)


RULES: list[tuple[Callable[[Evidence], bool], str, str]] = [
    (lambda seen: seen.returned and seen.error_type in LEAVE_THE_RUNTIME, "crash", "hook"),
    (lambda seen: seen.returned and seen.error_type is not None, "error", "hook"),
    (lambda seen: seen.returned and seen.platform_status == "error", "error", "platform"),  # no JSON, or too long
    (lambda seen: seen.returned and seen.platform_status == "timeout", "timeout", "platform"),  # answered too late
    (lambda seen: seen.returned, "ok", "hook"),
    (lambda seen: seen.init_error is not None, "init-error", "hook"),
    (lambda seen: seen.platform_error == "Runtime.OutOfMemory", "out-of-memory", "platform"),
    (_killed_for_memory, "out-of-memory", "observed"),
    (lambda seen: seen.fatal is not None and seen.shutdown == "worker-gone", "crash", "hook"),
    (lambda seen: seen.shutdown == "worker-gone", "crash", "observed"),  # the platform waits for it until the deadline
    (lambda seen: "timeout" in (seen.platform_status, seen.shutdown), "timeout", "platform"),
    (lambda seen: seen.fatal is not None, "crash", "hook"),
    (_crashed, "crash", "platform"),
    (lambda seen: seen.platform_status in ("error", "failure"), "error", "platform"),
    (lambda seen: seen.platform_status == "success", "ok", "platform"),
    (lambda seen: seen.shutdown is not None and seen.hook_seen, "aborted", "observed"),
]
"""The first rule that holds decides."""


def ending(seen: Evidence) -> tuple[str, str]:
    """Return (ending, source)."""
    return next(((word, source) for holds, word, source in RULES if holds(seen)), ("unknown", "observed"))
