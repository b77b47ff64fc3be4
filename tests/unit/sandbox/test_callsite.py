"""Which frames are the user's own, with the task root of a zipped function: own code and dependencies side by side."""

from afterglow.callsite import MOST_FRAMES, CallSite, Stack, choose, own_places, spelled, stack_of, thinned


def is_own(file: str) -> bool:
    return file.startswith("/var/task/app") and file.endswith(".py")


def is_near(file: str) -> bool:
    return file.startswith("/tmp/")


def test_the_innermost_frame_of_the_users_own_wins() -> None:
    frames = [
        ["/var/task/boto3/session.py", 9, "client"],
        ["/var/task/app/jobs.py", 12, "start"],
        ["/var/task/app/main.py", 40, "handler"],
    ]

    assert CallSite("/var/task/app/jobs.py", 12, "start") == choose(frames, is_own, is_near)


def test_where_no_frame_is_the_users_own_code_that_was_unpacked_elsewhere_counts() -> None:
    frames = [["/opt/python/tool.py", 3, "run"], ["/tmp/unpacked/jobs.py", 4, "go"]]

    assert CallSite("/tmp/unpacked/jobs.py", 4, "go") == choose(frames, is_own, is_near)


def test_where_no_frame_is_anybodys_own_the_innermost_is_taken() -> None:
    frames = [["", 3, ""], ["/opt/python/tool.py", 3, "run"], ["/var/task/six.py", 4, "go"]]

    assert CallSite("/opt/python/tool.py", 3, "run") == choose(frames, is_own, is_near)


def test_without_frames_there_is_no_call_site() -> None:
    assert choose([], is_own, is_near) is None


LIBRARY = [(f"/var/task/lib/{nth}.py", nth, "f") for nth in range(60)]
OWN = [("/var/task/app.py", 7, "fetch"), ("/var/task/app.py", 9, "handler")]


def test_of_a_deep_stack_both_ends_of_the_own_frames_stay_and_what_explains_them() -> None:
    frames = [*LIBRARY, *OWN, *LIBRARY]
    told = stack_of(frames, is_own, is_near)

    assert [spelled(frame) for frame in LIBRARY[:8]] == told.frames[:8]
    assert [spelled(frame) for frame in OWN] == [told.frames[place] for place in told.own]
    assert MOST_FRAMES == sum(not frame.startswith("…") for frame in told.frames)


def test_what_is_left_out_is_marked() -> None:
    frames = [*LIBRARY, *OWN]
    kept = thinned(frames, own_places(frames, is_own, is_near), 4)

    assert [*LIBRARY[:2], ("", 58, ""), *OWN] == kept
    assert "… 58 more" == spelled(kept[2])


def test_a_recursion_of_the_functions_own_does_not_push_out_what_explains_it() -> None:
    frames = [LIBRARY[0], *OWN[:1] * 90, OWN[1]]
    told = stack_of(frames, is_own, is_near)

    assert [spelled(LIBRARY[0]), spelled(OWN[0])] == told.frames[:2]
    assert spelled(OWN[1]) == told.frames[-1]


def test_a_short_stack_is_told_as_it_is() -> None:
    assert Stack([spelled(LIBRARY[3]), *map(spelled, OWN)], [1, 2]) == stack_of([LIBRARY[3], *OWN], is_own, is_near)
