"""``afterglow layer``: build the zips, look into one."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afterglow_layer.commands import configuration

if TYPE_CHECKING:
    from afterglow_layer.contents import Entry

EPILOG = """\
examples:
  afterglow layer build                                          dist/afterglow-layer-x86_64.zip and -arm64.zip
  afterglow layer build --arch arm64 --out /tmp/layers           one of them, elsewhere
  afterglow layer build --bytecode-for python3.12 --bytecode-for python3.13
  afterglow layer inspect dist/afterglow-layer-arm64.zip         files, sizes, what is wrong
  afterglow layer inspect dist/afterglow-layer-arm64.zip --output json

exit status: 0 built, or nothing is wrong · 1 it could not be built, or something is wrong · 2 wrong usage
"""


def add_to(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``layer build`` and ``layer inspect``."""
    looks: Any = {"epilog": EPILOG, "formatter_class": argparse.RawDescriptionHelpFormatter}
    layer = verbs.add_parser("layer", help="build the layer, or look into one", **looks)
    acts = layer.add_subparsers(metavar="ACTION", required=True)

    build = acts.add_parser("build", help="write the layer's zip files", description=build_layers.__doc__, **looks)
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
    _add_output(build)
    configuration.adopt(build, "layer", "build")
    build.set_defaults(act=build_layers)

    inspect = acts.add_parser(
        "inspect", help="list what is in a layer zip, and what is wrong", description=inspect_layer.__doc__, **looks
    )
    inspect.add_argument("zip", type=Path, metavar="ZIP")
    _add_output(inspect)
    configuration.adopt(inspect, "layer", "inspect")
    inspect.set_defaults(act=inspect_layer)


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", choices=["table", "json"], default="table", help="default: table")


def build_layers(asked: argparse.Namespace) -> int:
    """Write afterglow-layer-<arch>.zip: the same bytes for the same sources and Python."""
    from afterglow_layer.archive import build  # noqa: PLC0415 - heavy parts only when their verb runs
    from afterglow_layer.contents import ARCHITECTURES  # noqa: PLC0415
    from afterglow_layer.wheels import sha256_of  # noqa: PLC0415

    built = []
    for arch in asked.arch or ARCHITECTURES:
        path = build(arch, asked.out, asked.bytecode_for or [sys.executable])
        size_bytes, sha256 = path.stat().st_size, sha256_of(path)
        built.append({"path": str(path), "arch": arch, "size_bytes": size_bytes, "sha256": sha256})
        if asked.output == "table":
            print(f"{path}  {size_bytes / 1000:.0f} kB  sha256 {sha256}")
    if asked.output == "json":
        print(json.dumps(built, indent=2))
    return 0


def inspect_layer(asked: argparse.Namespace) -> int:
    """List a layer's files with mode and size, its totals, and what is wrong with it (exit status 1)."""
    from afterglow_layer import archive  # noqa: PLC0415 - as above

    entries = archive.read_zip(asked.zip)
    document = _document(asked.zip, entries)
    if asked.output == "json":
        print(json.dumps(document, indent=2))
    else:
        _print_table(document)
    for complaint in document["wrong"]:
        print(f"wrong: {complaint}", file=sys.stderr)
    return 1 if document["wrong"] else 0


def _document(path: Path, entries: "list[Entry]") -> dict[str, Any]:
    from afterglow_layer import inspection  # noqa: PLC0415 - as above

    return {
        "files": [
            {"path": entry.path, "mode": f"{entry.mode:04o}", "size_bytes": len(entry.data)} for entry in entries
        ],
        "parts": [part._asdict() for part in inspection.parts(entries)],
        "size_bytes": sum(len(entry.data) for entry in entries),
        "zipped_bytes": path.stat().st_size,
        "architectures": list(inspection.architectures(entries)),
        "python_versions": list(inspection.python_versions(entries)),
        "wrong": list(inspection.wrong(entries)),
    }


def _print_table(document: dict[str, Any]) -> None:
    files = document["files"]
    for file in files:
        print(f"{file['mode']} {file['size_bytes']:>9,}  {file['path']}")
    print()
    for part in document["parts"]:
        print(f"{part['name']:<14}{part['files']:>4} files {part['size_bytes']:>11,} bytes")
    size_bytes, zipped_bytes = document["size_bytes"], document["zipped_bytes"]
    print(f"{'total':<14}{len(files):>4} files {size_bytes:>11,} bytes, {zipped_bytes:,} zipped")
    print(f"{'architecture':<14}{', '.join(document['architectures']) or 'none'}")
    print(f"{'bytecode for':<14}{', '.join(document['python_versions']) or 'no Python'}")
