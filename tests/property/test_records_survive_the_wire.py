"""Encode and decode, for records of every kind that the annotations allow."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.property.strategies import any_record

from afterglow.records import Record, RecordError, as_document, decode, encode, encode_row, from_document

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(any_record)
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    assert record == decode(encode(record))


@given(any_record)
def test_a_row_is_one_line_that_says_the_same(record: Record) -> None:
    line = encode_row(record)

    assert line.isascii()
    assert "\n" not in line
    assert record == decode(line)


@given(any_record)
def test_a_record_is_one_line_of_ascii(record: Record) -> None:
    line = encode(record)

    assert line.isascii()
    assert "\n" not in line


@given(any_record, st.data())
def test_a_missing_field_is_named(record: Record, data: st.DataObject) -> None:
    document = as_document(record)
    kind = type(record)
    field = data.draw(st.sampled_from([name for name in kind._fields if name not in kind._field_defaults]))
    del document[field]

    with pytest.raises(RecordError, match=f'field "{field}" is missing'):
        from_document(document)


@given(any_record, st.data())
def test_a_field_of_the_wrong_type_is_named(record: Record, data: st.DataObject) -> None:
    document = as_document(record)
    field = data.draw(st.sampled_from(type(record)._fields))
    document[field] = [[{}]]  # no field is a list of lists of objects

    with pytest.raises(RecordError, match=f'field "{field}" must be'):
        from_document(document)


@given(json_values)
def test_no_json_value_does_worse_than_be_refused(value: object) -> None:
    with pytest.raises(RecordError):
        decode(json.dumps(value))


@given(st.binary(max_size=40))
def test_no_bytes_do_worse_than_be_refused(line: bytes) -> None:
    with pytest.raises(RecordError):
        decode(line)
