"""The extension's side: trees as records, modules that nothing needed, parts that come one by one."""

from typing import Any

import pytest

from afterglow.anatomy import Anatomy
from afterglow.facts import parse_fact
from afterglow.imports import NATIVE, Module, modules_of, places_of, record_of, untouched_of
from afterglow.records import Imports, Package, Record, Untouched, decode, encode

MS = 1_000_000
APP, LIBRARY = "/var/task/app.py", "/var/task/boto3/__init__.py"


def is_own(file: str) -> bool:
    return file == APP


def module(name: str, parent: int, total_ms: float, *site: tuple[str, int], flags: int = 0) -> Module:
    return Module(name, parent, int(total_ms * MS), MS, 0, 0, flags, list(site))


TREE = [
    module("app", -1, 200),
    module("boto3", 0, 120, (APP, 3)),
    module("botocore", 1, 110, (LIBRARY, 17), (APP, 3)),
    module("json", 2, 15, (LIBRARY, 2)),
    module("reports", 0, 60, (APP, 4)),
    module("numbers", 4, 2),
]


def fact(part: int = 1, parts: int = 1, nodes: list[list[Any]] | None = None, **changed: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "t": "imports",
        "id": None,
        "count": 7,
        "loose": [5 * MS, 2],
        "untouched": "",
        "watched": 1,
        "part": part,
        "parts": parts,
        "files": [APP],
        "nodes": [row("app", -1), row("heavy", 0)] if nodes is None else nodes,
        "own": MS,
    }
    return fields | changed


def row(name: str, parent: int, site: list[list[int]] | None = None) -> list[Any]:
    return [name, parent, 50 * MS, 40 * MS, 10 * MS, 3, 0, [[0, 3]] if site is None else site]


def touched(n: int, *names: str, last: int = 0) -> dict[str, Any]:
    return {"t": "touched", "n": n, "last": last, "names": list(names), "own": MS}


@pytest.fixture
def anatomy() -> Anatomy:
    return Anatomy(is_own, now_ms=lambda: 1_763_700_000_000)


def test_a_tree_becomes_columns_in_milliseconds() -> None:
    parts = [fact()]
    modules = modules_of(parts)
    assert modules is not None

    record = record_of(parts, modules, 5, is_own)

    assert record == Imports(
        at_ms=5,
        request_id=None,
        imported=7,
        modules=["app", "heavy"],
        parents=[-1, 0],
        total_ms=[50.0, 50.0],
        self_ms=[40.0, 40.0],
        others_ms=[10.0, 10.0],
        others=[3, 3],
        files=[APP, APP],
        lines=[3, 3],
        failed=[],
        loose_ms=5.0,
        loose=2,
    )
    assert record == decode(encode(record))


def test_the_line_is_the_functions_own_however_far_below_it_the_import_is() -> None:
    assert [(None, None), (APP, 3), (APP, 3), (APP, 3), (APP, 4), (APP, 4)] == places_of(TREE, is_own)


def test_without_a_line_of_its_own_whatever_imports_it_is_named() -> None:
    assert (LIBRARY, 17) == places_of(TREE, lambda _: False)[2]


def test_what_nothing_ran_of_is_named_once_at_its_top() -> None:
    found = untouched_of(TREE, {"app"}, 9, 4, is_own)

    assert (["boto3", "reports"], [120.0, 60.0]) == (found.modules, found.saved_ms)
    assert ([APP, APP], [3, 4], 4) == (found.files, found.lines, found.invocations)


def test_what_others_need_anyway_is_not_saved() -> None:
    found = untouched_of(TREE, {"app", "json"}, 9, 4, is_own)

    assert 105.0 == dict(zip(found.modules, found.saved_ms, strict=True))["boto3"]


def test_a_part_that_runs_keeps_its_whole_package() -> None:
    tree = [module("app", -1, 200), module("shop", 0, 90, (APP, 3)), module("shop.part", 1, 1)]

    assert [] == untouched_of(tree, {"app", "shop.part"}, 9, 4, is_own).modules


