"""The pure parts of the local run: answers judged, lines sorted, cgroups found, /opt planned, caches kept."""

import os
import threading
from pathlib import Path

import pytest

from afterglow_layer import cache, rie, wheels
from afterglow_layer.failure import Failure
from afterglow_layer.local import cgroups, freezer, logs, mounts, session
from afterglow_layer.local.cgroups import Home
from afterglow_layer.local.invoke import Answer, Verdict, judge
from afterglow_layer.local.read_only import Mounted, parse_mountinfo

REQUEST_ID = "730ac3e6-86fb-4306-824b-8dd7bff2c4eb"
LAMBDA_TIMED_OUT = (
    b'{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: %s Error: Task timed out after 3.00 seconds"}'
)
RAISED = b'{"errorMessage": "boo", "errorType": "ValueError", "requestId": "%s", "stackTrace": []}'


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (200, b'{"ok": 1}', Verdict("ok", None)),
        (200, b"", Verdict("ok", None)),
        (200, b"\xff not JSON", Verdict("ok", None)),
        (200, b'"Task timed out after 3.00 seconds"', Verdict("ok", None)),
        (200, b"Task timed out after 3.00 seconds", Verdict("timeout", "Sandbox.Timedout")),
        (200, LAMBDA_TIMED_OUT % REQUEST_ID.encode(), Verdict("timeout", "Sandbox.Timedout")),
        (200, LAMBDA_TIMED_OUT % b"another", Verdict("ok", None)),
        (200, RAISED % REQUEST_ID.encode(), Verdict("error", "ValueError")),
        (200, RAISED % b"another", Verdict("ok", None)),
        (200, b"[" * 100_000, Verdict("ok", None)),
        (502, b"", Verdict("crash", "HTTP 502")),
        (502, b'{"errorType":"Runtime.ExitError","errorMessage":"x"}', Verdict("crash", "Runtime.ExitError")),
        (502, b'{"errorType":"Extension.LaunchError","errorMessage":""}', Verdict("crash", "Extension.LaunchError")),
        (502, RAISED % b"", Verdict("error", "ValueError")),
        (None, b"", Verdict("no-answer", None)),
    ],
)
def test_an_answer_is_judged_by_status_and_body(status: int | None, body: bytes, verdict: Verdict) -> None:
    assert judge(Answer(status, body, 1.0), REQUEST_ID) == verdict


def test_without_a_request_id_an_error_document_is_an_error() -> None:
    assert judge(Answer(200, RAISED % b"any", 1.0), None) == Verdict("error", "ValueError")


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("hello", logs.FUNCTION),
        ('{"level": "INFO"}', logs.FUNCTION),
        ("{not json", logs.FUNCTION),
        ("[" * 100_000, logs.FUNCTION),
        ("{" * 100_000, logs.FUNCTION),
        ("START of the day", logs.FUNCTION),
        (f"START RequestId: {REQUEST_ID} Version: $LATEST", logs.PLATFORM),
        (f"END RequestId: {REQUEST_ID}", logs.PLATFORM),
        (f"REPORT RequestId: {REQUEST_ID}\tDuration: 1 ms", logs.PLATFORM),
        ('{"_aws": {}, "Invocations": 1}', logs.EMF),
        ('{"afterglow": "finding"}', logs.AGENT),
        ("afterglow: not profiling this function", logs.AGENT),
    ],
)
def test_a_line_is_known_by_its_looks(line: str, kind: str) -> None:
    assert logs.kind_of(line) == kind


def test_lines_are_sorted_as_they_come(tmp_path: Path) -> None:
    shown: list[str] = []
    followed = logs.Logs(shown.append)
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    followed.follow(os.fdopen(out_read, "rb"), os.fdopen(err_read, "rb"))
    os.write(out_write, f"no newlineSTART RequestId: {REQUEST_ID} Version: $LATEST\n".encode())
    os.write(out_write, b'hello\n\xff\n{"_aws": {}}\nlast words')
    os.write(err_write, b"rapid\n")

    assert followed.request_id_after(0, 10) == REQUEST_ID
    assert followed.request_id_after(1, 0.01) is None
    os.close(out_write)
    os.close(err_write)
    followed.finish()
    assert list(followed.function)[1:] == ["hello", "\N{REPLACEMENT CHARACTER}", "last words"]
    assert shown == list(followed.function)
    assert followed.emf == ['{"_aws": {}}']
    assert list(followed.rie) == ["rapid"]


