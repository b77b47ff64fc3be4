"""Which frame is the user's own, with the task root of a zipped function: own code and dependencies side by side."""

from pathlib import Path

import pytest

from afterglow.callsite import CallSite, choose, is_dependency, read_dependencies

ROOT = "/var/task"
DEPENDENCIES = frozenset({"boto3", "six"})


def test_the_innermost_frame_of_the_users_own_wins() -> None:
    frames: list[list[object]] = [
        ["/var/task/boto3/session.py", 9, "client"],
        ["/var/task/app/jobs.py", 12, "start"],
        ["/var/task/app/main.py", 40, "handler"],
    ]

    assert CallSite("/var/task/app/jobs.py", 12, "start") == choose(frames, DEPENDENCIES, ROOT)


def test_where_no_frame_is_the_users_own_the_innermost_is_taken() -> None:
    frames: list[list[object]] = [["/opt/python/tool.py", 3, "run"], ["/var/task/six.py", 4, "go"]]

    assert CallSite("/opt/python/tool.py", 3, "run") == choose(frames, DEPENDENCIES, ROOT)


def test_without_frames_there_is_no_call_site() -> None:
    assert choose([], DEPENDENCIES, ROOT) is None


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("/var/task/app.py", False),
        ("/var/task/six.py", True),
        ("/var/task/boto3/session.py", True),
        ("/var/task/boto3_tricks.py", False),
        ("/var/task/vendored/boto3/session.py", False),
        ("/opt/python/requests/api.py", True),
        ("/home/me/.venv/lib/python3.11/site-packages/requests/api.py", True),
        ("/home/me/project/app.py", False),
        ("/var/tasks/six.py", False),
        ("<string>", False),
    ],
)
def test_a_file_is_a_dependencys_by_its_place(file: str, expected: bool) -> None:
    assert expected == is_dependency(file, DEPENDENCIES, ROOT)


def test_without_a_task_root_only_the_folders_of_installations_are_dependencies() -> None:
    assert not is_dependency("/var/task/six.py", DEPENDENCIES, "")
    assert is_dependency("/x/site-packages/six.py", DEPENDENCIES, "")


def record(root: Path, name: str, *lines: str) -> None:
    (root / f"{name}.dist-info").mkdir()
    (root / f"{name}.dist-info" / "RECORD").write_text("\n".join(lines))


def test_what_pip_has_installed_is_read_from_its_records(tmp_path: Path) -> None:
    record(tmp_path, "boto3-1.0", "boto3/__init__.py,sha256=x,1", "boto3-1.0.dist-info/RECORD,,")
    record(tmp_path, "six-1.16", "six.py,sha256=x,1", "../../bin/six,sha256=x,2", "six-1.16.data/scripts/x,,")
    (tmp_path / "app.py").write_text("")

    assert frozenset({"boto3", "six"}) == read_dependencies(str(tmp_path))


def test_a_record_that_is_missing_or_no_text_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "gone-1.dist-info").mkdir()
    (tmp_path / "odd-1.dist-info").mkdir()
    (tmp_path / "odd-1.dist-info" / "RECORD").write_bytes(b"\xff\xfe/x.py,,\nodd/__init__.py,,")
    record(tmp_path, "six-1.16", "six.py,,")

    assert {"six", "odd"} <= read_dependencies(str(tmp_path))


def test_a_task_root_that_cannot_be_read_has_no_dependencies() -> None:
    assert frozenset() == read_dependencies("/nowhere/at/all")
