"""The tree of imports as a real process tells it: who imports what, where, how long it takes, what is late."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.unit.imports.runtimes import INTERPRETERS, Told, invoke

EVERY_PYTHON = pytest.mark.parametrize("python", INTERPRETERS.values(), ids=INTERPRETERS)
HANDLER = "\ndef handler(event, context):\n    return 1\n"
SLEEPS = "import time\ntime.sleep({})\n"


def function(folder: Path, inside: Mapping[str, str] | None = None, /, **sources: str) -> Path:
    """Write a function: ``app`` and its modules; those with a dot in their names are in ``inside``."""
    for name, source in {**sources, **(inside or {})}.items():
        path = folder / (name.replace(".", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source + (HANDLER if name == "app" and "def handler" not in source else ""))
    return folder


@EVERY_PYTHON
def test_each_module_is_told_with_its_importer_its_line_and_its_time(tmp_path: Path, python: str) -> None:
    function(
        tmp_path,
        app="import json\n\nimport slow\n",
        slow="import slower\n" + SLEEPS.format(0.03),
        slower=SLEEPS.format(0.06),
    )

    nodes = invoke(tmp_path, python=python).nodes()

    assert (None, "app", "slow") == (nodes["app"]["parent"], nodes["slow"]["parent"], nodes["slower"]["parent"])
    assert [("app.py", 3)] == nodes["slow"]["site"]
    assert [("slow.py", 1)] == nodes["slower"]["site"]
    assert 60 <= nodes["slower"]["self_ms"] <= nodes["slower"]["total_ms"]
    assert 30 <= nodes["slow"]["self_ms"] < 60 + 30 <= nodes["slow"]["total_ms"] <= nodes["app"]["total_ms"]


@EVERY_PYTHON
def test_the_site_reaches_from_the_import_to_the_module_that_encloses_it(tmp_path: Path, python: str) -> None:
    function(
        tmp_path,
        app="import library\n\nlibrary.client()\n",
        library="def client():\n    import late\n",
        late=SLEEPS.format(0.01),
    )

    nodes = invoke(tmp_path, python=python).nodes()

    assert [("library.py", 2), ("app.py", 3)] == nodes["late"]["site"]
    assert "app" == nodes["late"]["parent"]


@EVERY_PYTHON
def test_totals_add_up_to_the_nanosecond(tmp_path: Path, python: str) -> None:
    """Of 500 modules 256 are listed; nothing is lost for that."""
    leaves = {f"leaf_{n}": f"VALUE = {n}\n" for n in range(250)}
    branches = {
        f"branch_{n}": "".join(f"import leaf_{m}\n" for m in range(n * 2, n * 2 + 2)) + f"import pair_{n}\n"
        for n in range(125)
    }
    pairs = {f"pair_{n}": "X = 1\n" for n in range(125)}
    told = invoke(
        function(tmp_path, app="".join(f"import branch_{n}\n" for n in range(125)), **leaves, **branches, **pairs),
        python=python,
    )
    rows = [row for fact in told.of("imports") for row in fact["nodes"]]

    assert len(rows) == 256
    assert 501 <= told.of("imports")[0]["count"] < 520  # 3.10 imports some of the standard library for itself
    children_ns = [0] * len(rows)
    for _, parent, total_ns, *_ in rows:
        if parent >= 0:
            children_ns[parent] += total_ns
    assert [row[2] for row in rows] == [row[3] + below + row[4] for row, below in zip(rows, children_ns, strict=True)]
    assert told.of("imports")[0]["count"] == len(rows) + sum(row[5] for row in rows) + told.of("imports")[0]["loose"][1]


def test_a_message_keeps_its_size_however_long_the_names_are(tmp_path: Path) -> None:
    """The socket takes 64 KB at once, and so does the extension."""
    deep = tmp_path / ("d" * 200) / ("e" * 200) / ("f" * 200)
    modules = {f"{'m' * 150}_{n}": SLEEPS.format(0.0055) for n in range(310)}
    function(deep, app="".join(f"import {name}\n" for name in modules), **modules)

    told = invoke(deep)

    assert len(told.of("imports")) > 1
    assert max(told.sizes) <= 60_000
    assert [(n + 1, len(told.of("imports"))) for n in range(len(told.of("imports")))] == [
        (fact["part"], fact["parts"]) for fact in told.of("imports")
    ]
    assert len(told.nodes()) == 256


@EVERY_PYTHON
def test_what_an_invocation_imports_is_told_apart_from_init(tmp_path: Path, python: str) -> None:
    function(tmp_path, app="def handler(event, context):\n    import late\n", late=SLEEPS.format(0.01))

    told = invoke(tmp_path, python=python, invocations=2)

    assert "late" not in told.nodes()
    assert [("app.py", 2)] == told.nodes("request-1")["late"]["site"]
    assert told.nodes("request-2") == {}


@EVERY_PYTHON
def test_after_three_invocations_importlib_has_its_own_class_back(tmp_path: Path, python: str) -> None:
    source = """