MOUNTINFO = """\
25 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 25 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
32 30 0:28 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer
33 30 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
"""


@pytest.mark.parametrize(
    ("mountinfo", "own", "found"),
    [
        (
            MOUNTINFO,
            "4:memory:/a\n3:freezer:/b\n0::/c/d",
            [Home(cgroups.V2, Path("/sys/fs/cgroup/unified/c/d")), Home(cgroups.V1, Path("/sys/fs/cgroup/freezer/b"))],
        ),
        (
            "33 30 0:29 /docker/x /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
            "0::/docker/x/y",
            [Home(cgroups.V2, Path("/sys/fs/cgroup/y"))],
        ),
        ("25 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n", "0::/", []),
        ("", "", []),
    ],
    ids=["hybrid", "v2 in a container", "no cgroups", "nothing"],
)
def test_cgroups_are_found_where_they_are_mounted(mountinfo: str, own: str, found: list[Home]) -> None:
    assert cgroups.homes(mountinfo, own) == found


def test_a_cgroup_that_cannot_be_made_or_cannot_freeze_is_none(tmp_path: Path) -> None:
    assert cgroups.make(Home(cgroups.V2, tmp_path / "missing"), "x") is None
    assert cgroups.make(Home(cgroups.V2, tmp_path), "x") is None
    assert list(tmp_path.iterdir()) == []


def test_the_family_of_a_process_is_found_whatever_the_names(tmp_path: Path) -> None:
    for pid, stat in {
        10: "10 (init) S 1 0",
        11: "11 (a) b) (c) R 10 0",
        12: "12 (x) T 11 0",
        13: "13 (other) S 1 0",
    }.items():
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(stat)
    (tmp_path / "14").mkdir()  # Gone between listing and reading.
    (tmp_path / "self").mkdir()

    assert freezer.descendants(10, tmp_path) == {11: "R", 12: "T"}


def layer_and_host(tmp_path: Path) -> tuple[Path, Path]:
    layer, host = tmp_path / "layer", tmp_path / "opt"
    for path in ("layer/extensions/afterglow", "layer/python/afterglow.pth", "opt/extensions/other"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (host / "python" / "cp311").mkdir(parents=True)
    (host / "python" / "afterglow.pth").touch()
    (host / "wheels").mkdir()
    (host / "link").symlink_to("wheels")
    (host / "file").touch()
    return layer, host


def test_the_hosts_opt_is_shown_beside_the_layer_but_for_its_extensions(tmp_path: Path) -> None:
    layer, host = layer_and_host(tmp_path)

    assert mounts.plan(layer, host) == [
        mounts.HostEntry(Path("file"), "file"),
        mounts.HostEntry(Path("link"), "link"),
        mounts.HostEntry(Path("python/cp311"), "folder"),
        mounts.HostEntry(Path("wheels"), "folder"),
    ]


def test_without_a_layer_the_hosts_extensions_are_hidden_all_the_same(tmp_path: Path) -> None:
    _, host = layer_and_host(tmp_path)

    assert Path("extensions") not in [entry.path for entry in mounts.plan(None, host)]


def test_a_torn_last_record_is_left_out_and_a_bad_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "records.ndjson"
    good = '{"afterglow":"shutdown","v":1,"at_ms":1,"reason":"x","left_running":0,"took_ms":1.0}\n'
    path.write_text(good + "{}\n" + good + good[:20])
    records, complaint = session.read_records(path)

    assert len(records) == 2
    assert complaint is not None
    assert complaint.startswith("record 2 of this run cannot be read: ")


def test_no_records_file_means_no_records(tmp_path: Path) -> None:
    assert session.read_records(tmp_path / "none") == ([], None)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [({"XDG_CACHE_HOME": "/c"}, Path("/c/afterglow")), ({"XDG_CACHE_HOME": "relative"}, None), ({}, None)],
)
def test_the_cache_is_where_xdg_says(environ: dict[str, str], expected: Path | None) -> None:
    assert cache.cache_dir(environ) == (expected or Path.home() / ".cache" / "afterglow")


