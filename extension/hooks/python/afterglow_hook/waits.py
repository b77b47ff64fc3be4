"""What a thread, a task or a child process is doing right now. In: a frame, a thread id, a pid. Out: a word.

``IDLE`` means: waiting to be given work, which is no lingering work however long it is there. Everything else
is evidence. The frame decides first; where it is the user's own, the kernel says in which call it sits
(/proc/self/task/TID/syscall, numbers from the kernel's asm/unistd.h for x86_64 and arm64).
"""

from __future__ import annotations

import os

from afterglow_hook.callsite import is_library, is_stdlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Any

IDLE, SLEEPING, IO, CHILD, RUNNING, LOCKED = (
    "idle",
    "sleeping",
    "in I/O",
    "waiting for a process",
    "running",
    "locked",
)

_IDLE_PLACES = {
    "threading.py": ("wait", "acquire", "join", "_wait_for_tstate_lock"),
    "queue.py": ("get",),
    "selectors.py": ("select",),
    "socket.py": ("accept",),
    "logging/handlers.py": ("dequeue",),
    "socketserver.py": ("serve_forever",),
    "concurrent/futures/thread.py": ("_worker",),
    "multiprocessing/connection.py": ("_recv", "wait", "accept"),
    "asyncio/queues.py": ("get",),
    "asyncio/locks.py": ("wait", "acquire"),
}
WAITING = "waiting with a timeout"
STANDING = (SLEEPING, IO, CHILD)
"""What a thread cannot do while it runs."""
_SYSCALLS = {
    "x86_64": {
        SLEEPING: (35, 230),
        IO: (0, 1, 7, 17, 18, 19, 20, 23, 42, 44, 45, 46, 47, 74, 75, 270, 271, 40),
        CHILD: (61, 247),
        IDLE: (43, 288, 232, 281),  # accept, epoll: a server or an event loop
        LOCKED: (202,),
    },
    "aarch64": {
        SLEEPING: (101, 115),
        IO: (63, 64, 65, 66, 67, 68, 72, 73, 82, 83, 203, 206, 207, 211, 212, 71),
        CHILD: (95, 260),
        IDLE: (202, 242, 22),
        LOCKED: (98,),
    },
}
_SELECTS = (23, 270) if os.uname().machine == "x86_64" else (72,)
_WORDS = {number: word for word, numbers in _SYSCALLS.get(os.uname().machine, {}).items() for number in numbers}

_idle_codes: dict[CodeType, bool] = {}


def is_idle_code(code: CodeType) -> bool:
    """Return whether a frame with this code on top waits to be given work."""
    verdict = _idle_codes.get(code)
    if verdict is None:
        verdict = _idle_codes[code] = any(
            code.co_name in names and is_stdlib(code.co_filename, name) for name, names in _IDLE_PLACES.items()
        )
    return verdict


def place_of(frame: FrameType | None) -> tuple[int, bool]:
    """Return a number for how far a thread has got, and whether it waits there to be given work.

    What the library does around such a wait, like a server's loop that looks up every half second, is one place:
    only the frames outside of its outermost wait count then.
    """
    seat, inner = None, frame
    while inner is not None and is_library(inner.f_code.co_filename):
        if is_idle_code(inner.f_code) or _is_loop(inner.f_code):
            seat = inner
        inner = inner.f_back
    number = 0
    if seat is not None:
        number, frame = id(seat.f_code), seat.f_back
    while frame is not None:
        number, frame = hash((number, id(frame.f_code), frame.f_lasti)), frame.f_back
    return number, seat is not None


def _is_loop(code: CodeType) -> bool:
    return code.co_name == "_run_once" and is_stdlib(code.co_filename, "asyncio/base_events.py")


def runs_asyncio(frame: FrameType | None) -> bool:
    """Return whether a thread runs an event loop of asyncio's own."""
    while frame is not None:
        if frame.f_code.co_name == "run_forever" and is_stdlib(frame.f_code.co_filename, "asyncio/base_events.py"):
            return True
        frame = frame.f_back
    return False


