"""One process that imports 300 modules, and says how long that took. Standard library alone: it runs under any Python.

In, as arguments: what times the imports (ARMS), the folder with ``app``, the folder with the hook. Out, on stdout:
``{"import_ns": …, "cpu_ns": …, "tell_ns": …}``; or, for ``calls`` and ``watched``, ``{"first_ns": …, "later_ns": …}``.
"""

import importlib
import json
import sys
import time
from typing import Any

CALLS = 50


def audit() -> None:
    """Time with an audit hook: Python calls it for each import, and for whatever else it audits, for ever."""
    seen = []

    def note(event: str, arguments: Any) -> None:
        if event == "import":
            seen.append((arguments[0], time.monotonic_ns()))

    sys.addaudithook(note)


class Wrapping:
    """Time with a finder that puts a loader of its own before the real one: its frame stands in every trace."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Find with the others, wrap the loader."""
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target) if finder is not self else None
            if spec is not None and spec.loader is not None:
                spec.loader = Wrapped(spec.loader)
                return spec
        return None


class Wrapped:
    """A loader around another one."""

    seen: list[tuple[str, int]] = []  # noqa: RUF012 - of all of them

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def create_module(self, spec: Any) -> Any:
        """Leave it to the other one."""
        return self.loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        """Leave it to the other one, with a clock in the hand."""
        module.__loader__ = module.__spec__.loader = self.loader
        began_ns = time.monotonic_ns()
        try:
            self.loader.exec_module(module)
        finally:
            self.seen.append((module.__name__, time.monotonic_ns() - began_ns))


def import_app(arm: str) -> dict[str, int]:
    """Import ``app``, timed or not."""
    from afterglow_hook import imports, wire  # noqa: PLC0415 - the path to it is an argument

    if arm == "afterglow":
        imports.begin()
    elif arm == "audit hook":
        audit()
    elif arm == "wrapped loader":
        sys.meta_path.insert(0, Wrapping())
    began_ns, cpu_ns = time.perf_counter_ns(), time.thread_time_ns()
    importlib.import_module("app")
    if arm == "afterglow":
        imports.end_of_init()
    found = {"import_ns": time.perf_counter_ns() - began_ns, "cpu_ns": time.thread_time_ns() - cpu_ns, "tell_ns": 0}
    if arm == "afterglow":
        wire.connect()
        began_ns = time.thread_time_ns()
        imports.tell(1)
        found["tell_ns"] = time.thread_time_ns() - began_ns
    return found


def call_app(arm: str) -> dict[str, int]:
    """Call the handler, watched or not: the first time, and the median of the times after that."""
    app = importlib.import_module("app")
    from afterglow_hook import touched  # noqa: PLC0415 - as above

    if arm == "watched":
        touched.start()
    took = []
    for _ in range(CALLS):
        began_ns = time.perf_counter_ns()
        app.handler({}, None)
        took.append(time.perf_counter_ns() - began_ns)
    return {"first_ns": took[0], "later_ns": sorted(took[1:])[CALLS // 2]}


def main() -> None:
    """Do what the arguments say."""
    arm, folder, hook = sys.argv[1:4]
    sys.path[:0] = [folder, hook]
    json.dump(call_app(arm) if arm in ("calls", "watched") else import_app(arm), sys.stdout)


if __name__ == "__main__":
    main()
