"""Init, to the module: the hook's facts about imports, and what lies on disk. Out: records, each in its time.

Holds what takes several facts or several moments: a tree that comes in parts, modules that are touched in ten
invocations, folders that are counted while nobody waits.
"""

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from afterglow import imports
from afterglow.package import Weighing
from afterglow.records import Imports, Package, Untouched

LAYERS = "/opt"
MOST_TELLINGS = 4  # Init, and the first three invocations
MOST_PARTS = 32  # of one telling; the hook needs 7 at most
MOST_TOUCHED = 2_000  # names; the hook knows of 256
STEP_NS = 2_000_000  # so long may counting go on before the next event is looked for
AT_THE_END_NS = 100_000_000


class Anatomy:
    """What one environment's Init consisted of."""

    def __init__(self, is_own: imports.IsOwn, now_ms: Callable[[], int] = lambda: round(time.time() * 1000)) -> None:
        self.is_own = is_own
        self.now_ms = now_ms
        self._pid: int | None = None
        self._parts: list[dict[str, Any]] = []
        self._tellings = 0
        self._modules: list[imports.Module] = []
        self._touched: set[str] = set()
        self._watched = 0
        self._open = False
        self.lost = 0  # facts that said too much
        self._weighings: list[Weighing] | None = None

    def hear(self, pid: int, fact: dict[str, Any]) -> Iterator[Imports | Untouched]:
        """Take in ``imports`` or ``touched``; of several workers (Managed Instances) the first speaks for all."""
        if self._pid is None:
            self._pid = pid
        if self._pid != pid:
            return
        if fact["t"] == "touched":
            yield from self._hear_touched(fact)
        elif not 1 <= fact["part"] <= fact["parts"] <= MOST_PARTS:
            self.lost += 1
        elif fact["part"] == len(self._parts) + 1 and self._tellings < MOST_TELLINGS:
            self._parts.append(fact)
            if fact["part"] == fact["parts"]:
                yield from self._hear_all()

    def _hear_all(self) -> Iterator[Imports | Untouched]:
        parts, self._parts = self._parts, []
        self._tellings += 1
        modules = imports.modules_of(parts)
        if modules is None:
            return
        if parts[0]["id"] is None:
            self._modules = modules
            self._open = bool(parts[0]["watched"] and imports.candidates(modules, self.is_own))
        yield imports.record_of(parts, modules, self.now_ms(), self.is_own)
        if parts[0]["untouched"] and imports.candidates(modules, self.is_own):
            yield imports.unknown_of(parts[0]["untouched"], self.now_ms(), 0)

    def _hear_touched(self, fact: dict[str, Any]) -> Iterator[Untouched]:
        self._touched.update(fact["names"][: MOST_TOUCHED - len(self._touched)])
        self._watched = fact["n"]
        if fact["last"]:
            yield from self._judge()

    def _judge(self) -> Iterator[Untouched]:
        if self._open and self._watched:
            self._open = False
            yield imports.untouched_of(self._modules, self._touched, self.now_ms(), self._watched, self.is_own)

    def weigh(self, task_root: str) -> Iterator[Package]:
        """Count on for a moment; ``weighs`` says whether there is more."""
        if self._weighings is None:
            roots = (("function", task_root), ("layers", LAYERS))
            self._weighings = [Weighing(what, root) for what, root in roots if root and os.path.isdir(root)]  # noqa: PTH112 - no pathlib in the sandbox
        yield from self._weigh(self._weighings, time.monotonic_ns() + STEP_NS)

    def _weigh(self, weighings: list[Weighing], until_ns: int) -> Iterator[Package]:
        while weighings and weighings[0].advance(until_ns):
            yield weighings.pop(0).package(self.now_ms())

    @property
    def weighs(self) -> bool:
        """Return whether there is something left to count."""
        return self._weighings is None or bool(self._weighings)

    def close(self, task_root: str) -> Iterator[Untouched | Package]:
        """Tell what there is at the end of the environment, and what could not be counted to the end."""
        yield from self._judge()
        yield from self.weigh(task_root)
        weighings = self._weighings or []
        yield from self._weigh(weighings, time.monotonic_ns() + AT_THE_END_NS)
        for weighing in weighings:
            yield weighing.package(self.now_ms())
        weighings.clear()
