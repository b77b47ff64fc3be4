"""Init, module by module, in the document and in the report: what stands out, whose line it is, and calm otherwise."""

import io
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tests.unit.sample_runs import START_MS, environment, facts, init, invocation

from afterglow.records import Imports, Package, Record, Untouched
from afterglow_collector.document import build_document
from afterglow_collector.module_tree import lines_of, rows_of, total_ms_of
from afterglow_collector.report import render

MB = 1024 * 1024
APP = "/var/task/app.py"
SOURCE = "import json\n\nimport boto3\nimport reports\n"

# name, parent, total, self, line
BOTO = [
    ("app", -1, 200.0, 20.0, None),
    ("boto3", 0, 120.0, 8.0, 3),
    ("botocore", 1, 112.0, 90.0, 3),
    ("urllib3", 2, 22.0, 22.0, 3),
    ("reports", 0, 60.0, 58.0, 4),
    ("csv", 4, 2.0, 2.0, 4),
]


def imports(tree: list[tuple[str, int, float, float, int | None]], **changed: Any) -> Imports:
    names, parents, total, own, lines = (list(column) for column in zip(*tree, strict=True))
    fields: dict[str, Any] = {
        "at_ms": START_MS + 260,
        "request_id": None,
        "imported": len(tree),
        "modules": names,
        "parents": parents,
        "total_ms": total,
        "self_ms": own,
        "others_ms": [0.0] * len(tree),
        "others": [0] * len(tree),
        "files": [APP if line else None for line in lines],
        "lines": lines,
        "failed": [],
        "loose_ms": 0.0,
        "loose": 0,
    }
    return Imports(**fields | changed)


def untouched(**changed: Any) -> Untouched:
    fields: dict[str, Any] = {
        "at_ms": START_MS + 900,
        "invocations": 3,
        "unknown": None,
        "modules": ["reports"],
        "saved_ms": [58.0],
        "files": [APP],
        "lines": [4],
        "unjudged": [],
    }
    return Untouched(**fields | changed)


def package(what: str = "function", size_bytes: int = 30 * MB, **changed: Any) -> Package:
    fields: dict[str, Any] = {
        "at_ms": START_MS + 900,
        "what": what,
        "root": "/var/task",
        "files": 800,
        "size_bytes": size_bytes,
        "unreadable": 0,
        "stopped": None,
        "names": ["boto3", "app"],
        "sizes_bytes": [size_bytes - 1000, 1000],
    }
    return Package(**fields | changed)


def document(*details: Record) -> dict[str, Any]:
    return build_document([environment(), init(), invocation(1, 220), *details, invocation(2, 757)], facts())


def section(tmp_path: Path, *details: Record, columns: int = 80, encoding: str = "utf-8") -> str:
    """Return the report's section on the modules of Init, or "" where there is none."""
    (tmp_path / "app.py").write_text(SOURCE)
    written = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    render(document(*details), Console(file=written, width=columns), tmp_path)
    written.seek(0)
    text = written.read()
    found = re.search(r"^Init, module by module.*?$\n(.*?)(?=^\S)", text, re.MULTILINE | re.DOTALL)
    assert max(map(len, text.splitlines())) <= columns
    return found.group(1) if found else ""


def squeezed(text: str) -> str:
    return " ".join(text.split())


def test_the_document_has_a_module_per_entry() -> None:
    (entry,) = document(imports(BOTO, failed=[5]))["imports"]

    assert (1, None, None, 6) == (entry["environment"], entry["request_id"], entry["invocation"], entry["imported"])
    assert entry["modules"][3] == {
        "name": "urllib3",
        "parent": 2,
        "total_ms": 22.0,
        "self_ms": 22.0,
        "others_ms": 0.0,
        "others": 0,
        "file": APP,
        "line": 3,
        "failed": False,
    }
    assert (None, True) == (entry["modules"][0]["parent"], entry["modules"][5]["failed"])


def test_a_late_import_has_its_invocations_number() -> None:
    (entry,) = document(imports([("csv", -1, 30.0, 30.0, 9)], request_id="request-2"))["imports"]

    assert ("request-2", 2) == (entry["request_id"], entry["invocation"])


def test_a_parent_that_comes_later_is_none() -> None:
    (entry,) = document(imports([("a", 0, 3.0, 3.0, None), ("b", 5, 1.0, 1.0, None)]))["imports"]

    assert [None, None] == [module["parent"] for module in entry["modules"]]


def test_rows_are_what_stands_out_and_siblings_by_what_they_take() -> None:
    (entry,) = document(imports(BOTO))["imports"]

    assert [(0, "app"), (1, "boto3"), (2, "botocore"), (3, "urllib3"), (1, "reports")] == [
        (row.depth, row.name) for row in rows_of(entry)
    ]


def test_of_many_heavy_modules_the_heaviest_have_rows() -> None:
    tree = [("app", -1, 3000.0, 0.0, None), *((f"m{n}", 0, 100.0 + n, 100.0 + n, 1 + n) for n in range(28))]
    (entry,) = document(imports(tree))["imports"]

    rows = rows_of(entry, most=5)

    assert [] == rows_of(entry, most=0)
    assert [(0, "app")] == [(row.depth, row.name) for row in rows[:1]]
    assert 3000.0 == total_ms_of(entry)


