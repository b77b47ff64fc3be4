"""The layer's size. In: the zips as ``make layer`` builds them. Out: a Section."""

import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from afterglow_layer import archive
from afterglow_layer.contents import ARCHITECTURES
from afterglow_layer.inspection import part_of, parts, python_versions
from bench.effort import Effort
from bench.section import Budget, Section, Table
from bench.stats import Interval

TITLE = "the layer's size"
BUDGET_KB = 650.0
METHOD = """\
Both zips, built as `make layer` builds them; KB are 1,000 bytes. *In the zip* is what an entry takes there, its header
apart; *unpacked* counts towards Lambda's limit of 250 MB."""


def measure(effort: Effort, show: Callable[[Table], None]) -> Section:
    """Build and weigh both."""
    del effort
    budgets, tables, notes = [], [], []
    with tempfile.TemporaryDirectory(prefix="afterglow-bench-") as scratch:
        for arch in ARCHITECTURES:
            path = archive.build(arch, Path(scratch))
            size_kb = path.stat().st_size / 1000
            budgets.append(Budget(f"afterglow-layer-{arch}.zip", BUDGET_KB, "KB", Interval(size_kb, size_kb, size_kb)))
            tables.append(_table(path, arch))
            show(tables[-1])
            notes.append(_bytecode_note(path, arch))
    return Section(METHOD, budgets, tables, notes)


def _table(path: Path, arch: str) -> Table:
    packed: dict[str, int] = {}
    with zipfile.ZipFile(path) as zipped:
        for info in zipped.infolist():
            packed[part_of(info.filename)] = packed.get(part_of(info.filename), 0) + info.compress_size
    entries = archive.read_zip(path)
    rows = [
        [part.name, str(part.files), f"{part.size_bytes / 1000:.1f}", f"{packed[part.name] / 1000:.1f}"]
        for part in parts(entries)
    ]
    total = sum(part.size_bytes for part in parts(entries))
    rows.append(["all", str(len(entries)), f"{total / 1000:.1f}", f"{sum(packed.values()) / 1000:.1f}"])
    return Table(["", "files", "unpacked, KB", "in the zip, KB"], rows, f"{arch}")


def _bytecode_note(path: Path, arch: str) -> str:
    with zipfile.ZipFile(path) as zipped:
        bytecode = sum(info.compress_size for info in zipped.infolist() if info.filename.endswith(".pyc"))
    versions = ", ".join(python_versions(archive.read_zip(path)))
    return f"{arch}: {bytecode / 1000:.0f} KB is bytecode, for Python {versions}; each further one adds about as much."
