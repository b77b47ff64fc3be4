"""Batches are read as `records.decode` reads their lines: the same are good, and the same words refuse the others."""

import json
from collections.abc import Callable
from itertools import cycle
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from tests.property.strategies import any_record
from tests.unit.collect.samples import ANY_TIME, AT_MS, body, call, environment, finding, overhead

from afterglow.records import KINDS, Environment, Invocation, Record, RecordError, decode, encode, encode_row
from afterglow_collector.collect import wire
from afterglow_collector.collect.forms import FORMS, as_record
from afterglow_collector.collect.refusals import Refusal
from afterglow_collector.collect.wire import BatchError, Limits, decode_batch

Encoder = Callable[[Record], str]


def lines(*after_the_environment: str | bytes) -> bytes:
    plain = [line.encode() if isinstance(line, str) else line for line in after_the_environment]
    return b"\n".join([encode(environment()).encode(), *plain])


def refusals(*after_the_environment: str | bytes, limits: Limits = ANY_TIME) -> list[Refusal]:
    return decode_batch(lines(*after_the_environment), limits).refusals


def plausible(record: Record) -> bool:
    """Say whether all numbers of a record can be: what the door adds to the reference."""
    try:
        msgspec.json.decode(encode_row(record), type=FORMS[type(record)].row)
    except msgspec.ValidationError:
        return False
    return True


def changed(record: Record, **fields: Any) -> str:
    return json.dumps({**json.loads(encode(record)), **fields})


@given(
    st.lists(any_record.filter(lambda record: not isinstance(record, Environment)), max_size=5),
    st.sampled_from([(encode,), (encode_row,), (encode, encode_row), (encode_row, encode)]),
)
def test_a_batch_holds_the_records_that_were_sent(records: list[Record], forms: tuple[Encoder, ...]) -> None:
    limits = structs.replace(ANY_TIME, from_ms=float("-inf"), until_ms=float("inf"))
    records = [record for record in records if plausible(record)]
    found = decode_batch(lines(*(form(record) for form, record in zip(cycle(forms), records, strict=False))), limits)

    assert environment() == found.environment
    assert [] == found.refusals
    sent = [record._replace(sources={}) if "sources" in record._fields else record for record in records]
    read = [as_record(struct) for struct in found.records]
    assert sent == [record._replace(sources={}) if "sources" in record._fields else record for record in read]


@given(st.data())
def test_a_line_is_refused_when_the_reference_refuses_it(data: st.DataObject) -> None:
    """One field of a good record gets some other JSON value; both readers agree on whether that is a record."""
    record = data.draw(st.sampled_from([call(), finding(), overhead()]))
    field = data.draw(st.sampled_from([name for name in ("afterglow", "v", *record._fields) if name != "sources"]))
    values = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=3)
    line = changed(record, **{field: data.draw(values | st.lists(values, max_size=2))})
    limits = structs.replace(ANY_TIME, from_ms=-100)
    try:
        expected: Record | None = decode(line)
    except RecordError as error:
        expected, words = None, str(error)

    found = decode_batch(lines(line), limits)
    if expected is None:
        assert [words[:300]] == [refusal.reason for refusal in found.refusals]
    elif not plausible(expected):
        assert ["Expected"] == [refusal.reason[:8] for refusal in found.refusals]
    else:
        assert [expected] == [as_record(struct)._replace(**_sources(expected)) for struct in found.records]


@given(st.data())
def test_a_row_is_refused_when_the_reference_refuses_it(data: st.DataObject) -> None:
    """One member of a good row becomes some other JSON value, or goes, or another comes."""
    row = json.loads(encode_row(data.draw(st.sampled_from([call(), finding(), overhead()]))))
    place = data.draw(st.integers(0, len(row) - 1).filter(lambda place: not isinstance(row[place], str) or place < 20))
    values = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=3)
    row[place : place + data.draw(st.integers(0, 1))] = data.draw(
        st.lists(values | st.lists(values, max_size=2), max_size=2)
    )
    limits = structs.replace(ANY_TIME, from_ms=-100)
    try:
        expected: Record | None = decode(json.dumps(row))
    except RecordError as error:
        expected, words = None, str(error)

    found = decode_batch(lines(json.dumps(row)), limits)
    if expected is None:
        assert [words[:300]] == [refusal.reason for refusal in found.refusals]
    elif not plausible(expected):
        assert ["Expected"] == [refusal.reason[:8] for refusal in found.refusals]
    else:
        assert [expected] == [as_record(struct)._replace(**_sources(expected)) for struct in found.records]


