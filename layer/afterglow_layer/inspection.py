"""Looks into a layer zip.

In: its entries. Out: sizes by part, the Pythons it has bytecode for, and what is wrong. Every rule here is one
that Lambda or RIE would break a function over, or that would cost each cold start.
"""

import re
import struct
from collections.abc import Callable, Iterable
from typing import NamedTuple

from afterglow_layer.contents import Entry

LAUNCHER = "extensions/afterglow"
WRAPPER = "afterglow-exec"

PARTS = [
    ("launcher", "extensions/"),
    ("launcher", "afterglow/register-"),
    ("extension", "afterglow/"),
    ("hook", "python/"),
    ("exec wrapper", WRAPPER),
    ("other", ""),
]
"""Name → what the paths of its files begin with; the first that fits."""

NEEDED = (
    "afterglow/afterglow/boot.py",
    "afterglow/start.sh",
    "afterglow/bare-loop.sh",
    "afterglow/wrap/sitecustomize.py",
    "python/afterglow.pth",
    "python/afterglow_hook/__init__.py",
)

ELF_MACHINES = {62: "x86_64", 183: "arm64"}  # e_machine, elf(5)

_PYC = re.compile(r"__pycache__/.+\.cpython-3(\d+)\.pyc$")


class Part(NamedTuple):
    """What the files of one part come to, as they lie in /opt."""

    name: str
    files: int
    size_bytes: int


def parts(entries: Iterable[Entry]) -> list[Part]:
    """Return the parts that have files, in the order of PARTS."""
    sizes: dict[str, list[int]] = {name: [] for name, _ in PARTS}
    for entry in entries:
        sizes[part_of(entry.path)].append(len(entry.data))
    return [Part(name, len(found), sum(found)) for name, found in sizes.items() if found]


def part_of(path: str) -> str:
    """Return the name of the part that a path belongs to."""
    return next(name for name, prefix in PARTS if path.startswith(prefix))


def python_versions(entries: Iterable[Entry]) -> list[str]:
    """Return the Pythons that there is bytecode for: 3.11."""
    minors = {int(found[1]) for entry in entries if (found := _PYC.search(entry.path))}
    return [f"3.{minor}" for minor in sorted(minors)]


def architectures(entries: Iterable[Entry]) -> list[str]:
    """Return the architectures of the programs and shared libraries, in Lambda's words."""
    heads = (entry.data[:20] for entry in entries)
    machines = {struct.unpack_from("<H", head, 18)[0] for head in heads if head[:4] == b"\x7fELF" and len(head) == 20}
    return sorted(ELF_MACHINES.get(machine, f"machine {machine}") for machine in machines)


def wrong(entries: list[Entry]) -> list[str]:
    """Return what is wrong, one sentence each; an empty list is a good layer."""
    return [sentence for rule in RULES for sentence in rule(entries)]


def _only_ours_runs(entries: list[Entry]) -> Iterable[str]:
    for entry in entries:
        if entry.path.startswith("extensions/") and entry.path != LAUNCHER:
            yield f"{entry.path}: Lambda runs every file in extensions/; this one does not belong there"


def _launchers_can_run(entries: list[Entry]) -> Iterable[str]:
    by_path = {entry.path: entry for entry in entries}
    for path in (LAUNCHER, WRAPPER):
        if path not in by_path:
            yield f"{path} is missing"
        elif not by_path[path].mode & 0o111:
            yield f"{path} has no run bit: every invocation would fail (Extension.LaunchError)"
        elif not by_path[path].data.startswith(b"#!/bin/sh\n"):
            yield f"{path} does not begin with #!/bin/sh"


def _nothing_is_missing(entries: list[Entry]) -> Iterable[str]:
    paths = {entry.path for entry in entries}
    yield from (f"{path} is missing" for path in NEEDED if path not in paths)
    if len(architectures(entries)) != 1:
        yield f"programs for {' and '.join(architectures(entries)) or 'no architecture'}, not for one"


def _everyone_may_read(entries: list[Entry]) -> Iterable[str]:
    for entry in entries:
        if entry.mode & 0o444 != 0o444:
            yield f"{entry.path}: mode {entry.mode:03o}; the function's user could not read it"


def _bytecode_is_trusted(entries: list[Entry]) -> Iterable[str]:
    for entry in entries:
        # PEP 552: four bytes of magic, then flags; 0b01 is hash-based and unchecked.
        if entry.path.endswith(".pyc") and entry.data[4:8] != b"\x01\0\0\0":
            yield f"{entry.path}: not an unchecked-hash .pyc, so every cold start would check or redo it"


RULES: list[Callable[[list[Entry]], Iterable[str]]] = [
    _only_ours_runs,
    _launchers_can_run,
    _nothing_is_missing,
    _everyone_may_read,
    _bytecode_is_trusted,
]
