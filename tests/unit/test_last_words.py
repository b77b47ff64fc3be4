"""What a runtime leaves behind of its end: faulthandler's text, the way of an exception; and the ending they make."""

import ctypes
import json
from typing import Any

import pytest

from afterglow.endings import ENDINGS, RULES, Evidence, ending
from afterglow.stacks import last_words, parse_fatal, parse_stacks
from afterglow_hook.callsite import site_of_error, spelled

SEGFAULT = """Fatal Python error: Segmentation fault

Thread 0x00007f0000000001 (most recent call first):
  File "/var/task/app.py", line 9 in waits
  File "/usr/lib/python3.11/threading.py", line 982 in run
  File "/usr/lib/python3.11/threading.py", line 1045 in _bootstrap_inner

Current thread 0x00007f0000000002 (most recent call first):
  File "/usr/lib/python3.11/ctypes/__init__.py", line 519 in string_at
  File "/var/task/app.py", line 4 in handler
  File "/var/runtime/awslambdaric/bootstrap.py", line 188 in handle_event_request

Extension modules: _cffi_backend (total: 1)
"""
AT_THE_DEADLINE = """Current thread 0x00007f0000000002 (most recent call first):
  File "/var/task/app.py", line 7 in handler
"""
IN_AN_IMPORT = """Fatal Python error: Aborted

Current thread 0x00007f0000000002 (most recent call first):
  File "/var/task/db.py", line 3 in <module>
  File "<frozen importlib._bootstrap>", line 241 in _call_with_frames_removed
  File "/var/task/app.py", line 1 in <module>
  File "/usr/lib/python3.11/importlib/__init__.py", line 126 in import_module
"""


def test_the_thread_that_the_signal_met_comes_first_and_the_runtimes_own_frames_are_gone() -> None:
    assert [
        [("/usr/lib/python3.11/ctypes/__init__.py", 519, "string_at"), ("/var/task/app.py", 4, "handler")],
        [("/var/task/app.py", 9, "waits"), ("/usr/lib/python3.11/threading.py", 982, "run")],
    ] == parse_stacks(SEGFAULT)


def test_the_machinery_of_an_import_is_no_call_site() -> None:
    assert [[("/var/task/db.py", 3, "<module>"), ("/var/task/app.py", 1, "<module>")]] == parse_stacks(IN_AN_IMPORT)


def test_a_fatal_error_counts_whether_or_not_anybody_asked() -> None:
    assert "Segmentation fault" == parse_fatal(last_words(AT_THE_DEADLINE + SEGFAULT, asked=False))
    assert last_words(AT_THE_DEADLINE + SEGFAULT, asked=True).startswith("Fatal Python error")


def test_stacks_of_an_earlier_invocation_are_not_this_ones() -> None:
    assert "" == last_words(AT_THE_DEADLINE, asked=False)
    assert AT_THE_DEADLINE == last_words(AT_THE_DEADLINE, asked=True)


def _fails_in_a_library() -> None:
    json.loads("{")


def _fails_in_c() -> None:
    ctypes.c_int("no number")  # type: ignore[arg-type]  # the point of it


@pytest.mark.parametrize(
    ("fails", "function"), [(_fails_in_a_library, "_fails_in_a_library"), (_fails_in_c, "_fails_in_c")]
)
def test_an_exceptions_origin_is_the_line_outside_the_standard_library(fails: Any, function: str) -> None:
    with pytest.raises((ValueError, TypeError)) as raised:
        fails()

    origin = spelled(site_of_error(raised.value))
    assert [__file__, function] == [origin[0][0], origin[0][2]]