def _sources(record: Record) -> dict[str, Any]:
    return {"sources": record.sources} if "sources" in record._fields else {}  # type: ignore[union-attr]


def test_bad_lines_are_named_and_good_ones_kept() -> None:
    good = encode(call())
    found = decode_batch(lines(good, changed(call(), cold=1), good, "nope", changed(call(), new=1), good), ANY_TIME)

    assert len(found.records) == 3
    assert [(3, "cold"), (5, None), (6, "new")] == [(one.line, one.field) for one in found.refusals]
    assert "must be bool" in found.refusals[0].reason
    assert "not JSON" in found.refusals[1].reason
    assert 'unknown field "new"' in found.refusals[2].reason


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (changed(call(), rss_bytes=2**53 + 1), "rss_bytes"),
        (changed(call(), request_id="x" * 1025), "request_id"),
        (changed(finding(), changes=["lingering"] * 257), "changes"),
        (encode(call()).replace('"duration_ms":10.0', '"duration_ms":1e999'), "duration_ms"),
        (encode(call()).replace('"status":"ok"', '"status":"\\ud800"'), None),
        (encode(call()).encode().replace(b'"ok"', b'"\xff"'), None),
        (encode(call()).replace('"sources":{}', '"sources":' + "[" * 20_000 + "]" * 20_000), None),
        ("[" * 20_000, None),
        ("[1]", "afterglow"),
        ("1", None),
        (encode_row(call(rss_bytes=2**53 + 1)), "rss_bytes"),
        (encode_row(call(request_id="x" * 1025)), "request_id"),
        (encode_row(call())[:-1] + ",1]", None),
        ('["invocation",2]', None),
        ("{}", "afterglow"),
    ],
)
def test_what_json_allows_and_we_do_not_is_refused(line: str | bytes, field: str | None) -> None:
    (refused,) = refusals(line)

    assert (2, field) == (refused.line, refused.field)
    assert 0 < len(refused.reason) <= 300


FIGURES = [field for field, wanted in get_type_hints(Invocation).items() if {int, float} & {wanted, *get_args(wanted)}]


@pytest.mark.parametrize("form", [encode, encode_row])
@pytest.mark.parametrize("field", FIGURES)
def test_a_figure_that_cannot_be_is_refused_in_either_form(field: str, form: Encoder) -> None:
    """Among good lines, too, which are otherwise read in one go."""
    good = form(call())
    for value in (-1e-300, -1, 2**53 + 1, 1e308):
        line = form(call(**{field: value}))
        found = refusals(good, line, good)

        assert [(3, field)] == [(one.line, one.field) for one in found], f"{field} of {value} was not refused"


def test_only_an_invocation_is_cold_or_warm() -> None:
    """By that the digest tells them from all other kinds."""
    assert [Invocation] == [cls for cls in KINDS.values() if "cold" in cls._fields]


LETTERS = len(Invocation._fields)


@pytest.mark.parametrize(
    ("sources", "fits"),
    [
        ("{}", True),
        ('{"duration_ms":"hook"}', True),
        (f'"{"-" * LETTERS}"', True),
        (f'"{"hop" + "-" * (LETTERS - 3)}"', True),
        (f'"{"-" * (LETTERS - 1)}"', False),
        (f'"{"x" + "-" * (LETTERS - 1)}"', False),
        ('{"a":1}', False),
        ("1", False),
        ("null", False),
    ],
)
def test_sources_are_looked_at_where_a_sink_gets_the_lines(sources: str, fits: bool) -> None:
    row = json.loads(encode_row(call()))
    line = json.dumps([*row[:-1], "?"]).replace('"?"', sources)
    passed_on = structs.replace(ANY_TIME, passed_on=True)

    assert [] == refusals(encode_row(call()), line)
    assert fits is (refusals(encode_row(call()), line, encode_row(overhead()), limits=passed_on) == [])


