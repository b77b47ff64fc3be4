"""Other Pythons than the tests' own, with the runtime client in them: made once, in a cache.

In: a version. Out: the path of an interpreter that `afterglow run --python` takes.
"""

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.real.packages import CACHE
from tests.unit.hook.runtime import find_pythons

OWN = f"3.{sys.version_info.minor}"
SUPPORTED = ("3.10", "3.11", "3.12", "3.13")
LIMIT_S = 300


def python_of(version: str) -> str:
    """Return an interpreter of this version; skip where there is none, or the client cannot be installed for it."""
    if version == OWN:
        return sys.executable
    base = find_pythons().get(version)
    if base is None:
        pytest.skip(f"there is no Python {version} on this machine")
    folder = CACHE / f"client-{version}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"client-{version}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / ".ready").exists():
            make(base, folder)
    return str(folder / "bin" / "python")


def make(base: str, folder: Path) -> None:
    """Make a virtual environment with the runtime client."""
    shutil.rmtree(folder, ignore_errors=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in ([base, "-m", "venv", str(folder)], [*pip, "awslambdaric>=3.0"]):
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        if done.returncode:
            pytest.skip(f"no runtime client for {base}: {(done.stderr.strip().splitlines() or ['no word'])[-1]}")
    (folder / ".ready").touch()