def thread_state(frame: FrameType | None, tid: int | None) -> str:
    """Return what a thread does; ``frame`` is its innermost one."""
    if frame is None:
        return RUNNING  # it has not begun yet, or is about to end
    if is_idle_code(frame.f_code):
        return IDLE
    return state_in(system_call(tid)) if tid is not None else LOCKED


def system_call(tid: int) -> tuple[int, ...] | None:
    """Return the system call that a thread is in: (number, arguments…); (): it runs; None: the kernel won't say."""
    try:
        fd = os.open(f"/proc/self/task/{tid}/syscall", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        words = os.read(fd, 256).split()
    except OSError:
        return None
    finally:
        os.close(fd)
    if not words or not words[0].isdigit():
        return ()
    return (int(words[0]), *(int(word, 16) for word in words[1:7]))


def state_in(call: tuple[int, ...] | None) -> str:
    """Return what a thread does that is in this system call."""
    if call is None:
        return LOCKED  # only CPU that it takes is evidence
    if not call:
        return RUNNING
    if call[0] in _SELECTS and not call[1]:  # Python 3.10's time.sleep is a select of nothing
        return SLEEPING
    return _WORDS.get(call[0], RUNNING)


def timeout_of(frame: FrameType | None) -> float | None:
    """Return the timeout with which a thread stands in ``threading``'s wait, in seconds; None: in none, or without one.

    ``Event.wait``, ``Condition.wait``, ``queue.get`` and ``join`` all end there.
    """
    if frame is None or frame.f_code.co_name != "wait" or not is_stdlib(frame.f_code.co_filename, "threading.py"):
        return None
    timeout = frame.f_locals.get("timeout")  # the frame has nothing that it does not hold until its end anyway
    return timeout if isinstance(timeout, (int, float)) else None


def task_state(coroutine: Any) -> tuple[str, int]:
    """Return what a task awaits in the end, and a number that changes when it makes progress."""
    progress, code = 0, None
    for _ in range(50):
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is None:
            break
        code = frame.f_code
        progress = hash((progress, id(frame), frame.f_lasti))
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    if code is None:
        return RUNNING, progress
    if is_idle_code(code):
        return IDLE, progress
    sleeping = code.co_name == "sleep" and is_stdlib(code.co_filename, "asyncio/tasks.py")
    return (SLEEPING if sleeping else IO), progress


def coroutines_of(task: Any) -> list[Any]:
    """Return the frames of a task's coroutines, the outermost first."""
    frames, coroutine = [], task.get_coro()
    for _ in range(50):
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is None:
            break
        frames.append(frame)
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return frames


def process_alive(pid: int, born: int | None = None) -> bool:
    """Return whether our child still runs, without taking its exit status from whoever waits for it.

    ``born``: what process_born has said of it. A child of another birth has been given the same pid.
    """
    try:
        alive = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False
    return alive and born in (None, process_born(pid))


def process_born(pid: int) -> int | None:
    """Return when a process started, in the kernel's ticks since boot (proc_pid_stat(5)); None: it won't say."""
    return _stat_fields(pid, 19)


def process_cpu_ns(pid: int) -> int | None:
    """Return the CPU that a process has taken since it started, in ticks of 10 ms; None: the kernel won't say."""
    ticks = _stat_fields(pid, 11, 12)
    return None if ticks is None else ticks * (1_000_000_000 // os.sysconf("SC_CLK_TCK"))


def _stat_fields(pid: int, *places: int) -> int | None:
    """Return the sum of fields of /proc/PID/stat, counted from the state."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fields = os.read(fd, 1024).rpartition(b")")[2].split()
        return sum(int(fields[place]) for place in places)
    except (OSError, ValueError, IndexError):
        return None
    finally:
        os.close(fd)
