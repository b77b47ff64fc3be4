"""The layer as a zip, the same bytes for the same contents, and as a folder to mount.

In: entries, or a zip. Out: a file at a path, or a folder.
"""

import hashlib
import stat
import sys
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from afterglow_layer.bytecode import compiled
from afterglow_layer.cache import cache_dir, cached_dir, prune
from afterglow_layer.contents import Entry, collect
from afterglow_layer.failure import usage
from afterglow_layer.local.interpreter import Interpreter

# Zip's own epoch: no build time in the bytes.
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)
_UNIX = 3


def build(arch: str, out: Path, pythons: Sequence[str] = (sys.executable,)) -> Path:
    """Write ``afterglow-layer-<arch>.zip`` with bytecode for ``pythons`` into ``out`` and return its path."""
    entries = collect(arch)
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"afterglow-layer-{arch}.zip"
    unfinished = path.with_suffix(".zip.new")
    bytecode = {entry.path: entry for python in pythons for entry in compiled(entries, python)}
    write_zip([*entries, *bytecode.values()], unfinished)
    unfinished.replace(path)
    return path


def write_zip(entries: list[Entry], path: Path) -> None:
    """Write the entries in the order of their paths, with fixed times and modes."""
    with zipfile.ZipFile(path, "w") as archive:
        for entry in sorted(entries):
            info = zipfile.ZipInfo(entry.path, _TIMESTAMP)
            info.create_system = _UNIX
            info.external_attr = (stat.S_IFREG | entry.mode) << 16
            archive.writestr(info, entry.data, zipfile.ZIP_DEFLATED, 9)


def write_folder(entries: list[Entry], folder: Path) -> None:
    """Write the entries as files below ``folder``, readable by everyone as Lambda's /opt is."""
    for entry in entries:
        path = folder / entry.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(entry.data)
        path.chmod(entry.mode)
    for directory in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        directory.chmod(0o755)


def read_zip(path: Path) -> list[Entry]:
    """Return the files in a zip; Failure (usage) for what is none or reaches outside its folder."""
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            entries = [Entry(info.filename, info.external_attr >> 16 & 0o777, archive.read(info)) for info in infos]
    except FileNotFoundError:
        raise usage(f"{path}: no such file") from None
    except IsADirectoryError:
        raise usage(f"{path}: a folder, not a zip file") from None
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise usage(f"{path}: not a zip file that can be read ({error})") from None
    for entry in entries:
        if entry.path.startswith("/") or ".." in Path(entry.path).parts:
            raise usage(f"{path}: entry {entry.path!r} reaches outside the layer")
    return entries


def unpacked_layer(arch: str, interpreter: Interpreter) -> Path:
    """Return a folder with this installation's own layer, built only if it or the interpreter has changed."""
    entries = collect(arch)
    folder = cache_dir() / "layers"
    prune(folder)
    key = content_key(entries, interpreter.build)
    return cached_dir(
        folder / key,
        lambda made: write_folder(entries + compiled(entries, interpreter.base), made),
        lambda found: holds(found, entries),
    )


def unpacked_zip(path: Path) -> Path:
    """Return a folder with the contents of a layer zip."""
    entries = read_zip(path)
    return cached_dir(
        cache_dir() / "layers" / content_key(entries),
        lambda made: write_folder(entries, made),
        lambda found: holds(found, entries),
    )


def holds(folder: Path, entries: list[Entry]) -> bool:
    """Tell whether every entry is in the folder as it was written; what was compiled from them is not looked at."""
    return all((folder / entry.path).read_bytes() == entry.data for entry in entries)


def content_key(entries: list[Entry], build: str = "") -> str:
    """Return a name for these contents, with bytecode by this build of Python."""
    digest = hashlib.sha256(build.encode())
    for entry in sorted(entries):
        digest.update(f"\0{entry.path}\0{entry.mode:o}\0{len(entry.data)}\0".encode() + entry.data)
    return digest.hexdigest()[:20]
