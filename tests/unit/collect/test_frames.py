"""Frames: what was written comes back, and what was damaged does not."""

from hypothesis import given
from hypothesis import strategies as st

from afterglow_collector.collect.frames import MAGIC, Damage, Frame, encode, scan

payloads = st.lists(st.binary(max_size=50) | st.just(MAGIC * 3), max_size=6)


def written(payloads: list[bytes]) -> bytes:
    return b"".join(encode(1, number, payload) for number, payload in enumerate(payloads))


@given(payloads)
def test_what_was_written_comes_back(payloads: list[bytes]) -> None:
    found = list(scan(written(payloads)))

    assert payloads == [frame.payload for frame in found if isinstance(frame, Frame)]
    assert not [one for one in found if isinstance(one, Damage)]


@given(payloads.filter(len), st.data())
def test_a_torn_end_is_found_where_it_begins(payloads: list[bytes], data: st.DataObject) -> None:
    whole = written(payloads[:-1])
    last = encode(1, len(payloads), payloads[-1])
    kept = data.draw(st.integers(1, len(last) - 1))
    torn = last[:kept]
    *frames, damage = scan(whole + torn)

    assert payloads[:-1] == [frame.payload for frame in frames if isinstance(frame, Frame)]
    assert isinstance(damage, Damage)
    assert Damage(len(whole), len(whole) + len(torn.rstrip(b"\0")), torn=True, cut=True) == damage._replace(number=None)


@given(payloads.filter(lambda some: len(some) >= 3), st.data())
def test_a_flipped_bit_costs_its_frame_and_no_other(payloads: list[bytes], data: st.DataObject) -> None:
    text = bytearray(written(payloads))
    hurt = data.draw(st.integers(0, len(payloads) - 2))
    start = len(written(payloads[:hurt]))
    at = data.draw(st.integers(start, start + len(encode(1, hurt, payloads[hurt])) - 1))
    text[at] ^= 1 << data.draw(st.integers(0, 7))
    found = list(scan(bytes(text)))

    assert [number for number in range(len(payloads)) if number != hurt] == [
        frame.number for frame in found if isinstance(frame, Frame)
    ]
    assert [False] == [damage.torn for damage in found if isinstance(damage, Damage)]


@given(st.binary(max_size=300) | st.lists(st.sampled_from([MAGIC, b"\0" * 8, b"x"])).map(b"".join))
def test_no_bytes_are_lost_or_read_twice(text: bytes) -> None:
    at = 0
    for found in scan(text):
        assert found.start == at
        at = found.end

    assert at >= len(text.rstrip(b"\0"))


@given(payloads, st.integers(1, 100))
def test_room_that_was_reserved_and_not_written_is_no_damage(payloads: list[bytes], room: int) -> None:
    found = list(scan(written(payloads) + bytes(room)))

    assert payloads == [frame.payload for frame in found if isinstance(frame, Frame)]
    assert len(payloads) == len(found)


def test_a_length_beyond_all_reason_is_damage() -> None:
    frame = bytearray(encode(1, 1, b"payload"))
    frame[8:12] = b"\xff\xff\xff\x7f"

    assert [Damage(0, len(frame), torn=True)] == list(scan(bytes(frame)))
