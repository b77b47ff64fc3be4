"""The reader names what it refuses."""

import json
from typing import Any

import pytest

from afterglow.records import (
    KINDS,
    Ending,
    Init,
    Loss,
    Overhead,
    RecordError,
    as_document,
    decode,
    encode,
    encode_row,
    from_document,
    kind_of,
)

LEDGER = Loss(at_ms=1_763_700_000_000, of="facts", seen=10, emitted=9, dropped={"buffer-full": 1})


def with_(**fields: Any) -> dict[str, Any]:
    return {**as_document(LEDGER), **fields}


def test_the_wire_form_is_the_fields_after_kind_and_version() -> None:
    assert json.loads(encode(LEDGER)) == {
        "afterglow": "loss",
        "v": 1,
        "at_ms": 1_763_700_000_000,
        "of": "facts",
        "seen": 10,
        "emitted": 9,
        "dropped": {"buffer-full": 1},
    }


def test_a_row_is_the_same_without_the_names() -> None:
    assert json.loads(encode_row(LEDGER)) == ["loss", 1, 1_763_700_000_000, "facts", 10, 9, {"buffer-full": 1}]
    assert LEDGER == decode(encode_row(LEDGER))


def test_what_was_added_to_a_kind_later_may_be_missing_in_what_an_older_layer_has_written() -> None:
    ending = Ending(1, None, None, "timeout", "hook", None, None, [["a.py:1 in f"]], None, None, [], None)
    document, row = json.loads(encode(ending)), json.loads(encode_row(ending))
    del document["own"], document["cause"]

    assert ending == decode(json.dumps(document)) == decode(json.dumps(row[:-1])) == decode(json.dumps(row[:-2]))
    with pytest.raises(RecordError, match="ending: a row has 16 members"):
        decode(json.dumps(row[:-3]))


def test_a_row_says_each_source_in_a_letter() -> None:
    init = Init(1, 250.5, 20.0, *[None] * 7, {"init_ms": "platform", "extension_ms": "observed", "error_type": "hook"})

    assert json.loads(encode_row(init))[-1] == "-po------h-"
    assert init == decode(encode_row(init))


@pytest.mark.parametrize("sources", [{"init_ms": "hearsay"}, {"nonsense": "hook"}])
def test_sources_that_letters_cannot_say_stand_in_a_row_as_they_are(sources: dict[str, str]) -> None:
    init = Init(1, *[None] * 9, sources)

    assert init == decode(encode_row(init))


@pytest.mark.parametrize("letters", ["-po", "-po------x-"])
def test_letters_that_stand_for_nothing_are_refused(letters: str) -> None:
    row = ["init", 1, 1, *[None] * 9, letters]

    with pytest.raises(RecordError, match='init: field "sources" in a row has 11 letters of pho-'):
        from_document(row)


def test_every_kind_is_the_lower_case_name_of_its_record() -> None:
    assert {kind: kind_of(cls._make([None] * len(cls._fields))) for kind, cls in KINDS.items()} == {
        kind: kind for kind in KINDS
    }


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        pytest.param(1, "a record is a JSON object or a row, not int", id="no object"),
        pytest.param([], 'field "afterglow": None is no kind of record', id="empty row"),
        pytest.param(
            ["loss"], "loss: a row has 7 members (kind, v, at_ms, of, seen, emitted, dropped), not 1", id="short row"
        ),
        pytest.param(
            ["loss", 2, 1, "x", 1, 1, {}], 'field "v": schema version 2 is not 1', id="row of another version"
        ),
        pytest.param(["loss", 1, 1, "x", 1, "1", {}], 'loss: field "emitted" must be int', id="row of a wrong type"),
        pytest.param({}, 'field "afterglow": None is no kind of record; known: environment', id="no kind"),
        pytest.param(with_(afterglow="los"), "'los' is no kind of record", id="unknown kind"),
        pytest.param(with_(afterglow=["loss"]), "is no kind of record", id="kind of a wrong type"),
        pytest.param(with_(v=2), 'field "v": schema version 2 is not 1', id="a later version"),
        pytest.param(with_(v=True), 'field "v": schema version True is not 1', id="true is no version"),
        pytest.param(with_(v=None), 'field "v": schema version None is not 1', id="no version"),
        pytest.param(with_(lost=1), 'loss: unknown field "lost"; known: at_ms, of, seen', id="unknown field"),
        pytest.param(with_(seen=None), 'loss: field "seen" must be int, not null', id="null where a number must be"),
        pytest.param(with_(seen=True), 'field "seen" must be int, not bool', id="a bool is no number"),
        pytest.param(with_(seen=1.0), 'field "seen" must be int, not float', id="a float is no count"),
        pytest.param(with_(of=7), 'field "of" must be str, not int', id="number for text"),
        pytest.param(with_(dropped={"a": "b"}), 'field "dropped" must be dict', id="text inside a count table"),
        pytest.param(with_(dropped=[]), 'field "dropped" must be dict', id="list for a table"),
    ],
)
def test_what_is_wrong_is_named_with_what_would_be_right(document: object, complaint: str) -> None:
    with pytest.raises(RecordError) as refusal:
        from_document(document)

    assert complaint in str(refusal.value)


@pytest.mark.parametrize("line", ["", "{", "nonsense", b"\xff\xfe\xfa", "[" * 100_000, "1" * 5_000])
def test_what_is_not_json_is_refused_as_such(line: str | bytes) -> None:
    with pytest.raises(RecordError, match=r"not JSON|a record is a JSON object"):
        decode(line)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_json_has_no_nan_and_no_infinities(constant: str) -> None:
    line = encode(Overhead(1, 7777.0, None, 0.0, 0)).replace("7777.0", constant)

    with pytest.raises(RecordError, match='field "agent_cpu_ms" must be float'):
        decode(line)


def test_the_writer_refuses_what_is_not_json() -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        encode(Overhead(1, float("nan"), None, 0.0, 0))
