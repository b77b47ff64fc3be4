"""What goes into the layer: every file with its place under /opt, its mode and its bytes.

In: the installed packages ``afterglow`` and ``afterglow_hook``, this package's ``opt`` folder, its launcher and
psutil's pinned wheel for the wanted architecture. Out: Entry tuples without bytecode, sorted by path.
"""

import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from afterglow_layer.failure import Failure
from afterglow_layer.native import launcher_path
from afterglow_layer.wheels import Pin, fetch_wheel

PSUTIL = {
    "x86_64": Pin(
        "psutil==7.2.2",
        "076a2d2f923fd4821644f5ba89f059523da90dc9014e85f8e45a5774ca5bc6f9",
        "manylinux2014_x86_64",
    ),
    "arm64": Pin(
        "psutil==7.2.2",
        "b0726cecd84f9474419d67252add4ac0cd9811b04d61123054b9fb6f57df6e9e",
        "manylinux2014_aarch64",
    ),
}

ARCHITECTURES = tuple(PSUTIL)

PSUTIL_FILES = (
    "__init__.py",
    "_common.py",
    "_ntuples.py",
    "_pslinux.py",
    "_psposix.py",
    "_psutil_linux.abi3.so",
)
"""The part of psutil that Linux imports; the rest of the wheel is other systems."""

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
        *_psutil_files(arch),
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


def _psutil_files(arch: str) -> list[Entry]:
    pin = PSUTIL[arch]
    with zipfile.ZipFile(fetch_wheel(pin)) as wheel:
        files = [Entry(f"afterglow/psutil/{name}", PLAIN, wheel.read(f"psutil/{name}")) for name in PSUTIL_FILES]
        # psutil's licence asks that its text goes along.
        version = pin.requirement.partition("==")[2]
        licence = wheel.read(f"psutil-{version}.dist-info/LICENSE")
    return [*files, Entry("afterglow/psutil/LICENSE", PLAIN, licence)]
