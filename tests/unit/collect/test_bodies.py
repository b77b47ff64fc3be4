"""Bodies are unpacked as far as they may be, and never further."""

import gzip
import zlib

import pytest
import zstandard
from hypothesis import assume, given
from hypothesis import strategies as st

from afterglow_collector.collect.bodies import BodyError, encoding_code, unpack

MB = 1 << 20
LIMITS = (MB, 100)
PACK = {"identity": bytes, "gzip": gzip.compress, "zstd": zstandard.compress}


def unsized_zstd(data: bytes) -> bytes:
    """A frame whose header does not say how much it holds."""
    packer = zstandard.ZstdCompressor().compressobj()
    return packer.compress(data) + packer.flush()


def refusal(body: bytes, encoding: str, max_bytes: int = MB, max_ratio: int = 100) -> BodyError:
    with pytest.raises(BodyError) as refused:
        unpack(body, encoding_code(encoding), max_bytes, max_ratio)
    return refused.value


@pytest.mark.parametrize("encoding", PACK)
@given(data=st.binary(max_size=2_000))
def test_what_was_packed_comes_back(encoding: str, data: bytes) -> None:
    assert data == unpack(PACK[encoding](data), encoding_code(encoding), *LIMITS)


def test_a_gzip_body_may_not_have_members_without_number() -> None:
    """Each takes a copy of the rest: 40,000 empty ones, 800 KB, would hold everybody else up for half a second."""
    error = refusal(gzip.compress(b"") * 40_000, "gzip")

    assert (400, "the body cannot be unpacked: it has more than 64 gzip members") == (error.status, str(error))


def test_a_gzip_body_may_have_several_members() -> None:
    assert b"onetwo" == unpack(gzip.compress(b"one") + gzip.compress(b"two"), encoding_code("gzip"), *LIMITS)


def test_a_zstd_body_need_not_say_its_size() -> None:
    assert b"x" * 1000 == unpack(unsized_zstd(b"x" * 1000), encoding_code("zstd"), *LIMITS)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_bomb_is_refused(pack: "object") -> None:
    bomb = pack(bytes(50 * MB))  # type: ignore[operator]
    encoding = "gzip" if pack is gzip.compress else "zstd"

    assert refusal(bomb, encoding).status == 413
    assert refusal(bomb, encoding, max_ratio=10**6).status == 413


def test_a_bomb_that_does_not_say_its_size_is_refused() -> None:
    assert refusal(unsized_zstd(bytes(50 * MB)), "zstd").status in (400, 413)


def test_a_frame_that_lies_about_its_size_is_refused() -> None:
    frame = bytearray(zstandard.ZstdCompressor(write_content_size=True).compress(bytes(60_000)))
    assert zstandard.frame_content_size(bytes(frame)) == 60_000
    at = bytes(frame).index((60_000 - 256).to_bytes(2, "little"))
    frame[at : at + 2] = (1_000 - 256).to_bytes(2, "little")

    assert refusal(bytes(frame), "zstd").status == 400


def test_small_bodies_may_pack_as_well_as_they_like() -> None:
    assert len(unpack(gzip.compress(bytes(60_000)), encoding_code("gzip"), *LIMITS)) == 60_000


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@given(data=st.binary(max_size=100))
def test_garbage_is_refused_with_words(encoding: str, data: bytes) -> None:
    assume(data)  # no bytes at all are no gzip members, and so an empty body
    refused = refusal(data, encoding)

    assert refused.status in (400, 413)
    assert "unpack" in str(refused)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_every_torn_body_is_refused(encoding: str) -> None:
    packed = PACK[encoding](b'{"afterglow":"environment"}' * 20)
    for kept in range(1, len(packed)):
        assert refusal(packed[:kept], encoding).status == 400


@given(data=st.binary(min_size=1, max_size=200), place=st.integers(0, 10**6), byte=st.integers(0, 255))
def test_a_damaged_gzip_body_is_refused_or_holds_what_was_packed(data: bytes, place: int, byte: int) -> None:
    """Some damage does no harm, such as to the time in the head. What zlib takes is taken; ISA-L takes odd flags."""
    packed = bytearray(gzip.compress(data))
    packed[place % len(packed)] = byte
    try:
        harmless = gzip.decompress(packed) == data
    except (OSError, EOFError, zlib.error):
        harmless = False
    try:
        found: bytes | int = unpack(bytes(packed), encoding_code("gzip"), *LIMITS)
    except BodyError as error:
        found = error.status

    assert found in ([data] if harmless else [data, 400])


def test_zlib_without_gzip_is_not_gzip() -> None:
    assert refusal(zlib.compress(b"x"), "gzip").status == 400


@pytest.mark.parametrize("name", ["br", "deflate", "gzip, gzip", "x-gzip"])
def test_unknown_encodings_are_named_with_those_that_are_known(name: str) -> None:
    with pytest.raises(BodyError, match="send identity, gzip or zstd") as refused:
        encoding_code(name)

    assert refused.value.status == 415


@pytest.mark.parametrize("name", ["", "identity", " GZIP ", "Zstd"])
def test_encodings_are_told_whatever_their_case(name: str) -> None:
    assert encoding_code(name) in (0, 1, 2)
