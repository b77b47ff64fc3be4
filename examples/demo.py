"""Runs each example and its repaired twin through ``afterglow run``, and tells what arrived when.

Exits with 1 if a bug goes unseen or a twin has a finding.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from endpoint import Arrival, Endpoint, serving
from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
ORDERS = 3
GAP_S = 0.5

Document = dict[str, Any]


class Example(NamedTuple):
    """A folder with ``app.py`` (the bug) and ``fixed.py`` (its twin)."""

    folder: str
    story: str
    event: dict[str, int]
    noun: str  # what arrives at the endpoint
    twin: str = "it waits before it returns"
    heavy: str | None = None  # the bug is an import, not work left behind: that of this module


EXAMPLES = [
    Example(
        "fire_and_forget",
        "A handler tells the warehouse of each order in a thread, and returns without waiting for it.",
        {},
        "call",
    ),
    Example(
        "left_running_pool",
        "A handler gives the four pages of an order to a thread pool, and says that they are archived.",
        {"pages": 4},
        "page",
    ),
    Example(
        "unawaited_task",
        "A handler starts an asyncio task, and its event loop stops before the task is done.",
        {},
        "call",
    ),
    Example(
        "heavy_init",
        "A handler imports boto3 at its top, for the one order in a hundred that has an invoice.",
        {},
        "",
        twin="it imports boto3 where it is needed",
        heavy="boto3",
    ),
]


def run(example: Example, module: str, endpoint: Endpoint) -> Document:
    """Run one handler three times, a freeze between; the report goes to the terminal. Return the document."""
    with tempfile.TemporaryDirectory(prefix="afterglow-demo-") as scratch:
        out = Path(scratch) / "run.json"
        command = [sys.executable, "-m", "afterglow_layer", "run", f"{module}.handler"]
        command += ["--dir", str(HERE / example.folder), "--gap", str(GAP_S), "--json", str(out)]
        command += ["--env", f"WAREHOUSE_URL={endpoint.url}", "--env", f"ARCHIVE_URL={endpoint.url}"]
        for order in range(1, ORDERS + 1):
            command += ["--event", json.dumps({"order": order, **example.event})]
        status = subprocess.run(command, check=False).returncode
        if status:
            sys.exit(f"afterglow run ended with status {status}")
        return dict(json.loads(out.read_text()))


def punch_lines(arrivals: list[Arrival], document: Document, example: Example) -> list[str]:
    """Return whose calls arrived during which order, and whose never did."""
    lines = []
    for order in range(1, ORDERS + 1):
        when = Counter(_during(arrival.at_ms, document) for arrival in arrivals if arrival.order == order)
        missing = example.event.get("pages", 1) - when.total()
        own = f"{example.noun} of order {order}"
        lines += [f"{_counted(count, own)} arrived {during}" for during, count in when.items()]
        if missing:
            lines.append(f"{_counted(missing, own)} never arrived")
    return lines


def _counted(count: int, own: str) -> str:
    return f"{count} {own}" if count == 1 else f"{count} {own.replace(' ', 's ', 1)}"


def _during(at_ms: float, document: Document) -> str:
    """Return in whose time it was sent. The middle of a freeze parts two orders: nobody sends anything then."""
    calls = [i["caller"] for i in document["invocations"]]
    answered_ms = calls[-1]["sent_at_ms"] + calls[-1]["took_ms"]
    if at_ms > answered_ms + (document["run"]["frozen_after_ms"] or 0.0) / 2:
        return "after the last answer, at SHUTDOWN"
    begun = [call for call in calls if call["sent_at_ms"] - call["frozen_before_ms"] / 2 <= at_ms]
    return f"during order {len(begun)}"


def show(example: Example, console: Console) -> list[str]:
    """Run bug and twin of one example; return what is wrong with what Afterglow said of them."""
    wrong = []
    for module, twin in (("app", False), ("fixed", True)):
        console.rule(Text(f"examples/{example.folder}/{module}.py", "bold"), align="left")
        console.print(f"The same, repaired: {example.twin}." if twin else example.story)
        with serving() as endpoint:
            document = run(example, module, endpoint)
        if example.heavy:
            wrong += heavy_import(example, document, twin=twin)
        else:
            console.print("At the other end:")
            for line in punch_lines(endpoint.arrivals, document, example):
                console.print(Text(f"  {line}", "bold" if not twin else ""))
        console.print()
        found = len(document["findings"])
        if twin and found:
            wrong.append(f"{example.folder}/fixed.py: {found} findings where nothing was left behind")
        seen = any((f["where"]["file"] or "").endswith("app.py") for f in document["findings"])
        if not twin and not example.heavy and not seen:
            wrong.append(f"{example.folder}/app.py: the work left behind was not found")
    return wrong


def heavy_import(example: Example, document: Document, *, twin: bool) -> list[str]:
    """Return what is wrong with what was said of a heavy import: found in the bug, with its line, not in the twin."""
    found = [m for entry in document["imports"] for m in entry["modules"] if m["name"] == example.heavy]
    if twin:
        return [f"{example.folder}/fixed.py: {example.heavy} is still imported in Init"] if found else []
    at_line = [m for m in found if (m["file"] or "").endswith("app.py") and m["line"]]
    return [] if at_line else [f"{example.folder}/app.py: the line that imports {example.heavy} was not found"]


def main() -> int:
    """Show the examples that were asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("example", nargs="*", choices=[[], *(e.folder for e in EXAMPLES)], default=[])
    wanted = parser.parse_args().example
    console = Console()
    wrong = [w for e in EXAMPLES if not wanted or e.folder in wanted for w in show(e, console)]
    for line in wrong:
        console.print(Text(f"✗ {line}", "red bold"))
    if not wrong:
        console.print(Text("Every bug was found, and every repaired twin is clean.", "green bold"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
