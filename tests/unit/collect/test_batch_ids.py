"""Which batches have been counted: the bitmap against a plain set."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from afterglow_collector.collect.batch_ids import BITMAP_BATCHES, BatchIds, Verdict

NEW, DUPLICATE, TOO_FAR_BEHIND = Verdict.NEW, Verdict.DUPLICATE, Verdict.TOO_FAR_BEHIND

seqs = st.lists(st.integers(0, 200) | st.integers(0, 2**53 - 1), max_size=60)


def ids(max_environments: int = 100) -> BatchIds:
    return BatchIds(time_to_live_ms=1_000, max_environments=max_environments)


@given(seqs)
def test_the_bitmap_says_what_a_set_would_as_far_as_it_reaches(seqs: list[int]) -> None:
    known, seen = ids(), set[int]()
    for seq in seqs:
        known_or_new = DUPLICATE if seq in seen else NEW
        expected = TOO_FAR_BEHIND if seq <= max(seen, default=seq) - BITMAP_BATCHES else known_or_new
        assert expected is known.look("env", seq)
        assert expected is known.add("env", seq, 0)
        if expected is NEW:
            seen.add(seq)


@given(st.permutations(range(BITMAP_BATCHES)))
def test_64_batches_may_come_in_any_order_each_once(order: list[int]) -> None:
    known = ids()

    assert {NEW} == {known.add("env", seq, 0) for seq in order}
    assert {DUPLICATE} == {known.add("env", seq, 0) for seq in order}


@given(seqs, st.integers(0, 60))
def test_it_goes_on_from_what_it_told(seqs: list[int], cut: int) -> None:
    straight, first, second = ids(), ids(), ids()
    for seq in seqs:
        straight.add("env", seq, 0)
    for seq in seqs[:cut]:
        first.add("env", seq, 0)
    second.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(first.to_plain())))  # as a checkpoint does
    for seq in seqs[cut:]:
        second.add("env", seq, 0)

    assert straight.to_plain() == second.to_plain()


def test_environments_do_not_know_of_each_other() -> None:
    known = ids()

    assert NEW is known.add("one", 1, 0)
    assert NEW is known.add("other", 1, 0)


def test_who_has_been_silent_is_forgotten_and_nobody_else() -> None:
    known = ids()
    known.add("silent", 1, 0)
    known.add("heard", 1, 0)
    known.add("heard", 2, 900)
    known.forget_silent(now_ms=1_001)

    assert (NEW, DUPLICATE) == (known.look("silent", 1), known.look("heard", 2))


def test_the_longest_silent_one_makes_room_and_is_counted() -> None:
    known = ids(max_environments=2)
    known.add("a", 1, 0)
    known.add("b", 1, 1)
    known.add("a", 2, 2)
    known.add("c", 1, 3)

    assert {"a", "c"} == set(known.to_plain())
    assert known.forgotten == 1
