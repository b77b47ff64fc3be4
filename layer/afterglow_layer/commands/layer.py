"""``afterglow layer``: build the zips, look into one."""

import argparse
import sys
from pathlib import Path


def add_to(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``layer build`` and ``layer inspect``."""
    layer = verbs.add_parser("layer", help="build the layer, or look into one")
    acts = layer.add_subparsers(metavar="ACTION", required=True)

    build = acts.add_parser("build", help="write the layer's zip files", description=build_layers.__doc__)
    build.add_argument("--out", type=Path, default=Path("dist"), metavar="DIR", help="where to (default: dist)")
    build.add_argument(
        "--arch",
        choices=["x86_64", "arm64"],
        action="append",
        help="for this architecture alone (default: both)",
    )
    build.add_argument(
        "--bytecode-for",
        action="append",
        metavar="PYTHON",
        help="an interpreter to compile for ahead of time; may be repeated (default: this one)",
    )
    build.set_defaults(act=build_layers)

    inspect = acts.add_parser(
        "inspect", help="list what is in a layer zip, and what is wrong", description=inspect_layer.__doc__
    )
    inspect.add_argument("zip", type=Path, metavar="ZIP")
    inspect.set_defaults(act=inspect_layer)


def build_layers(asked: argparse.Namespace) -> int:
    """Write afterglow-layer-<arch>.zip: the same bytes for the same sources and Python."""
    from afterglow_layer.archive import build  # noqa: PLC0415 - heavy parts only when their verb runs
    from afterglow_layer.contents import ARCHITECTURES  # noqa: PLC0415
    from afterglow_layer.wheels import sha256_of  # noqa: PLC0415

    for arch in asked.arch or ARCHITECTURES:
        path = build(arch, asked.out, asked.bytecode_for or [sys.executable])
        print(f"{path}  {path.stat().st_size / 1000:.0f} kB  sha256 {sha256_of(path)}")
    return 0


def inspect_layer(asked: argparse.Namespace) -> int:
    """List a layer's files with mode and size, its totals, and what is wrong with it (exit status 1)."""
    from afterglow_layer import archive, inspection  # noqa: PLC0415 - as above

    entries = archive.read_zip(asked.zip)
    for entry in entries:
        print(f"{entry.mode:04o} {len(entry.data):>9,}  {entry.path}")
    print()
    for part in inspection.parts(entries):
        print(f"{part.name:<14}{part.files:>4} files {part.size_bytes:>11,} bytes")
    total_bytes = sum(len(entry.data) for entry in entries)
    print(f"{'total':<14}{len(entries):>4} files {total_bytes:>11,} bytes, {asked.zip.stat().st_size:,} zipped")
    print(f"{'architecture':<14}{', '.join(inspection.architectures(entries)) or 'none'}")
    print(f"{'bytecode for':<14}{', '.join(inspection.python_versions(entries)) or 'no Python'}")
    complaints = inspection.wrong(entries)
    for complaint in complaints:
        print(f"wrong: {complaint}", file=sys.stderr)
    return 1 if complaints else 0