def test_blank_lines_and_line_ends_of_any_kind_do_no_harm() -> None:
    good = encode(call()).encode()
    found = decode_batch(lines(b"", good + b"\r", b"  ", good, b""), ANY_TIME)

    assert (2, []) == (len(found.records), found.refusals)


def test_a_line_may_have_as_many_bytes_as_the_limit_says() -> None:
    line = encode(call())
    fits = structs.replace(ANY_TIME, line_bytes=max(len(line), len(encode(environment()))))

    assert [] == refusals(line, line, line, limits=fits)
    (refused,) = refusals(line, line + " " * (fits.line_bytes - len(line) + 1), line, limits=fits)
    assert (3, None) == (refused.line, refused.field)
    assert f"the limit is {fits.line_bytes}" in refused.reason


@given(st.lists(st.integers(0, 40), min_size=1, max_size=30), st.integers(1, 20))
def test_the_search_for_long_lines_misses_none(lengths: list[int], limit: int) -> None:
    """Blank lines are no records, whatever their length; what counts is whether one is too long."""
    text = b"\n".join(b" " * length for length in lengths)
    one_by_one = any(length > limit for length in lengths)

    assert one_by_one is not wire._lines_fit(text, 0, limit)


@pytest.mark.parametrize(("at_ms", "reason"), [(AT_MS - 1, "too old"), (AT_MS + 1_001, "from the future")])
def test_records_of_another_time_are_refused_with_the_reason(at_ms: int, reason: str) -> None:
    limits = Limits(65_536, AT_MS, AT_MS + 1_000)
    good = [encode(call(AT_MS)), encode(call(AT_MS + 1_000))]
    found = decode_batch(lines(good[0], encode(call(at_ms)), good[1]), limits)

    assert len(found.records) == 2
    assert [(3, "at_ms")] == [(one.line, one.field) for one in found.refusals]
    assert found.refusals[0].reason.startswith(reason)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "the first line must be the batch's Environment"),
        (b"\n" + body(call()), "the first line must be the batch's Environment"),
        (encode(call()).encode(), "the first line must be the batch's Environment"),
        (encode(environment()).replace("env-1", "").encode(), '"env_id" is empty'),
        (b"x" * 70_000, "the line has 70000 bytes"),
        (body(call()) + b"\n" + encode(environment("other")).encode(), "a second Environment"),
    ],
)
def test_a_batch_without_one_owner_is_refused(text: bytes, said: str) -> None:
    with pytest.raises(BatchError) as refused:
        decode_batch(text, ANY_TIME)

    assert said in refused.value.refusal.reason


def test_the_same_environment_once_more_does_no_harm() -> None:
    found = decode_batch(lines(encode(call()), encode(environment()), encode(call())), ANY_TIME)

    assert (2, []) == (len(found.records), found.refusals)


def test_a_batch_knows_its_span() -> None:
    found = decode_batch(body(call(AT_MS + 7), call(AT_MS), call(AT_MS + 3)), ANY_TIME)

    assert (AT_MS, AT_MS + 7) == (found.first_ms, found.last_ms)


@given(
    st.binary(max_size=200)
    | st.lists(st.sampled_from(['{"', "afterglow", '":', "[", "}", "1e9", "\n"])).map(
        lambda parts: "".join(parts).encode()
    )
)
def test_no_bytes_do_worse_than_be_refused(text: bytes) -> None:
    decode_batch(lines(text), ANY_TIME)
    with pytest.raises(BatchError, match="must be the batch's Environment"):
        decode_batch(text, ANY_TIME)