def test_a_file_is_made_once_and_appears_whole(tmp_path: Path) -> None:
    wanted = tmp_path / "folder" / "file"
    made: list[Path] = []

    def make(path: Path) -> None:
        assert not wanted.exists()
        made.append(path)
        path.write_text("whole")

    for _ in range(2):
        assert cache.cached_file(wanted, make).read_text() == "whole"
    assert len(made) == 1
    assert list(wanted.parent.iterdir()) == [wanted]


def test_what_fails_to_be_made_leaves_nothing(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        path.write_text("half")
        raise Failure("no network")

    with pytest.raises(Failure, match="no network"):
        cache.cached_file(tmp_path / "file", fail)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_longer_sound_is_made_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, folder = tmp_path / "file", tmp_path / "folder"

    def whole(path: Path) -> bool:
        return (path / "in" if path.is_dir() else path).read_text() == "whole"

    def make_file(path: Path) -> None:
        path.write_text("whole")

    def fill_folder(path: Path) -> None:
        (path / "in").write_text("whole")

    file.write_text("half")
    folder.mkdir()  # and what should be in it is not

    assert whole(cache.cached_file(file, make_file, whole))
    assert whole(cache.cached_dir(folder, fill_folder, whole))
    assert {file, folder} == set(tmp_path.iterdir())
    assert 2 == capsys.readouterr().err.count("is not what was put there: it is made anew")
    cache.cached_file(file, make_file, whole)
    cache.cached_dir(folder, fill_folder, whole)
    assert "" == capsys.readouterr().err


def test_two_who_fill_the_same_folder_at_once_both_get_it(tmp_path: Path) -> None:
    both = threading.Barrier(2)

    def fill(path: Path) -> None:
        (path / "file").write_text("x")
        both.wait(10)

    threads = [threading.Thread(target=cache.cached_dir, args=(tmp_path / "made", fill)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    assert (tmp_path / "made" / "file").read_text() == "x"


def test_what_nobody_has_used_for_a_week_goes(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    os.utime(old, (1_000_000, 1_000_000))
    cache.prune(tmp_path, now_s=new.stat().st_mtime)

    assert list(tmp_path.iterdir()) == [new]
    cache.prune(tmp_path / "none")


def test_pip_is_asked_for_one_wheel_of_one_platform(tmp_path: Path) -> None:
    pinned = wheels.pip_command(wheels.Pin("ziglang==0.13.0", "00", "manylinux_2_12_x86_64"), tmp_path)

    assert {"--no-deps", "--only-binary=:all:", "ziglang==0.13.0", "manylinux_2_12_x86_64"} <= set(pinned)
    assert "--platform" not in wheels.pip_command(wheels.Pin("aws-sam-cli==1.170.0", "00", None), tmp_path)


def test_an_architecture_that_lambda_lacks_is_said() -> None:
    assert rie.host_arch("aarch64") == "arm64"
    with pytest.raises(Failure, match="x86_64 and arm64, this machine is riscv64"):
        rie.host_arch("riscv64")


MOUNTINFO = """\
22 1 254:0 / / rw,relatime - ext4 /dev/root rw
25 22 0:5 / /sys/fs/cgroup ro,nosuid,nodev,noexec - cgroup2 cgroup2 rw
31 22 254:0 /a\\040b /mnt/a\\040b\\012c rw,nosuid - ext4 /dev/root rw
"""


def test_a_mount_is_told_with_its_path_its_kind_and_its_options() -> None:
    assert [
        Mounted(Path("/"), "ext4", ("rw", "relatime")),
        Mounted(Path("/sys/fs/cgroup"), "cgroup2", ("ro", "nosuid", "nodev", "noexec")),
        Mounted(Path("/mnt/a b\nc"), "ext4", ("rw", "nosuid")),
    ] == list(parse_mountinfo(MOUNTINFO))
