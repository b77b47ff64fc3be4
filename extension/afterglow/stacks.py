"""Stacks of a runtime that is about to be killed, or has killed itself. In: faulthandler's text. Out: call sites.

The hook gives faulthandler our socket to write to, for fatal signals and for one signal of its own, which the
extension sends shortly before the deadline. Nothing is armed per invocation, so it costs an invocation nothing.
The text holds files, lines and function names; no values are in it.
"""

import _signal  # type: ignore[import-not-found]  # what ``signal`` wraps, without its enums (2 ms, 0.3 MB)
import os

from afterglow.proc import read_text

STACK_SIGNAL = _signal.SIGRTMAX - 2
MOST_THREADS = 20
_RUNTIME_FILES = ("/awslambdaric/", "/afterglow_hook/", "runtime_bootstrap.py", "/var/runtime/", "<frozen ")

_FATAL = "Fatal Python error: "

Frame = tuple[str, int, str]


def may_be_sent(pid: int, proc: str = "/proc") -> bool:
    """Return whether the process still catches our signal; one that does not would die of it."""
    text = read_text(f"{proc}/{pid}/status") or ""
    at = text.find("SigCgt:")
    mask = text[at + 7 :].split(None, 1)[0] if at >= 0 else "0"
    return bool(int(mask, 16) >> (STACK_SIGNAL - 1) & 1)


def ask_for_stacks(pid: int) -> bool:
    """Make the runtime write its stacks to us; False where that is impossible."""
    if not may_be_sent(pid):
        return False
    try:
        os.kill(pid, STACK_SIGNAL)
    except OSError:
        return False
    return True


def read_words(descriptor: int, most_bytes: int = 262_144) -> str:
    """Return what stands in the runtime's file, from its beginning."""
    try:
        return os.pread(descriptor, most_bytes, 0).decode("utf-8", "replace")
    except OSError:  # another process gave it to us, and may have opened it for writing alone
        return ""


def last_words(text: str, *, asked: bool) -> str:
    """Return what the text says of the end: a fatal error, else the stacks if we asked for them in time.

    Stacks of an earlier invocation, which came close to its deadline and then returned, say nothing of this one.
    """
    at = text.find(_FATAL)
    return text[at:] if at >= 0 else text if asked else ""


def parse_fatal(text: str) -> str | None:
    """Return the words of ``Fatal Python error: Segmentation fault``."""
    at = text.find(_FATAL)
    return text[at + len(_FATAL) :].split("\n", 1)[0][:80] if at >= 0 else None


def parse_stacks(text: str) -> list[list[Frame]]:
    """Return one stack per thread, innermost frame first, of what is not the runtime's own; at most 100 frames each.

    The thread that the signal met comes first: the one that crashed; at a deadline, the main thread.
    """
    stacks: list[list[Frame]] = []
    met: list[Frame] | None = None
    for line in text.split("\n"):
        if "(most recent call first)" in line:
            stacks.append([])
            met = stacks[-1] if line.startswith("Current thread ") else met
        elif stacks and line.startswith("  File "):
            frame = _frame(line)
            if frame is not None and not _is_runtimes(frame):
                stacks[-1].append(frame)
    stacks.sort(key=lambda stack: stack is not met)
    return [stack for stack in stacks if stack][:MOST_THREADS]


def _is_runtimes(frame: Frame) -> bool:
    file, _, function = frame
    starts_a_thread = function in ("_bootstrap", "_bootstrap_inner") and file.endswith("/threading.py")
    imports = function == "import_module" and file.endswith("/importlib/__init__.py")
    return starts_a_thread or imports or any(part in file for part in _RUNTIME_FILES)


def _frame(line: str) -> Frame | None:
    """``  File "/var/task/app.py", line 7 in handler``."""
    file, quote, rest = line[len('  File "') :].rpartition('", line ')
    number, _, function = rest.partition(" in ")
    return (file, int(number), function) if quote and number.isdecimal() and len(number) < 10 else None
