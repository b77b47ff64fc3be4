"""Which modules' functions ran: told on Python 3.12 and newer, and said to be unknown elsewhere."""

import sys
from pathlib import Path

import pytest
from tests.unit.imports.runtimes import INTERPRETERS, Told, invoke, with_monitoring
from tests.unit.imports.test_tree import SLEEPS, function

NEW = with_monitoring()
needs_monitoring = pytest.mark.skipif(
    NEW is None, reason="no Python 3.12 or newer at hand: sys.monitoring is new there"
)
OLD = {version: python for version, python in INTERPRETERS.items() if int(version[2:]) < 12}

APP = """
import needed, spare
def handler(event, context):
    if event["index"] == 2:
        needed.work()
"""
HEAVY = SLEEPS.format(0.012) + "def work():\n    return 1\n"


def touched(told: Told) -> dict[str, int]:
    """Return the touched modules, each with the invocation that was the first to do so."""
    return {name: fact["n"] for fact in told.of("touched") for name in fact["names"]}


@needs_monitoring
def test_the_first_invocation_that_runs_a_modules_function_is_told(tmp_path: Path) -> None:
    assert NEW is not None
    told = invoke(function(tmp_path, app=APP, needed=HEAVY, spare=HEAVY), python=NEW, invocations=12)

    assert {"app": 1, "needed": 2} == touched(told)
    assert [*range(1, 11)] == [fact["n"] for fact in told.of("touched")]
    assert [0] * 9 + [1] == [fact["last"] for fact in told.of("touched")]
    assert (1, "") == (told.of("imports")[0]["watched"], told.of("imports")[0]["untouched"])


@needs_monitoring
def test_a_dataclass_touches_the_module_that_it_is_in(tmp_path: Path) -> None:
    """Its ``__init__`` was made by exec, and comes from no file."""
    assert NEW is not None
    source = SLEEPS.format(0.012) + "import dataclasses\n@dataclasses.dataclass\nclass Order:\n    number: int\n"
    app = "import shop\ndef handler(event, context):\n    shop.Order(1)\n"

    assert "shop" in touched(invoke(function(tmp_path, app=app, shop=source), python=NEW))


@needs_monitoring
def test_a_part_too_small_for_a_line_of_its_own_touches_its_package(tmp_path: Path) -> None:
    assert NEW is not None
    parts = {f"shop.part_{n}": "def work():\n    return 1\n" for n in range(400)}
    app = "import shop\ndef handler(event, context):\n    shop.smallest.work()\n"
    package = (
        SLEEPS.format(0.012)
        + "".join(f"from shop import part_{n}\n" for n in range(400))
        + "import sys\nfrom afterglow_hook import imports\n"
        + "small = min((one for one in imports.finished if one._name.startswith('shop.part')),"
        + " key=lambda one: one.ended_ns - one.began_ns)\n"
        + "smallest = sys.modules[small._name]\n"
    )

    told = invoke(function(tmp_path, {"shop.__init__": package, **parts}, app=app), python=NEW)

    assert "shop" in touched(told)
    assert not [name for name in touched(told) if name.startswith("shop.")]


@needs_monitoring
def test_nothing_is_watched_where_no_module_is_heavy(tmp_path: Path) -> None:
    assert NEW is not None
    app = "import sys, needed\nSAID = []\ndef handler(event, context):\n    SAID.append(sys.monitoring.get_tool(4))\n"

    told = invoke(function(tmp_path, app=app, needed=""), python=NEW)

    assert [] == told.of("touched")
    assert [None] == told.said


@needs_monitoring
def test_the_tool_id_is_given_back(tmp_path: Path) -> None:
    assert NEW is not None
    app = "import sys, needed\nSAID = []\ndef handler(event, context):\n    SAID.append(sys.monitoring.get_tool(4))\n"

    told = invoke(function(tmp_path, app=app, needed=HEAVY), python=NEW, invocations=12)

    assert ["afterglow"] * 10 + [None, None] == told.said


@needs_monitoring
def test_other_tools_keep_their_ids(tmp_path: Path) -> None:
    assert NEW is not None
    app = "import sys\nfor tool in (3, 4):\n    sys.monitoring.use_tool_id(tool, 'theirs')\n" + APP

    told = invoke(function(tmp_path, app=app, needed=HEAVY, spare=HEAVY), python=NEW, invocations=2)

    assert [] == told.of("touched")
    assert "other tools have taken all of sys.monitoring's free ids" == told.of("imports")[0]["untouched"]


@needs_monitoring
def test_another_free_id_will_do(tmp_path: Path) -> None:
    assert NEW is not None
    app = "import sys\nsys.monitoring.use_tool_id(4, 'theirs')\n" + APP

    assert {"app": 1} == touched(invoke(function(tmp_path, app=app, needed=HEAVY, spare=HEAVY), python=NEW))


@pytest.mark.parametrize("python", OLD.values(), ids=OLD)
def test_an_older_python_says_that_it_cannot_know(tmp_path: Path, python: str) -> None:
    told = invoke(function(tmp_path, app=APP, needed=HEAVY, spare=HEAVY), python=python)

    assert "it takes Python 3.12 or newer to know" == told.of("imports")[0]["untouched"]
    assert [] == told.of("touched")


@needs_monitoring
def test_the_tree_alone_can_be_had(tmp_path: Path) -> None:
    told = invoke(
        function(tmp_path, app=APP, needed=HEAVY, spare=HEAVY),
        python=NEW or sys.executable,
        env={"AFTERGLOW_IMPORTS": "tree"},
    )

    assert "AFTERGLOW_IMPORTS=tree" == told.of("imports")[0]["untouched"]
    assert "spare" in told.nodes()
