"""What the log is told of a sink: the first of each kind at once, then now and then, and that it is over."""

from afterglow_collector.sinks.complaints import EVERY_S, MOST_REASONS, Complaints


def test_the_first_failure_is_told_at_once_and_the_next_ones_together() -> None:
    complaints = Complaints()
    told = [complaints.failed("AccessDenied", 30.0 * number) for number in range(int(EVERY_S) // 30 + 1)]

    assert told[0] == "AccessDenied; what it has not taken waits, and is tried again"
    assert [None] * 19 == told[1:20]
    assert "(21 failures in 600 s)" in str(told[20])


def test_another_failure_is_told_for_itself() -> None:
    complaints = Complaints()
    complaints.failed("Throttling", 0)

    assert "AccessDenied" in str(complaints.failed("AccessDenied", 1))
    assert None is complaints.failed("Throttling", 2)


def test_that_it_works_again_is_told_once_if_the_failure_was() -> None:
    complaints = Complaints()
    complaints.failed("ECONNREFUSED", 0)

    assert "works again, after 12 s and 1 failures" == complaints.went_well(12)
    assert None is complaints.went_well(13)
    complaints.failed("ECONNREFUSED", 14)
    assert None is complaints.went_well(15), "what fails each minute for a moment would fill the log"


def test_what_is_given_up_is_told_at_once_and_then_added_up() -> None:
    complaints = Complaints()

    assert "2 entries given up: too-old" == complaints.refused("too-old", 2, 0)
    assert [None, None] == [complaints.refused("too-old", 5, at_s) for at_s in (10, 20)]
    assert [] == complaints.overdue(30)
    assert ["10 more entries given up: too-old"] == complaints.overdue(EVERY_S)
    assert [] == complaints.overdue(3 * EVERY_S)


def test_an_endless_choice_of_reasons_takes_no_endless_memory() -> None:
    complaints = Complaints()
    for number in range(10 * MOST_REASONS):
        complaints.failed(f"reason {number}", 0)
        complaints.refused(f"reason {number}", 1, 0)

    assert MOST_REASONS >= len(complaints._failing_told_s)
    assert MOST_REASONS >= len(complaints._refused_told_s)
