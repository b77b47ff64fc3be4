"""Facts: what the hook says gets through, and nothing that could not be calculated with or written out again."""

import json
from typing import Any

import pytest

from afterglow.facts import FIELDS, MOST_TEXT, FactError, parse_fact

UPDATE = [1, 5_000, True]
WORK: dict[str, Any] = {
    "w": 1,
    "what": "thread",
    "name": "send",
    "site": [["/var/task/app.py", 7, "handler"]],
    "id": "r-1",
    "n": 1,
    "state": "sleeping",
    "at": 10,
    "jobs": 1,
    "worker": None,
    "burned": None,
    "pid": None,
}
CANCELLED = {name: WORK[name] for name in ("name", "site", "id", "n", "state", "at")}
FACTS: dict[str, dict[str, Any]] = {
    "hello": {"t": "hello", "v": 1, "python": "3.11", "at": 1, "took": 2, "cpu": 3, "root": "/var/task"},
    "init": {"t": "init", "from": 1, "at": 2, "cpu": 1, "error": None},
    "entered": {"t": "entered", "id": "r-1", "n": 1, "at": 5, "works": [UPDATE]},
    "found": {"t": "found", "new": [WORK], "lost": [CANCELLED]},
    "returned": {
        "t": "returned",
        "id": "r-1",
        "n": 1,
        "from": 5,
        "at": 9,
        "error": None,
        "user": 0.25,
        "system": 0,
        "own": 40_000,
        "unlooked": 0,
        "rss": None,
        "peak": None,
        "threads": None,
        "fds": None,
        "works": [UPDATE],
    },
    "ended": {"t": "ended", "w": 1, "at": 11, "cpu": None},
    "pile": {
        "t": "pile",
        "what": "threads-left",
        "name": "work",
        "site": [["/var/task/app.py", 7, "handler"]],
        "id": "r-5",
        "n": 5,
        "count": 5,
        "of": 5,
    },
    "exit": {"t": "exit", "call": "os._exit", "at": 11, "site": [["/var/task/app.py", 3, "handler"]]},
    "gave-up": {"t": "gave-up", "error": "KeyError"},
    "unseen": {"t": "unseen", "what": "asyncio-task", "why": "uvloop makes them in C"},
    "imports": {
        "t": "imports",
        "id": None,
        "count": 1,
        "loose": [0, 0],
        "untouched": "",
        "watched": 1,
        "part": 1,
        "parts": 1,
        "files": ["/var/task/app.py"],
        "nodes": [["app", -1, 9_000, 8_000, 1_000, 1, 0, [[0, 3]]]],
        "own": 2_000,
    },
    "touched": {"t": "touched", "n": 1, "last": 0, "names": ["app"], "own": 1_000},
}


def message(kind: str, **changed: object) -> bytes:
    return json.dumps({**FACTS[kind], **changed}).encode()


def test_every_kind_of_fact_has_an_example_here() -> None:
    assert set(FIELDS) == set(FACTS)


@pytest.mark.parametrize("kind", FACTS)
def test_a_fact_gets_through_as_it_is(kind: str) -> None:
    assert FACTS[kind] == parse_fact(message(kind))


@pytest.mark.parametrize(("kind", "field"), [(kind, field) for kind in FACTS for field in FIELDS[kind]])
@pytest.mark.parametrize("value", [{"a": 1}, [[]], 1 << 64, float("nan"), True], ids=str)
def test_a_field_of_a_wrong_type_is_refused_by_name(kind: str, field: str, value: object) -> None:
    with pytest.raises(FactError, match=f"{kind}, field {field}"):
        parse_fact(message(kind, **{field: value}))


@pytest.mark.parametrize(("kind", "field"), [(kind, field) for kind in FACTS for field in FIELDS[kind]])
def test_a_field_that_is_missing_is_refused_by_name(kind: str, field: str) -> None:
    fact = {name: value for name, value in FACTS[kind].items() if name != field}

    with pytest.raises(FactError, match=f"{kind}, field {field}"):
        parse_fact(json.dumps(fact).encode())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[(field, {"a": 1}) for field in WORK],
        *[(field, 1 << 64) for field in ("w", "n", "at", "jobs", "pid")],
        ("what", "spaceship"),
        ("site", [["/var/task/app.py", "7", "handler"]]),
        ("site", [["/var/task/app.py", 7]]),
        ("site", [7]),
        ("site", [[None, 7, "handler"]]),
    ],
    ids=str,
)
def test_a_piece_of_work_that_is_none_is_refused(field: str, value: object) -> None:
    with pytest.raises(FactError, match="found, field new"):
        parse_fact(message("found", new=[{**WORK, field: value}]))