def test_a_deep_recursion_keeps_its_innermost_frames_and_its_outermost() -> None:
    def dive(depth: int) -> None:
        if depth == 0:
            raise ValueError(depth)
        dive(depth - 1)

    with pytest.raises(ValueError, match="0") as raised:
        dive(200)

    origin = spelled(site_of_error(raised.value))
    dives = origin[1][1]
    assert isinstance(dives, int)
    assert dives - 1 == origin[0][1], "the line that raises stands above the one that dives"
    assert [dives] * 5 == [frame[1] for frame in origin[1:6]]
    assert [["", 195, ""], "test_a_deep_recursion_keeps_its_innermost_frames_and_its_outermost"] == [
        origin[6],
        origin[7][2],
    ]


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (Evidence(returned=True), ("ok", "hook")),
        (Evidence(returned=True, error_type="KeyError"), ("error", "hook")),
        (Evidence(returned=True, error_type="SystemExit"), ("crash", "hook")),
        (Evidence(returned=True, platform_status="error"), ("error", "platform")),
        (Evidence(returned=True, platform_status="timeout"), ("timeout", "platform")),
        (Evidence(returned=True, error_type="KeyError", shutdown="timeout"), ("error", "hook")),
        (Evidence(shutdown="timeout"), ("timeout", "platform")),
        (Evidence(shutdown="timeout", oom_kills=1), ("out-of-memory", "observed")),
        (Evidence(shutdown="timeout", peak_share=0.99, runtime_gone=True), ("out-of-memory", "observed")),
        (Evidence(shutdown="timeout", peak_share=0.99), ("timeout", "platform")),
        (Evidence(shutdown="failure", fatal="Segmentation fault", peak_share=0.99), ("crash", "hook")),
        (Evidence(shutdown="releasefail"), ("crash", "platform")),
        (Evidence(shutdown="spindown"), ("aborted", "observed")),
        (Evidence(shutdown="spindown", hook_seen=False), ("unknown", "observed")),
    ],
)
def test_the_ending_follows_from_the_evidence(seen: Evidence, told: tuple[str, str]) -> None:
    assert told == ending(seen)


def test_every_rule_ends_in_a_known_word() -> None:
    assert set() == {word for _, word, _ in RULES} - set(ENDINGS)


def made_of(source: str, file: str) -> Any:
    """Return the function ``f`` of a module that lies there."""
    module: dict[str, Any] = {}
    exec(compile(source, file, "exec"), module)
    return module["f"]


def test_each_files_innermost_frame_is_kept_however_deep_a_library_is() -> None:
    calls = "def f(inner):\n    return inner()\n"
    own = made_of(calls, "/var/task/app.py")
    library = [made_of(calls, f"/var/task/lib/{nth}.py") for nth in range(6)]
    fail = made_of("def f():\n    raise LookupError\n", "/var/task/lib/0.py")

    def nested(depth: int) -> Any:
        return fail() if depth == 0 else library[depth % 6](lambda: nested(depth - 1))

    with pytest.raises(LookupError) as raised:
        own(lambda: nested(100))

    files = [frame[0] for frame in spelled(site_of_error(raised.value))]
    assert "/var/task/lib/0.py" == files[0]
    assert 1 == files.count("/var/task/app.py")


class GroupError(Exception):
    """As ExceptionGroup is, which Python has from 3.11 on."""

    def __init__(self, *exceptions: object) -> None:
        self.exceptions = exceptions


def raised_in(file: str) -> BaseException:
    try:
        made_of("def f():\n    raise LookupError\n", file)()
    except LookupError as error:
        return error
    raise AssertionError


def test_of_a_group_its_exceptions_come_first_in_their_order() -> None:
    group = GroupError(
        raised_in("/lib/one.py"), GroupError(raised_in("/var/task/app.py"), 3), raised_in("/var/task/b.py")
    )
    group.exceptions += (group,)

    files = [file for file, _, _ in spelled(site_of_error(group)) if file != __file__]
    assert ["/lib/one.py", "/var/task/app.py", "/var/task/b.py"] == files


def test_a_site_with_long_names_is_cut_in_its_middle_and_says_so() -> None:
    codes = [made_of("def f():\n    pass\n", f"/{nth}/" + "x" * 1000).__code__ for nth in range(30)]
    told = spelled(tuple((code, 1) for code in codes))

    assert ["/0/", "/29"] == [str(told[0][0])[:3], str(told[-1][0])[:3]]
    assert 30 == sum(1 if file else int(str(line)) for file, line, _ in told)
    assert 8_100 > sum(len(str(file)) for file, _, _ in told)
