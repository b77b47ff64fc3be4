"""Counting what lies on disk: whose it is, what is not counted, and where counting stops."""

import os
import time
from pathlib import Path

import pytest

from afterglow import package
from afterglow.package import UNFINISHED, Weighing, is_holder, package_name
from afterglow.records import Package

FOR_EVER = 1 << 62


def weighed(root: Path) -> Package:
    """Count a folder to the end."""
    weighing = Weighing("function", str(root))
    assert weighing.advance(FOR_EVER)
    return weighing.package(5)


def write(root: Path, *files: str, size: int = 100) -> None:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"x" * size)


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ("numpy", "numpy"),
        ("numpy.libs", "numpy"),
        ("numpy-2.1.0.dist-info", "numpy"),
        ("six.py", "six"),
        ("app.py", "app"),
        ("data.json", "data.json"),
    ],
)
def test_what_belongs_to_a_package_counts_for_it(entry: str, name: str) -> None:
    assert name == package_name(entry)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", True),
        ("python", True),
        ("python/lib/python3.12", True),
        ("python/lib/python3.12/site-packages", True),
        ("nodejs/node_modules", True),
        ("python/lib/libfoo", False),
        ("python/boto3", False),
        ("python/lib/python3.12/site-packages/boto3", False),
        ("src/python/lib/python3.12", False),
    ],
)
def test_folders_that_hold_packages_are_none(path: str, *, expected: bool) -> None:
    assert expected == is_holder(path)


def test_the_biggest_package_comes_first(tmp_path: Path) -> None:
    write(tmp_path, "app.py", "boto3/a.py", "boto3/deep/b.py", "boto3-1.0.dist-info/RECORD")

    found = weighed(tmp_path)

    assert (4, 400, 0, None) == (found.files, found.size_bytes, found.unreadable, found.stopped)
    assert [("boto3", 300), ("app", 100)] == list(zip(found.names, found.sizes_bytes, strict=True))


def test_layers_are_looked_into(tmp_path: Path) -> None:
    site = "python/lib/python3.12/site-packages"
    write(tmp_path, "python/psutil/a.py", f"{site}/psutil/b.so", f"{site}/yaml/c.py", "bin/tool", size=10)

    found = weighed(tmp_path)

    assert {"psutil": 20, "yaml": 10, "bin": 10} == dict(zip(found.names, found.sizes_bytes, strict=True))


def test_links_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path, "app/app.py")
    (tmp_path / "app" / "again").symlink_to(tmp_path / "app")

    assert 2 == weighed(tmp_path).files


def test_a_root_that_has_left_is_counted_as_unreadable(tmp_path: Path) -> None:
    write(tmp_path, "gone/b.py")
    weighing = Weighing("function", str(tmp_path / "gone"))
    (tmp_path / "gone" / "b.py").unlink()
    (tmp_path / "gone").rmdir()

    assert weighing.advance(FOR_EVER)
    assert (0, 1) == (weighing.package(5).files, weighing.package(5).unreadable)


def test_counting_can_be_interrupted_and_goes_on_where_it_was(tmp_path: Path) -> None:
    write(tmp_path, *(f"part_{n}/file_{m}.py" for n in range(20) for m in range(20)))
    weighing = Weighing("function", str(tmp_path))

    turns = 1
    while not weighing.advance(time.monotonic_ns() + 100_000):
        turns += 1
        assert weighing.package(5).stopped == UNFINISHED

    assert 400 == weighing.package(5).files
    assert weighing.package(5).stopped is None


def test_no_time_is_no_step(tmp_path: Path) -> None:
    weighing = Weighing("function", str(tmp_path))

    assert not weighing.advance(0)
    assert (0, UNFINISHED) == (weighing.package(5).files, weighing.package(5).stopped)


def test_a_folder_without_end_is_left_with_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "MOST_ENTRIES", 50)
    write(tmp_path, *(f"file_{n}.py" for n in range(60)))

    found = weighed(tmp_path)

    assert (50, "more than 50 entries") == (found.files, found.stopped)


def test_too_much_work_is_left_with_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "MOST_CPU_MS", 0.0)
    write(tmp_path, *(f"file_{n}.py" for n in range(200)))

    assert "more than 0 ms of CPU" == weighed(tmp_path).stopped


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_may_not_be_read_is_counted(tmp_path: Path) -> None:
    write(tmp_path, "secret/a.py", "open/b.py")
    (tmp_path / "secret").chmod(0)

    found = weighed(tmp_path)

    (tmp_path / "secret").chmod(0o755)
    assert (1, 1) == (found.files, found.unreadable)