import _frozen_importlib
SAID = []
def handler(event, context):
    SAID.append(_frozen_importlib._ModuleLockManager.__module__)
    __import__("late_%d" % event["index"])
"""
    late = {f"late_{n}": "" for n in range(1, 6)}

    told = invoke(function(tmp_path, app=source, **late), python=python, invocations=5)

    timed, own = "afterglow_hook.imports", "_frozen_importlib"
    assert [timed, timed, timed, own, own] == [name.replace("importlib._bootstrap", own) for name in told.said]
    assert "late_3" in told.nodes("request-3")
    assert {} == told.nodes("request-4")


@EVERY_PYTHON
def test_an_import_that_fails_is_told_as_failed(tmp_path: Path, python: str) -> None:
    source = "try:\n    import optional\nexcept ImportError:\n    optional = None\nimport fine\n"

    nodes = invoke(function(tmp_path, app=source, fine=""), python=python).nodes()

    assert (True, False, False) == (nodes["optional"]["failed"], nodes["fine"]["failed"], nodes["app"]["failed"])


@EVERY_PYTHON
def test_a_module_that_is_loaded_already_is_not_told(tmp_path: Path, python: str) -> None:
    source = "import importlib, sys\nimport part\nimportlib.import_module('part')\nimportlib.reload(part)\n"

    told = invoke(function(tmp_path, app=source, part=""), python=python)

    assert ["part"] == [row[0] for fact in told.of("imports") for row in fact["nodes"] if row[0] == "part"]


@EVERY_PYTHON
def test_an_import_in_a_thread_has_a_tree_of_its_own(tmp_path: Path, python: str) -> None:
    source = """
import threading
def work():
    import aside
thread = threading.Thread(target=work)
thread.start()
import beside
thread.join()
"""
    sources = {"aside": "import under\n" + SLEEPS.format(0.02), "beside": SLEEPS.format(0.02), "under": ""}

    nodes = invoke(function(tmp_path, app=source, **sources), python=python).nodes()

    assert (None, "aside", "app") == (nodes["aside"]["parent"], nodes["under"]["parent"], nodes["beside"]["parent"])


def test_a_package_is_told_below_the_part_of_it_that_was_asked_for(tmp_path: Path) -> None:
    """Python imports ``shop`` because ``shop.orders`` is wanted."""
    nodes = invoke(function(tmp_path, {"shop.__init__": "", "shop.orders": ""}, app="import shop.orders\n")).nodes()

    assert ("app", "shop.orders") == (nodes["shop.orders"]["parent"], nodes["shop"]["parent"])


@EVERY_PYTHON
def test_a_module_that_loads_itself_when_it_is_needed_is_not_made_to(tmp_path: Path, python: str) -> None:
    source = """
import importlib.util, sys
spec = importlib.util.find_spec("lazy")
spec.loader = importlib.util.LazyLoader(spec.loader)
lazy = importlib.util.module_from_spec(spec)
import sleeper
sys.modules["sleeper"] = lazy
spec.loader.exec_module(lazy)
SAID = []
def handler(event, context):
    SAID.append("lazy_was_loaded" in sys.modules)
"""
    told = invoke(
        function(tmp_path, app=source, sleeper="", lazy="import sys; sys.modules['lazy_was_loaded'] = sys\n"),
        python=python,
        invocations=2,
    )

    assert "sleeper" in told.nodes()
    assert [False, False] == told.said


def test_extension_modules_are_marked(tmp_path: Path) -> None:
    nodes = invoke(function(tmp_path, app="import _testcapi, colorsys\n")).nodes()

    assert nodes["_testcapi"]["native"]
    assert not nodes["colorsys"]["native"]


def test_nothing_is_timed_where_that_is_switched_off(tmp_path: Path) -> None:
    told = invoke(function(tmp_path, app="import json\n"), env={"AFTERGLOW_IMPORTS": "off"})

    assert told == Told([], [], None)


def test_a_forked_child_does_not_tell_what_its_parent_imported(tmp_path: Path) -> None:
    source = """
import os
import part
from afterglow_hook import imports
SAID = []
os.register_at_fork(after_in_child=imports.forget_all)
def handler(event, context):
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.write(writing, str(len(imports.finished)).encode())
        os._exit(0)
    os.wait()
    SAID.append(os.read(reading, 9).decode())
"""
    told = invoke(function(tmp_path, app=source, part=""))

    assert ["0"] == told.said
    assert "part" in told.nodes()
