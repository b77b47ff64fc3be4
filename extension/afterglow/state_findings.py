"""Findings that are no lingering work: what piles up from one invocation to the next, whom the kernel has killed.

In: the hook's facts, figures at a return, the kernel's count of kills. Out: Findings, told once; they count nothing.
"""

from typing import Any, NamedTuple

from afterglow.callsite import CallSite
from afterglow.growth import Growing, Growth
from afterglow.records import Finding

MB = 1 << 20
TMP_STEP_BYTES = 4096  # a file takes a block at least

UNTOLD: dict[str, Any] = {
    "outcome": "open",
    "reason": None,
    "resumed_in": None,
    "resumed_index": None,
    "frozen_ms": None,
    "cpu_ms": None,
    "wall_ms": None,
    "changes": [],
    "returned_at_ms": None,
    "worker": None,
}


class Whose(NamedTuple):
    """The invocation at whose return it was seen."""

    request_id: str | None
    index: int | None  # type: ignore[assignment]  # tuple.index is of no use to a record
    trace: str | None


class Seen(NamedTuple):
    """What was seen, in the words of a Finding."""

    kind: str
    what: str
    name: str
    state: str  # the evidence
    jobs: int  # how many
    site: CallSite | None = None


class StateFindings:
    """Makes findings of what crosses invocations, and numbers them."""

    def __init__(self) -> None:
        self._fds = Growing(1)
        self._tmp = Growing(TMP_STEP_BYTES)
        self._count = 0

    def found(self, prefix: str, seen: Seen, whose: Whose, at_ms: int) -> Finding:
        """Return the finding; ``prefix`` is the environment's name."""
        self._count += 1
        site = seen.site
        return Finding(
            finding_id=f"{prefix}-s{self._count}",
            revision=1,
            kind=seen.kind,
            what=seen.what,
            name=seen.name,
            file=site.file if site else None,
            line=site.line if site else None,
            function=site.function if site else None,
            request_id=whose.request_id,
            request_index=whose.index,
            state=seen.state,
            jobs=seen.jobs,
            at_ms=at_ms,
            trace=whose.trace,
            **UNTOLD,
        )

    def grown(self, figures: dict[str, Any]) -> list[Seen]:
        """Return what has grown up to this return; ``figures``: fields of Invocation."""
        found = []
        if fds := self._fds.note(figures.get("fds")):
            words = f"{_row(fds)}: {fds.before} → {fds.now} open file descriptors"
            found.append(Seen("state", "fd-left", "open files", words, fds.now - fds.before))
        if tmp := self._tmp.note(figures.get("tmp_bytes")):
            words = f"{_row(tmp)}: {tmp.before / MB:.1f} → {tmp.now / MB:.1f} MB used of its file system"
            found.append(Seen("state", "tmp-left", "ephemeral storage", words, tmp.now - tmp.before))
        return found


def _row(growth: Growth) -> str:
    return f"more at each of the last {growth.invocations} returns"


def piled(fact: dict[str, Any], site: CallSite | None) -> Seen:
    """Return threads from one line, one more with each invocation."""
    words = f"{fact['count']} threads from {fact['of']} invocations are still there, all waiting for work"
    return Seen("state", "threads-left", fact["name"], words, fact["count"], site)


def killed(kills: int, biggest: tuple[str, int] | None, limit_mb: int | None) -> Seen:
    """Return processes that the kernel has killed; ``biggest``: a child's command, and its RSS in bytes."""
    name = biggest[0] if biggest is not None else "a process"
    had = f", which had {biggest[1] / MB:.0f} MB" if biggest is not None else ""
    whom = name if kills == 1 else f"{kills} processes, {name} among them"
    limit = f"; the function has {limit_mb} MB" if limit_mb is not None else ""
    return Seen("ending", "killed-child", name, f"the kernel killed {whom}{had}, for memory{limit}", kills)
