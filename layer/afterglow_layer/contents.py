"""What goes into the layer: every file with its place under /opt, its mode and its bytes.

In: the installed packages ``afterglow`` and ``afterglow_hook``, this package's ``opt`` folder, and its launcher for the
wanted architecture: nothing is fetched. Out: Entry tuples without bytecode, sorted by path.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from afterglow_layer.failure import Failure
from afterglow_layer.native import TARGETS, launcher_path

ARCHITECTURES = tuple(TARGETS)
"""Lambda's words for the machines that there is a launcher for."""

PLAIN = 0o644
EXECUTABLE = 0o755


class Entry(NamedTuple):
    """One file of the layer. Its path is relative to /opt."""

    path: str
    mode: int
    data: bytes


def collect(arch: str) -> list[Entry]:
    """Return the layer's files for ``arch`` (one of ARCHITECTURES)."""
    entries = [
        *_opt_files(),
        Entry(f"afterglow/register-{arch}", EXECUTABLE, launcher_path(arch).read_bytes()),
        *_package_files("afterglow", "afterglow"),
        *_package_files("afterglow_hook", "python"),
    ]
    return sorted(entries)


def _opt_files() -> list[Entry]:
    root = Path(__file__).parent / "opt"
    return [
        Entry(path.relative_to(root).as_posix(), mode_of(path), path.read_bytes())
        for path in root.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    ]


def mode_of(path: Path) -> int:
    """Return the mode a file has in the zip: what starts with ``#!`` is run, but for what sh is told to read.

    An installed wheel may have lost the run bits of its data files, so they are no source to go by.
    """
    runs = path.suffix == "" and path.read_bytes().startswith(b"#!")
    return EXECUTABLE if runs else PLAIN


def _package_files(package: str, under: str) -> list[Entry]:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise Failure(f"the package {package} is not installed: reinstall afterglow (`pip install afterglow[local]`)")
    root = Path(spec.origin).parent
    return [
        Entry(f"{under}/{package}/{path.relative_to(root).as_posix()}", PLAIN, path.read_bytes())
        for path in root.rglob("*.py")
    ]