def test_a_line_counts_everything_that_it_brought_in() -> None:
    (entry,) = document(imports(BOTO, others=[0, 0, 7, 0, 0, 0]))["imports"]

    assert [(3, 120.0, 10), (4, 60.0, 2)] == [(line.number, line.total_ms, line.modules) for line in lines_of(entry)]


@pytest.mark.parametrize("columns", [80, 120])
def test_the_report_shows_the_tree_and_quotes_the_lines(tmp_path: Path, columns: int) -> None:
    shown = section(tmp_path, imports(BOTO), columns=columns)

    assert "app and 5 modules that it imports: 200 ms, of it 70 ms CPU." in shown
    assert re.search(r"^ +boto3 +120 ms +8\.0 ms +█*▒+$", shown, re.MULTILINE)
    assert re.search(r"^      botocore +112 ms +90 ms", shown, re.MULTILINE)
    assert "app.py:3  120 ms, 60 %, 3 modules  import boto3" in shown
    assert "app.py:4  60 ms, 30 %, 2 modules  import reports" in shown
    assert "and 1 more, none above 10 ms" in shown


def test_a_console_without_blocks_gets_look_alikes(tmp_path: Path) -> None:
    assert "#" in section(tmp_path, imports(BOTO), encoding="ascii")


def test_a_light_init_is_one_line(tmp_path: Path) -> None:
    tree = [("app", -1, 30.0, 10.0, None), ("json", 0, 20.0, 20.0, 1)]

    assert "app and 1 module that it imports: 30 ms, of it 70 ms CPU." == section(tmp_path, imports(tree)).strip()


def test_a_handler_that_imports_nothing_is_alone(tmp_path: Path) -> None:
    assert "app alone: 1.0 ms" in section(tmp_path, imports([("app", -1, 1.0, 1.0, None)]))


def test_a_heavy_init_of_many_small_modules_says_that_none_stands_out(tmp_path: Path) -> None:
    tree = [("app", -1, 400.0, 0.0, None), *((f"m{n}", 0, 2.0, 2.0, 1) for n in range(200))]

    assert "No single module stands out." in squeezed(section(tmp_path, imports(tree)))


def test_late_imports_are_named_with_who_waited(tmp_path: Path) -> None:
    late = imports([("pandas", -1, 340.0, 340.0, 9)], request_id="request-2")

    shown = squeezed(section(tmp_path, imports(BOTO), late))

    assert "#2 imported 1 module late, in 340 ms: pandas (app.py:9)." in shown


def test_a_late_import_that_takes_nothing_is_not_mentioned(tmp_path: Path) -> None:
    late = imports([("csv", -1, 0.4, 0.4, 9)], request_id="request-2")

    assert "late" not in section(tmp_path, imports(BOTO), late)


def test_what_was_never_used_is_named_with_its_line_and_a_caution(tmp_path: Path) -> None:
    shown = squeezed(section(tmp_path, imports(BOTO), untouched()))

    assert "Nothing of these ran in 3 invocations. Import them where they are needed:" in shown
    assert "reports: 58 ms of Init, app.py:4" in shown
    assert "Check that Init itself does not use them" in shown


def test_what_cannot_be_known_is_said(tmp_path: Path) -> None:
    why = "it takes Python 3.12 or newer to know"

    shown = squeezed(section(tmp_path, imports(BOTO), untouched(unknown=why, modules=[], saved_ms=[])))

    assert f"Which of them no invocation needed is not known: {why}." in shown


def test_what_cannot_be_judged_is_said(tmp_path: Path) -> None:
    found = untouched(modules=[], saved_ms=[], files=[], lines=[], unjudged=["numpy"])

    shown = squeezed(section(tmp_path, imports(BOTO), found))

    assert "leave no trace: numpy." in shown
    assert "Nothing of these ran" not in shown


def test_sizes_on_disk_name_the_biggest_package(tmp_path: Path) -> None:
    shown = squeezed(section(tmp_path, package(), package("layers", 600, names=["x"], sizes_bytes=[600])))

    assert "Function on disk: 30 MB in 800 files: boto3 30 MB. Layers on disk: 600 B in 800 files." in shown


def test_a_package_near_lambdas_limit_is_called_so(tmp_path: Path) -> None:
    shown = squeezed(section(tmp_path, package(size_bytes=180 * MB), package("layers", 40 * MB)))

    assert "Together 220 MB: Lambda takes 250 MB unpacked." in shown


def test_a_count_that_stopped_early_says_so(tmp_path: Path) -> None:
    shown = squeezed(section(tmp_path, package(stopped="the environment ended first")))

    assert "Not counted to the end: the environment ended first." in shown


def test_without_any_such_record_there_is_no_section(tmp_path: Path) -> None:
    assert "" == section(tmp_path)


def test_names_cannot_command_the_terminal(tmp_path: Path) -> None:
    tree = [("app", -1, 300.0, 0.0, None), ("evil\x1b[2J", 0, 300.0, 300.0, 3)]

    assert "\x1b[2J" not in section(tmp_path, imports(tree))
