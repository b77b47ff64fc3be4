"""Figures and findings in words: every figure with its unit, and a dash for what is not known.

In: numbers and findings of the run document. Out: strings. Nothing here reads or prints.
"""

from typing import Any

UNKNOWN = "–"  # noqa: RUF001 - the dash that tables use
MB = 1024 * 1024  # Lambda's own megabyte

HEADLINES = {
    "thread": "A thread went on after its handler had returned",
    "timer": "A timer was still set when its handler returned",
    "executor": "A pool still had work when its handler returned",
    "asyncio-task": "An asyncio task was unfinished when its handler returned",
    "process": "A child process outlived its handler",
    "alarm": "An interval timer (signal.setitimer, signal.alarm) was still set when its handler returned",
    "threads-left": "Threads pile up: each invocation starts one more, and none ends",
    "fd-left": "Open files grow with every invocation",
    "tmp-left": "/tmp grows with every invocation",  # noqa: S108 - a name for Lambda's ephemeral storage
    "killed-child": "The kernel killed a child process for memory, and the handler went on",
}
"""One sentence per ``what``; a kind that is newer than this table is named as it is."""

SHUTDOWNS = {
    "spindown": "",  # the environment was idle for long enough
    "sandboxterminated": "",  # RIE was told to stop
    "timeout": ", after a timeout",
    "failure": ", after a crash",
    "releasefail": ", after a crash",  # RIE's word for it
}
"""Why an environment was shut down, in lower case, as it stands in a report."""


def in_ms(value_ms: float | None) -> str:
    """Return a duration in two or three figures: ``0.42 ms``, ``8.1 ms``, ``502 ms``, ``1.25 s``."""
    if value_ms is None:
        return UNKNOWN
    if value_ms < 1:
        return "<0.01 ms" if 0 < value_ms < 0.005 else f"{value_ms:.2f} ms"
    if value_ms < 9.95:
        return f"{value_ms:.1f} ms"
    if value_ms < 999.5:
        return f"{value_ms:.0f} ms"
    if value_ms < 99_950:
        return f"{value_ms / 1000:.{2 if value_ms < 9995 else 1}f} s"
    return f"{value_ms / 60_000:.0f} min"


def in_mb(value_bytes: float | None) -> str:
    """Return a size in Lambda's megabytes of 1024 * 1024 bytes: ``9.8 MB``, ``57 MB``."""
    if value_bytes is None:
        return UNKNOWN
    value = value_bytes / MB
    return f"{value:.1f} MB" if value < 9.95 else f"{value:.0f} MB"


def in_bytes(value_bytes: int | None) -> str:
    """Return a small size: ``812 B``, ``3.4 kB``."""
    if value_bytes is None:
        return UNKNOWN
    return f"{value_bytes} B" if value_bytes < 1000 else f"{value_bytes / 1000:.1f} kB"


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return ``1 invocation`` or ``3 invocations``."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def listed(names: list[str], most: int = 5) -> str:
    """Return ``a, b and c``, or the first of many and how many more there are."""
    shown = names if len(names) <= most else [*names[: most - 1], f"{len(names) - most + 1} more"]
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


WORKER_HEADLINE = "A background thread still had work when the handler that gave it returned"


def headline(finding: dict[str, Any]) -> str:
    """Return what happened, in one sentence without its full stop."""
    if finding.get("worker") is not None and finding["what"] == "thread":
        return WORKER_HEADLINE
    return HEADLINES.get(finding["what"], f"Work of kind {finding['what']} went on after its handler had returned")


def invocation(number: int | None, request_id: str | None) -> str:
    """Return ``invocation #2``, or the request id where the number is not known."""
    if number is not None:
        return f"invocation #{number}"
    return f"request {request_id}" if request_id else "Init"


def outcome(finding: dict[str, Any]) -> str:
    """Return how the work ended, in words: where it went on, how long it was frozen, what became of it."""
    if finding["outcome"] == "done":
        return "ended by itself before the environment was frozen"
    words = ", then ".join(_steps(finding)) or "still going on when last seen"
    # frozen_ms is the sum of all freezes, before it went on and after: so it stands by itself.
    return f"{words}; lay frozen for {in_ms(finding['frozen_ms'])}" if finding["frozen_ms"] else words


def _steps(finding: dict[str, Any]) -> list[str]:
    steps = []
    if finding["resumed_in"] is not None:
        steps.append("went on in " + invocation(finding["resumed_invocation"], finding["resumed_in"]))
    elif finding["outcome"] == "resumed":
        steps.append("went on when SHUTDOWN thawed the environment")
    if finding["outcome"] == "lost":
        steps.append(_lost(finding["reason"] or "the end of the environment"))
    elif finding["ended"]:
        steps.append("ended")
    return steps


def _lost(reason: str) -> str:
    """Return what ended it; the extension names a SHUTDOWN as ``shutdown: timeout``."""
    if reason.startswith(("cancelled", "destroyed")):
        return reason
    what, _, why = reason.partition(": ")
    return f"lost at {what.replace('shutdown', 'SHUTDOWN')}{SHUTDOWNS.get(why, f' ({why})') if why else ''}"


def printable(text: str) -> str:
    """Return the text with what a terminal would act on, such as escape codes, replaced by a blank."""
    return "".join(character if character.isprintable() else " " for character in text)
