"""What the functions' libraries are installed with: once per interpreter and set of requirements, into a cache.

In: the interpreter and `name==version`s. Out: a folder as `pip install -t` leaves it, to be laid beside app.py.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "afterglow-tests"
CONSTRAINTS = Path(__file__).parent / "constraints.txt"
LIMIT_S = 600


class MissingPackageError(Exception):
    """The package index cannot be reached, or has no such package for this interpreter."""


def run(command: list[str]) -> str:
    """Run a command of pip's or Python's; return what it printed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    if done.returncode:
        raise MissingPackageError((done.stderr.strip().splitlines() or ["no word"])[-1])
    return done.stdout


def interpreter() -> Path:
    """Return the functions' Python: AFTERGLOW_REAL_PYTHON with the runtime client beside it, else this one."""
    other = os.environ.get("AFTERGLOW_REAL_PYTHON")
    if not other:
        return Path(sys.executable)
    folder = CACHE / ("python-" + hashlib.sha256(other.encode()).hexdigest()[:12])
    python = folder / "bin" / "python"
    CACHE.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in parallel
        if not (folder / ".ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            run([other, "-m", "venv", str(folder)])
            run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "awslambdaric>=3.0"])
            (folder / ".ready").touch()
    return python


def version_of(python: Path) -> str:
    """Return 3.11 or the like."""
    return run([str(python), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]).strip()


def installed(python: Path, requirements: tuple[str, ...]) -> Path:
    """Return a folder with these packages and what they need; install them unless an earlier run has."""
    version = version_of(python)
    constraints = CONSTRAINTS.read_text() if CONSTRAINTS.exists() else ""
    key = hashlib.sha256(json.dumps([version, sorted(requirements), constraints]).encode()).hexdigest()[:16]
    folder = CACHE / f"packages-{version}" / key
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=folder.parent, prefix="new-"))
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--prefer-binary"]
    pip += ["--constraint", str(CONSTRAINTS)] if constraints else []
    try:
        run([*pip, "--target", str(fresh), *requirements])
        fresh.rename(folder)
    except OSError:  # another process was faster
        assert folder.is_dir()
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder


def versions(folder: Path) -> dict[str, str]:
    """Return what lies in such a folder, by name."""
    found = (path.name.removesuffix(".dist-info").rsplit("-", 1) for path in folder.glob("*.dist-info"))
    return {name.lower().replace("_", "-"): version for name, version in found}


def lay_out(packages: Path | None, source: Path, target: Path) -> None:
    """Make the function's folder: its packages by hard links where that can be, then its own files."""
    if packages is None:
        target.mkdir(parents=True)
    else:
        shutil.copytree(packages, target, copy_function=link, symlinks=True)
    for path in source.rglob("*"):
        place = target / path.relative_to(source)
        if path.is_dir() and path.name != "__pycache__":
            place.mkdir(exist_ok=True)
        elif path.parent.name != "__pycache__" and path.name not in ("case.toml", "service.py"):
            place.unlink(missing_ok=True)  # it may be a link to a package's file
            shutil.copy(path, place)


def link(source: str, target: str) -> None:
    """Make a hard link, or a copy where the file system has none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