@pytest.mark.parametrize("update", [1, [], [1, 2], [1, "2", True], ["1", 2, True], [1, 1 << 70, True]], ids=str)
@pytest.mark.parametrize("kind", ["entered", "returned"])
def test_an_update_that_is_none_is_refused(kind: str, update: object) -> None:
    with pytest.raises(FactError, match=f"{kind}, field works"):
        parse_fact(message(kind, works=[update]))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"hello",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"7",
        b'"hello"',
        b"{}",
        b'{"t":null}',
        b'{"t":["hello"]}',
        b'{"t":{}}',
        b'{"t":"toString"}',
        b'{"t":"hello"',
        b"[" * 60_000,
        b'{"t":' * 10_000,
        b"1" * 60_000,
    ],
    ids=lambda text: text[:20].decode("latin-1"),
)
def test_what_is_no_fact_is_refused(text: bytes) -> None:
    with pytest.raises(FactError):
        parse_fact(text)


@pytest.mark.parametrize(("field", "value"), [("site", 5), ("new", 5), ("lost", "x"), ("works", 5)])
def test_a_field_that_a_fact_does_not_have_is_not_looked_at(field: str, value: object) -> None:
    assert value == parse_fact(message("ended", **{field: value}))[field]


@pytest.mark.parametrize("value", ["3", 1 << 70, None, 0.5])
def test_a_count_of_drops_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(FactError, match="field dropped"):
        parse_fact(message("ended", dropped=value))


@pytest.mark.parametrize("user", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_a_number_that_json_cannot_carry_is_refused(user: str) -> None:
    text = message("returned").replace(b'"user": 0.25', f'"user": {user}'.encode())

    with pytest.raises(FactError, match="returned, field user"):
        parse_fact(text)


def test_a_hook_of_another_version_is_refused() -> None:
    with pytest.raises(FactError, match="a hook of version 2, not 1"):
        parse_fact(message("hello", v=2))


LONG = "/var/task/" + "x" * 60_000 + "/app.py"


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("entered", {"id": LONG}),
        ("init", {"error": LONG, "message": LONG, "origin": [[LONG, 7, LONG]]}),
        ("returned", {"error": LONG}),
        ("found", {"new": [{**WORK, "name": LONG, "state": LONG, "site": [[LONG, 7, "handler"]]}]}),
        ("found", {"lost": [{**CANCELLED, "name": LONG}]}),
        ("gave-up", {"error": LONG}),
        ("unseen", {"why": LONG}),
        ("imports", {"files": [LONG], "nodes": [[LONG, -1, 1, 1, 1, 1, 0, [[0, 3]]]]}),
        ("touched", {"names": [LONG]}),
    ],
)
def test_names_and_paths_are_cut_to_what_a_collector_takes(kind: str, changed: dict[str, Any]) -> None:
    fact = parse_fact(message(kind, **changed))
    longest = max(texts_in(fact), key=len)

    assert MOST_TEXT == len(longest)
    assert longest.startswith("/var/task/xxx")
    assert longest.endswith("xxx/app.py")
    assert FIELDS[kind].keys() <= fact.keys()


def texts_in(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for one in inner for text in texts_in(one)]


def test_a_file_name_that_is_no_utf_8_can_be_written() -> None:
    fact = parse_fact(message("found", new=[{**WORK, "site": [["/var/task/\udcff\u00e4.py", 7, "\ud800"]]}]))

    assert [["/var/task/?\u00e4.py", 7, "?"]] == fact["new"][0]["site"]


def test_a_long_task_root_is_left_whole_for_comparison() -> None:
    root = "/" + "deep/" * 300

    assert root == parse_fact(message("hello", root=root))["root"]


def test_what_we_do_not_know_of_a_long_fact_is_left_out() -> None:
    fact = parse_fact(message("ended", pad="x" * 5000, deep=[[[[[[[[[]]]]]]]]], dropped=3))

    assert {"t": "ended", "w": 1, "at": 11, "cpu": None, "dropped": 3} == fact


def test_a_work_that_is_nested_without_end_is_cut_short() -> None:
    nested: list[Any] = []
    for _ in range(400):
        nested = [nested]
    fact = parse_fact(message("found", new=[{**WORK, "more": nested, "name": "x" * 600}]))

    assert MOST_TEXT == len(fact["new"][0]["name"])