def test_a_package_with_parts_in_c_is_not_judged() -> None:
    tree = [module("app", -1, 200), module("numpy", 0, 90, (APP, 3)), module("numpy._core", 1, 1, flags=NATIVE)]

    found = untouched_of(tree, {"app"}, 9, 4, is_own)

    assert ([], ["numpy"]) == (found.modules, found.unjudged)


def test_what_a_library_imports_nobody_can_import_later() -> None:
    assert "botocore" not in untouched_of(TREE, {"app", "boto3"}, 9, 4, is_own).modules


def test_parts_make_one_tree(anatomy: Anatomy) -> None:
    assert [] == list(anatomy.hear(7, fact(1, 2, [row("app", -1)])))
    (record,) = anatomy.hear(7, fact(2, 2, [row("heavy", 0)]))

    assert isinstance(record, Imports)
    assert (["app", "heavy"], [-1, 0]) == (record.modules, record.parents)


@pytest.mark.parametrize(
    "node",
    [row("a", 0), row("a", 5), row("a", -2), row("a", -1, [[1, 3]]), row("a", -1, [[-1, 3]])],
    ids=["its own parent", "a parent that comes later", "no place", "no file", "a file before the first"],
)
def test_a_place_that_leads_nowhere_makes_no_tree(anatomy: Anatomy, node: list[Any]) -> None:
    assert [] == list(anatomy.hear(7, fact(nodes=[node])))


def test_a_part_out_of_turn_is_no_part(anatomy: Anatomy) -> None:
    assert [] == list(anatomy.hear(7, fact(2, 2, [row("heavy", 0)])))
    assert 1 == len(list(anatomy.hear(7, fact())))


def test_of_several_workers_the_first_speaks_for_all(anatomy: Anatomy) -> None:
    assert 1 == len(list(anatomy.hear(7, fact())))
    assert [] == list(anatomy.hear(8, fact()))
    assert [] == list(anatomy.hear(8, touched(10, last=1)))


def test_what_was_never_touched_is_told_after_the_last_look(anatomy: Anatomy) -> None:
    list(anatomy.hear(7, fact()))

    assert [] == list(anatomy.hear(7, touched(1, "app")))
    (found,) = anatomy.hear(7, touched(10, last=1))

    assert isinstance(found, Untouched)
    assert (["heavy"], 10) == (found.modules, found.invocations)


def test_what_was_never_touched_is_told_at_the_end_of_a_short_life(anatomy: Anatomy) -> None:
    list(anatomy.hear(7, fact()))
    list(anatomy.hear(7, touched(2, "app", "heavy")))

    (found,) = (record for record in anatomy.close("") if isinstance(record, Untouched))

    assert ([], 2) == (found.modules, found.invocations)
    assert [] == [record for record in anatomy.close("") if isinstance(record, Untouched)]


def test_nothing_is_claimed_without_an_invocation(anatomy: Anatomy) -> None:
    list(anatomy.hear(7, fact()))

    assert [] == [record for record in anatomy.close("") if isinstance(record, Untouched)]


def test_what_cannot_be_known_is_said_once_where_it_matters(anatomy: Anatomy) -> None:
    _, said = anatomy.hear(7, fact(untouched="it takes Python 3.12", watched=0))

    assert isinstance(said, Untouched)
    assert said.unknown == "it takes Python 3.12"
    assert 1 == len(list(Anatomy(lambda _: False).hear(7, fact(untouched="it takes Python 3.12", watched=0))))


def test_the_facts_of_these_tests_are_facts() -> None:
    import json

    for one in (fact(), touched(1, "app")):
        assert one == parse_fact(json.dumps(one).encode())


def test_what_lies_on_disk_is_told_once(anatomy: Anatomy, tmp_path: Any) -> None:
    (tmp_path / "app.py").write_text("x = 1\n")
    records: list[Record] = []
    while anatomy.weighs:
        records += anatomy.weigh(str(tmp_path))

    told = {record.what: record for record in records if isinstance(record, Package)}
    assert (1, 6, None) == (told["function"].files, told["function"].size_bytes, told["function"].stopped)
    assert [] == [record for record in anatomy.close(str(tmp_path)) if isinstance(record, Package)]
