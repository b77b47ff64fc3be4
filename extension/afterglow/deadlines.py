"""Stacks shortly before the end. In: INVOKE's deadline, Init's limit, memory as it fills. Out: requests to the runtime.

Nothing is armed in the runtime (``stacks`` says why): the loop wakes when it is time to ask. INVOKE names its deadline.
Init's is not told to anybody, and nobody knows when the kernel will kill for memory: there more than one look may be
taken, and the last one counts (docs/decisions/0015-stacks-in-init.md, 0016-stacks-as-memory-fills.md).
"""

import os
import time

from afterglow import stacks
from afterglow.lifecycle import State
from afterglow.parts import Parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

STACKS_BEFORE_MS = 100.0  # before the deadline; in a short timeout, a tenth of it
INIT_LIMIT_S = 10.0  # Lambda developer guide, execution environment lifecycle, "Init phase"
EAGER_INIT_LIMIT_S = 130.0  # the same page: provisioned concurrency and SnapStart; a longer timeout counts instead
MEMORY_SHARES = (0.75, 0.85, 0.92)  # of what is configured; beside the function's own there is the extensions'
ENDING_S = 0.7  # SIGTERM, 30 % of SHUTDOWN's 2 s, SIGKILL (RIE source, rapid/shutdown.go); and a little


def set_deadline(parts: Parts, deadline_ms: object) -> None:
    """Note when the function's time is up; ``deadline_ms`` is INVOKE's, on the calendar.

    INVOKE may have come long before: the launcher kept it.
    """
    if not isinstance(deadline_ms, int):
        return
    left_ms = deadline_ms - time.time() * 1000
    before_ms = before_s(left_ms / 1000) * 1000
    parts.ends_ns = time.monotonic_ns() + int(left_ms * 1e6)
    parts.stacks_due_ns = parts.ends_ns - int(before_ms * 1e6)


def are_due(parts: Parts, now_ns: int) -> bool:
    """Return whether it is time to ask."""
    return parts.stacks_due_ns is not None and now_ns >= parts.stacks_due_ns


def ask(parts: Parts, now_ns: int) -> None:
    """Ask the runtime for its stacks, if what was to end still goes on, and it listens to us."""
    parts.stacks_due_ns = None
    in_init = is_in_init(parts)
    if in_init:
        expect_init(parts, now_ns)
    if in_init or parts.state == State.RUNNING:
        _ask_runtime(parts)


def _ask_runtime(parts: Parts) -> None:
    pid = parts.runtime_pid
    if pid is None or pid not in parts.inbox.files:
        return
    clear(parts)
    if not stacks.ask_for_stacks(pid):
        parts.teller.lose("stacks", "the runtime does not take our signal")
    parts.stacks_of = parts.current


def watch_memory(parts: Parts, rss_bytes: int | None) -> None:
    """Ask when memory fills beyond each of MEMORY_SHARES, once for each: a process that is killed tells nothing."""
    running, memory_mb = parts.current, parts.recorder.memory_mb
    if running is None or rss_bytes is None or not memory_mb or not parts.gets_invokes:
        return
    passed = sum(rss_bytes >= share * memory_mb * 1_048_576 for share in MEMORY_SHARES)
    if passed > running.memory_looks and running.returned is None:
        running.memory_looks = passed
        _ask_runtime(parts)


def is_in_init(parts: Parts) -> bool:
    """Return whether the handler's module has not been imported yet."""
    return parts.state == State.STARTED and parts.recorder.init_fact is None


def expect_init(parts: Parts, now_ns: int) -> None:
    """Note when to look at Init next; what the platform says of it may change that."""
    if is_in_init(parts):
        inside = parts.recorder.init_said.get("phase") == "invoke"
        elapsed_s = init_took_ms(parts, now_ns) / 1000
        look_s = next_look_s(elapsed_s, () if inside else parts.init_limits_s)
        parts.stacks_due_ns = now_ns + int((look_s - elapsed_s) * 1e9)


def init_took_ms(parts: Parts, until_ns: int) -> float:
    """Return how long Init had been going on by then: since our process began, which the platform starts first."""
    boot = parts.recorder.boot
    return (until_ns - boot.started_ns + boot.cpu_ns) / 1e6


def is_overdue(took_ms: float, limits_s: tuple[float, ...]) -> bool:
    """Return whether an Init ended when it was to be ended: at a limit, or within the time that takes."""
    return any(-before_s(limit) <= took_ms / 1000 - limit <= ENDING_S for limit in limits_s)


def next_look_s(elapsed_s: float, limits_s: tuple[float, ...]) -> float:
    """Return when to look at an Init next, in seconds since it began: before a limit that is known, else each second.

    Lambda's timeouts are whole seconds: shortly before each of them is shortly before the right one.
    """
    looks = [look for limit in limits_s if (look := limit - before_s(limit)) > elapsed_s]
    return min(looks) if looks else int(elapsed_s + before_s(1.0) + 1e-6) + 1 - before_s(1.0)


def before_s(limit_s: float) -> float:
    """Return how long before the limit to look."""
    return min(STACKS_BEFORE_MS / 1000, limit_s / 10)


def init_limits_s(environ: "Mapping[str, str]") -> tuple[float, ...]:
    """Return the limits of Init that can be known here; RIE has the function's, and names it."""
    on_demand = environ.get("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand") == "on-demand"
    timeout = environ.get("AWS_LAMBDA_FUNCTION_TIMEOUT", "")
    own = (float(timeout),) if timeout.isdigit() and timeout != "0" else ()
    return (*own, INIT_LIMIT_S if on_demand else EAGER_INIT_LIMIT_S)


def clear(parts: Parts) -> None:
    """Empty the file that stacks are written to."""
    file = parts.inbox.files.get(parts.runtime_pid or 0)
    if file is not None:
        try:
            os.ftruncate(file, 0)
            os.lseek(file, 0, os.SEEK_SET)
        except OSError:  # another process gave it to us, and may have sealed it
            return


def last_words(parts: Parts) -> str:
    """Return what the runtime has written of its end, or of the deadline that it did not meet."""
    file = parts.inbox.files.get(parts.runtime_pid or 0)
    text = stacks.read_words(file) if file is not None else ""
    return stacks.last_words(text, asked=parts.stacks_of is parts.current)


def gone_before(parts: Parts, gone_ns: int | None) -> bool:
    """Return whether the runtime went before its time was nearly up: nobody had ended it."""
    before_ns = (parts.ends_ns or 0) - int(STACKS_BEFORE_MS * 1e6)
    return gone_ns is not None and gone_ns < before_ns
