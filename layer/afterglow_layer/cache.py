"""The cache folder: what was fetched or built once stays there, whole or not at all.

In: the environment (XDG_CACHE_HOME). Out: paths below ``<cache>/afterglow``. Files and folders appear by an
atomic rename, so two commands at once cannot see half a file; the slower one drops its copy.
"""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from afterglow_layer.failure import Failure

UNUSED_DAYS = 7


def cache_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Return Afterglow's cache folder (XDG base directory specification); it need not exist yet."""
    base = environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "afterglow"


@contextmanager
def scratch_dir(beside: Path) -> Iterator[Path]:
    """Give a private folder on the same file system as ``beside``, gone afterwards."""
    try:
        beside.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".new-", dir=beside))
    except OSError as error:
        raise Failure(f"the cache folder {beside} cannot be written: {error}; set XDG_CACHE_HOME") from None
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _anything(_path: Path) -> bool:
    return True


def cached_file(path: Path, make: Callable[[Path], None], sound: Callable[[Path], bool] = _anything) -> Path:
    """Return ``path``; when it is not there, or no longer ``sound``, ``make`` writes it elsewhere first."""
    if not _is_there(path, sound):
        with scratch_dir(path.parent) as scratch:
            made = scratch / path.name
            make(made)
            made.replace(path)
    return path


def cached_dir(path: Path, fill: Callable[[Path], None], sound: Callable[[Path], bool] = _anything) -> Path:
    """Return the folder ``path``, marked as used now; when it is not there, or not ``sound``, ``fill`` makes it."""
    if not _is_there(path, sound):
        with scratch_dir(path.parent) as scratch:
            if path.exists():
                path.rename(scratch / "damaged")  # Goes with the scratch folder.
            made = scratch / path.name
            made.mkdir(mode=0o755)
            fill(made)
            try:
                made.rename(path)
            except OSError:
                if not path.is_dir():
                    raise  # Not the race against another command: that one has left its folder here.
    os.utime(path)
    return path


def _is_there(path: Path, sound: Callable[[Path], bool]) -> bool:
    if not path.exists():
        return False
    try:
        if sound(path):
            return True
    except OSError:
        pass  # What cannot be read is not sound.
    print(f"afterglow: {path} is not what was put there: it is made anew", file=sys.stderr)
    return False


def prune(folder: Path, now_s: float | None = None) -> None:
    """Remove the folders in ``folder`` that nobody has used for UNUSED_DAYS."""
    oldest_s = (time.time() if now_s is None else now_s) - UNUSED_DAYS * 86_400
    for entry in folder.iterdir() if folder.is_dir() else ():
        try:
            unused = entry.is_dir() and entry.stat().st_mtime < oldest_s
        except FileNotFoundError:
            continue  # Another command is pruning, too.
        if unused:
            shutil.rmtree(entry, ignore_errors=True)
