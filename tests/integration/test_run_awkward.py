"""`afterglow run` under awkward circumstances: odd names, damaged caches, full disks, interruptions at its start."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.conftest import COMMAND, RunFunction, environment
from tests.integration.test_run_sandbox import wait_for

from afterglow_layer import rie
from afterglow_layer.cache import cache_dir
from afterglow_layer.wheels import fetch_wheel, sha256_of

ANSWERS = "def handler(event, context): return 1"

ODD_NAMES = [
    "a b",
    "50%",
    "a%zzb",
    "c#",
    "a?b",
    "a:b",
    "line\nend",
    "car\rriage",
    "\u2028",
    "\x85",
    "tab\t",
    "\x01",
    "'\"$x",
]


def run(directory: Path, *options: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    command = [*COMMAND, "app.handler", "--dir", str(directory), "--repeat", "1", "--gap", "0", *options]
    return subprocess.run(command, capture_output=True, text=True, env={**environment(), **variables}, check=False)


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
def test_a_folder_may_have_any_name_that_text_can_hold(tmp_path: Path, name: str) -> None:
    """RIE alone fails where its folder's path is no URL."""
    folder = tmp_path / name
    folder.mkdir()
    (folder / "app.py").write_text(ANSWERS)
    done = run(folder)

    assert 0 == done.returncode, done.stderr


@pytest.mark.usefixtures("namespaces")
def test_such_a_folder_is_where_the_function_starts_and_what_it_cannot_write(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "c#"
    folder.mkdir()
    (folder / "app.py").write_text("import os\ndef handler(event, context): print(os.getcwd()); open('made', 'w')")
    done = run(folder, "--logs")

    assert str(folder) in done.stderr.splitlines()
    assert "OSError: [Errno 30] Read-only file system" in done.stderr, done.stderr


def test_a_folder_whose_name_is_no_text_is_refused_in_words(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff"))
    folder.mkdir()
    (folder / "app.py").write_text(ANSWERS)
    done = run(folder)

    assert 2 == done.returncode
    assert done.stderr.endswith("bad\\udcff': not UTF-8, as every name in a Lambda function is\n"), done.stderr


@pytest.mark.parametrize("event", [b'"\xff"', b"NaN", b"[-Infinity]"])
def test_an_event_that_lambda_would_not_take_is_refused(function_dir: Path, event: bytes) -> None:
    (function_dir / "app.py").write_text(ANSWERS)
    done = run(function_dir, "--event", os.fsdecode(event))

    assert 2 == done.returncode
    assert "not JSON either" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


# -- the cache ------------------------------------------------------------------------------------------------


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a cache of our own, in which RIE's wheel is already."""
    fetch_wheel(rie.SAM_CLI)
    wheels = cache_dir() / "wheels"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cache_dir().mkdir(parents=True)
    (cache_dir() / "wheels").symlink_to(wheels)
    return cache_dir()


@pytest.mark.parametrize("harm", ["cut", "replaced", "not to be run"])
def test_a_damaged_rie_is_noticed_and_taken_anew(own_cache: Path, harm: str, capfd: pytest.CaptureFixture[str]) -> None:
    found = rie.fetch_rie(rie.host_arch())
    if harm == "cut":
        os.truncate(found, 1000)
    elif harm == "replaced":
        found.write_text("#!/bin/sh\n")
    else:
        found.chmod(0o644)
    again = rie.fetch_rie(rie.host_arch())

    assert found == again
    assert rie.RIE_SHA256[rie.host_arch()] == sha256_of(again)
    assert os.access(again, os.X_OK)
    assert f"afterglow: {found} is not what was put there: it is made anew\n" == capfd.readouterr().err
    assert own_cache in found.parents


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("harm", ["cut", "removed"])
def test_a_damaged_layer_is_noticed_and_built_anew(own_cache: Path, function_dir: Path, harm: str) -> None:
    (function_dir / "app.py").write_text("def handler(event, context): return open('/opt/afterglow/boot.py').read(9)")
    first = run(function_dir, "--emulator", "builtin")
    (start,) = own_cache.glob("layers/*/afterglow/start.sh")
    if harm == "cut":
        os.truncate(start, 10)
    else:
        start.unlink()
    second = run(function_dir, "--emulator", "builtin")

    assert "is not what was put there" not in first.stderr
    assert "is not what was put there: it is made anew" in second.stderr
    assert start.stat().st_size > 10


# -- where the report cannot go -------------------------------------------------------------------------------


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("options", [[], ["--json", "-"], ["--emf", "-"]], ids=["report", "document", "metrics"])
def test_a_full_disk_is_said_without_a_traceback(function_dir: Path, options: list[str]) -> None:
    (function_dir / "app.py").write_text(ANSWERS)
    command = [*COMMAND, "app.handler", "--dir", str(function_dir), "--repeat", "1", "--gap", "0", *options]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment(), check=False)

    assert 1 == done.returncode
    assert done.stderr.endswith("afterglow: something could not be written: No space left on device\n")
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


# -- at its very start ----------------------------------------------------------------------------------------


def catches(pid: int, number: signal.Signals) -> bool:
    """Tell whether the process has a handler for the signal: SigCgt of proc(5)."""
    status = Path(f"/proc/{pid}/status").read_text()
    mask = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(mask.split()[1], 16) >> (number - 1) & 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_an_interruption_before_anything_has_begun_is_no_traceback(function_dir: Path, number: signal.Signals) -> None:
    """From the first moment that a Python program has a say: before it imports what the command needs."""
    (function_dir / "app.py").write_text(ANSWERS)
    command = [*COMMAND, "app.handler", "--dir", str(function_dir)]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    wait_for(lambda: catches(started.pid, signal.SIGTERM))
    started.send_signal(number)
    _, said = started.communicate(timeout=60)

    assert (130, "afterglow: interrupted\n") == (started.returncode, said)


@pytest.mark.usefixtures("namespaces")
def test_where_ctrl_c_is_ignored_a_sigterm_ends_the_run_in_order(function_dir: Path) -> None:
    """As for a job in the background of a script: SIGINT is not for it."""
    (function_dir / "app.py").write_text("def handler(event, context): print('answered', flush=True)")
    command = [*COMMAND, "app.handler", "--dir", str(function_dir), "--gap", "60", "--logs"]
    ignoring = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh", *command]
    started = subprocess.Popen(ignoring, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    assert started.stderr
    while "answered" not in started.stderr.readline():
        assert started.poll() is None
    started.send_signal(signal.SIGINT)
    started.send_signal(signal.SIGTERM)
    report, _ = started.communicate(timeout=60)

    assert 130 == started.returncode
    assert "#1" in report


def test_the_command_and_the_module_start_alike(run_function: RunFunction) -> None:
    command = Path(sys.executable).with_name("afterglow")
    if not command.exists():
        pytest.skip("Afterglow is not installed as a command here")

    assert "afterglow_layer.__main__" in command.read_text()
