"""The pure parts of a run's limits: shares, cgroups on fixture trees, ways in, words, what is stale, when Init ends."""

import os
import stat
import subprocess
import time
from pathlib import Path

import pytest

from afterglow_layer.local import allotment, cgroups, entry, fence, limits, private_tmp, session, stale
from afterglow_layer.local.allotment import MB, Allotment
from afterglow_layer.local.cgroups import V1, V2, Home
from afterglow_layer.local.entry import Entry
from afterglow_layer.local.init_watch import Ground, InitWatch
from afterglow_layer.local.interpreter import Interpreter
from afterglow_layer.local.plan import Plan, keep_in_tmp
from afterglow_layer.local.sandbox import Kept

INSTEAD = "RIE runs Init inside the first invocation, on its time; --emulator builtin runs it ahead"
DEAD_PID = 2**22 + 1  # No kernel hands out more than 2**22 (proc(5), pid_max).


def written(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


# -- how much -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("memory_mb", "quota_us"), [(128, 1447), (1769, 20_000), (3538, 40_000), (10_240, 115_772)])
def test_the_cpu_grows_with_the_memory(memory_mb: int, quota_us: int) -> None:
    assert quota_us == allotment.quota_us(allotment.cores_of(memory_mb))


def test_no_quota_is_smaller_than_the_kernel_takes() -> None:
    assert 1000 == allotment.quota_us(0.001)


@pytest.mark.parametrize(
    ("size", "shares"),
    [(None, ["abcde"]), (2, ["ab", "cd", "e"]), (5, ["abcde"]), (9, ["abcde"]), (1, ["a", "b", "c", "d", "e"])],
)
def test_events_are_dealt_out_to_environments(size: int | None, shares: list[str]) -> None:
    events = [b"a", b"b", b"c", b"d", b"e"]

    assert shares == [b"".join(share).decode() for share in session._shares(events, size)]


# -- where ----------------------------------------------------------------------------------------------------

MOUNTINFO = """\
31 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
32 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
33 30 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
"""


@pytest.mark.parametrize(
    ("controller", "path"), [("memory", "/sys/fs/cgroup/memory/a"), ("cpu", "/sys/fs/cgroup/cpu,cpuacct/b")]
)
def test_each_controller_has_a_home_of_its_own_in_v1(controller: str, path: str) -> None:
    found = cgroups.homes(MOUNTINFO, "4:memory:/a\n3:cpu,cpuacct:/b\n0::/c", controller)

    assert [Home(V2, Path("/sys/fs/cgroup/unified/c")), Home(V1, Path(path))] == found


def test_the_nearest_group_that_hands_limits_down_is_taken(tmp_path: Path) -> None:
    written(tmp_path, {"cgroup.subtree_control": "cpu memory pids"})
    written(tmp_path / "slice", {"cgroup.subtree_control": "memory pids"})
    written(tmp_path / "slice" / "scope", {"cgroup.subtree_control": ""})

    assert Home(V2, tmp_path / "slice") == fence.generous(Home(V2, tmp_path / "slice" / "scope"))


def test_where_no_group_hands_limits_down_our_own_will_do_for_the_freezer(tmp_path: Path) -> None:
    written(tmp_path / "scope", {"cgroup.subtree_control": "pids"})

    assert Home(V2, tmp_path / "scope") == fence.generous(Home(V2, tmp_path / "scope"))


def test_in_v2_the_limits_stand_in_a_group_beside_the_platforms(tmp_path: Path) -> None:
    ours = written(tmp_path / "ours", {"cgroup.controllers": "cpu memory", "cgroup.subtree_control": ""})
    function = written(ours / "function", {"memory.swap.max": "max", "cgroup.procs": ""})
    built = fence.build(Allotment(256, 0.5), "afterglow-1", Home(V2, ours), lambda _: [])

    assert str(256 * MB) == (function / "memory.max").read_text()
    assert "0" == (function / "memory.swap.max").read_text()
    assert "max 20000" == (function / "cpu.max").read_text(), "Init comes first"
    assert (ours / "platform").is_dir(), "a group that hands controllers down may hold no process itself"
    assert [str(function / "cgroup.procs")] == built.doors
    assert {} == built.problems


def test_in_v1_each_controller_has_its_own_group(tmp_path: Path) -> None:
    homes = {name: Home(V1, written(tmp_path / name, {})) for name in ("memory", "cpu")}
    built = fence.build(Allotment(256, 0.5), "afterglow-1", None, lambda name: [homes[name]])

    assert str(256 * MB) == (tmp_path / "memory/afterglow-1/memory.limit_in_bytes").read_text()
    assert "-1" == (tmp_path / "cpu/afterglow-1/cpu.cfs_quota_us").read_text(), "Init comes first"
    assert [str(tmp_path / name / "afterglow-1/cgroup.procs") for name in ("cpu", "memory")] == built.doors


def test_a_v2_that_lacks_one_controller_is_joined_by_v1_for_the_other(tmp_path: Path) -> None:
    ours = written(tmp_path / "ours", {"cgroup.controllers": "memory", "cgroup.subtree_control": ""})
    cpu = Home(V1, written(tmp_path / "cpu", {}))
    built = fence.build(Allotment(256, 0.5), "x", Home(V2, ours), lambda name: [cpu] if name == "cpu" else [])

    assert [V2, V1] == [built.memory and built.memory.kind, built.cpu and built.cpu.kind]


def test_what_cannot_be_limited_is_told_with_the_reason(tmp_path: Path) -> None:
    missing = Home(V1, tmp_path / "missing")
    built = fence.build(Allotment(256, 0.5), "x", None, lambda name: [missing] if name == "memory" else [])

    assert [] == built.doors
    assert "No such file or directory" in built.problems["memory"]
    assert "no cgroup with the cpu controller is open to us" == built.problems["cpu"]


def test_nothing_is_made_where_nothing_is_to_be_limited() -> None:
    assert fence.build(Allotment(), "x", None, lambda _: []) == fence.OPEN


@pytest.mark.parametrize(
    ("kind", "file", "share", "whole"),
    [(V2, "cpu.max", "10000 20000", "max 20000"), (V1, "cpu.cfs_quota_us", "10000", "-1")],
)
def test_the_cpu_is_limited_and_let_go(tmp_path: Path, kind: str, file: str, share: str, whole: str) -> None:
    fence.limit_cpu(Home(kind, tmp_path), 0.5)
    assert share == (tmp_path / file).read_text()

    fence.limit_cpu(Home(kind, tmp_path), None)
    assert whole == (tmp_path / file).read_text()


# -- the way in -----------------------------------------------------------------------------------------------


def test_without_limits_the_runtime_is_started_as_it_is() -> None:
    assert ["python", "app"] == entry.lead_in(Entry(), ["python", "app"])


def test_the_runtime_goes_through_the_doors_and_stays_itself(tmp_path: Path) -> None:
    doors = [str(tmp_path / "one of 'them'"), str(tmp_path / "two")]
    command = entry.lead_in(Entry(doors, 400_000), ["/bin/sh", "-c", 'echo "$1 $(ulimit -d)"', "sh", "an 'argument'"])
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert "an 'argument' 400000\n" == done.stdout
    assert ["0\n", "0\n"] == [Path(door).read_text() for door in doors]


def test_each_extension_has_a_script_before_it_with_the_same_name_and_mode(tmp_path: Path) -> None:
    opt = tmp_path / "opt"
    extension = written(opt / "extensions", {"it's one": '#!/bin/sh\necho "$0"'}) / "it's one"
    extension.chmod(0o755)
    (opt / "extensions" / "folder").mkdir()
    door = tmp_path / "door"
    entry.lead_extensions_in([str(door)], opt, opt)
    done = subprocess.run([extension], capture_output=True, text=True, check=True)

    assert f"{opt}/.extensions/it's one\n" == done.stdout
    assert "0\n" == door.read_text()
    assert 0o755 == stat.S_IMODE(extension.stat().st_mode)


def test_without_doors_extensions_are_left_alone(tmp_path: Path) -> None:
    written(tmp_path / "extensions", {"one": "x"})
    entry.lead_extensions_in([], tmp_path, tmp_path)

    assert "x" == (tmp_path / "extensions" / "one").read_text()


# -- /tmp -----------------------------------------------------------------------------------------------------


def test_of_what_lies_in_tmp_only_the_outermost_is_shown_again() -> None:
    paths = ["/tmp/a/b", "/tmp/a", "/usr/bin/python3", "/tmp", "/", "/tmpfs/x", "/tmp/c/d"]

    assert [Path("/tmp/a"), Path("/tmp/c/d")] == private_tmp.below(Path("/tmp"), paths)


def plan(**changed: object) -> Plan:
    python = Interpreter("/usr/bin/python3", "/usr/bin/python3", "3.11", "", has_client=True)
    fields = {
        "handler": "app.handler",
        "directory": Path("/nowhere"),
        "events": [b"{}"],
        "gap_s": 0,
        "timeout_s": 3,
        "memory_mb": 256,
        "region": "us-east-1",
        "environ": {},
        "env": {},
        "interpreter": python,
        "rie": Path("/nowhere/rie"),
        "layer": None,
        "layer_name": None,
        "loader": "managed",
        "freezer": "auto",
        "show": None,
        **changed,
    }
    return Plan(**fields)  # type: ignore[arg-type]


def test_a_function_in_tmp_itself_leaves_tmp_as_it_is() -> None:
    assert keep_in_tmp(plan(directory=Path("/tmp"), private_tmp=True)) is None
    assert keep_in_tmp(plan(private_tmp=False)) is None


def test_a_collectors_socket_stays_reachable(tmp_path: Path) -> None:
    socket = written(tmp_path, {"socket": ""}) / "socket"

    assert str(socket) in (keep_in_tmp(plan(private_tmp=True, env={"AFTERGLOW_COLLECTOR": f"unix:{socket}"})) or [])


# -- words ----------------------------------------------------------------------------------------------------

PER_PROCESS = "each process of the function has 256 MB for data (RLIMIT_DATA), then MemoryError"
HAD = Kept("cgroup v2", "cgroup v1", {}, ["/tmp: its own, 512 MB"])


@pytest.mark.parametrize(
    ("changed", "kept", "sentences"),
    [
        (
            {"limit_memory": True, "limit_cpu": True, "init_limit_s": 10.0},
            HAD,
            [
                "memory: 256 MB for the function and its extensions, by cgroup v2",
                "CPU: 14.5% of a core once Init is over, by cgroup v1 in periods of 20 ms",
                "/tmp: its own, 512 MB",
                "Init: 10 s at most",
            ],
        ),
        (
            {},
            HAD,
            ["memory: not limited", "CPU: not limited (--cpu full)", "/tmp: its own, 512 MB"],
        ),
        (
            {"limit_memory": True, "limit_cpu": True, "memory_mb": 8845},
            HAD,
            [
                "memory: 8845 MB for the function and its extensions, by cgroup v2",
                "CPU: 2 cores, all that this machine has, of 5.0",
                "/tmp: its own, 512 MB",
            ],
        ),
        (
            {"limit_memory": True, "limit_cpu": True, "provisioned": True, "init_limit_s": 10.0},
            Kept(None, None, {"memory": "no way", "cpu": "none there"}, ["/tmp: this machine's"]),
            [
                f"memory: not limited as a whole (no way); {PER_PROCESS}",
                "CPU: not limited (none there); on Lambda it would be 14.5% of a core",
                "/tmp: this machine's",
                f"provisioned concurrency: told to the function, but not enforced: {INSTEAD}",
            ],
        ),
    ],
    ids=["all there", "none asked for", "more than the machine has", "none to be had"],
)
def test_what_holds_and_what_does_not_is_said(changed: dict[str, object], kept: Kept, sentences: list[str]) -> None:
    assert sentences == limits.limits_of(plan(**changed), kept, cpus=2, expired=0)


def test_an_init_that_was_ended_is_said() -> None:
    said = limits.limits_of(plan(init_limit_s=10.0), HAD, cpus=2, expired=1)

    assert "Init: 10 s at most; 1 took longer and had the runtime killed" in said


# -- what is stale --------------------------------------------------------------------------------------------


def test_the_group_of_a_dead_keeper_goes_and_all_others_stay(tmp_path: Path) -> None:
    for name in (stale.name_of(DEAD_PID), stale.name_of(os.getpid()), f"afterglow-emulator-{DEAD_PID}-1", "another"):
        (tmp_path / name).mkdir()
    stale.sweep_groups([Home(V2, tmp_path)])

    assert sorted([stale.name_of(os.getpid()), f"afterglow-emulator-{DEAD_PID}-1", "another"]) == sorted(
        path.name for path in tmp_path.iterdir()
    )


def test_a_group_with_processes_of_another_pid_namespace_is_not_ours_to_judge(tmp_path: Path) -> None:
    written(tmp_path / stale.name_of(DEAD_PID), {"cgroup.procs": "0\n0\n", "cgroup.freeze": "1"})
    stale.sweep_groups([Home(V2, tmp_path)])

    assert "1" == (tmp_path / stale.name_of(DEAD_PID) / "cgroup.freeze").read_text()


def test_what_is_still_in_a_dead_keepers_group_is_thawed_to_die(tmp_path: Path) -> None:
    group = written(tmp_path / stale.name_of(DEAD_PID), {"freezer.state": "FROZEN"})
    stale.sweep_groups([Home(V1, tmp_path)])

    assert "THAWED" == (group / "freezer.state").read_text()


def test_an_empty_folder_that_nobody_signed_goes_when_nobody_can_be_about_to(tmp_path: Path) -> None:
    long_ago = time.time() - 2 * stale.UNSIGNED_S
    for name, files in {"killed": {}, "filled": {"opt": ""}, "young": {}}.items():
        folder = written(tmp_path / f"afterglow-run-{name}", files)
        if name != "young":
            os.utime(folder, (long_ago, long_ago))
    stale.sweep_folders(tmp_path / "afterglow-run-own")

    assert ["filled", "young"] == sorted(path.name.removeprefix("afterglow-run-") for path in tmp_path.iterdir())


def test_the_folder_of_a_dead_keeper_goes_and_all_others_stay(tmp_path: Path) -> None:
    namespace = os.readlink("/proc/self/ns/pid")
    owners = {"dead": f"{DEAD_PID} {namespace}", "elsewhere": f"{DEAD_PID} pid:[1]", "nonsense": "x", "starting": None}
    for name, owner in owners.items():
        written(tmp_path / f"afterglow-run-{name}", {stale.OWNER: owner} if owner else {})
    alive = written(tmp_path / "afterglow-run-alive", {})
    stale.sign(alive)
    stale.sweep_folders(alive)

    assert ["alive", "elsewhere", "nonsense", "starting"] == sorted(
        path.name.removeprefix("afterglow-run-") for path in tmp_path.iterdir()
    )


# -- Init -----------------------------------------------------------------------------------------------------

BEGINS = "21 Nov 2026 09:54:35,637 [INFO] (rapid) INIT START(type: on-demand, phase: init)"
ENDS = "21 Nov 2026 09:54:35,682 [INFO] (rapid) INIT RTDONE(status: success)"


def test_the_cpu_is_limited_from_the_end_of_init_to_the_start_of_the_next(tmp_path: Path) -> None:
    watch = InitWatch(None)
    watch.stand_on(Ground(os.getpid(), Home(V2, tmp_path), 0.5))
    seen = []
    for line in (BEGINS, "INVOKE START(requestId: x)", ENDS, "INVOKE RTDONE(status: success)", BEGINS):
        watch.hear(line)
        seen.append((tmp_path / "cpu.max").read_text().split()[0])

    assert ["max", "max", "10000", "10000", "max"] == seen


def test_an_init_that_was_over_before_the_sandbox_was_known_counts(tmp_path: Path) -> None:
    watch = InitWatch(None)
    watch.hear(BEGINS)
    watch.hear(ENDS)
    watch.stand_on(Ground(os.getpid(), Home(V2, tmp_path), 0.5))

    assert "10000 20000" == (tmp_path / "cpu.max").read_text()


def test_a_group_that_has_gone_with_its_sandbox_is_no_error(tmp_path: Path) -> None:
    watch = InitWatch(None)
    watch.stand_on(Ground(os.getpid(), Home(V2, tmp_path / "gone"), 0.5))
    watch.hear(ENDS)

    assert 0 == watch.expired
