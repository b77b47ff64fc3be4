"""The launcher, in C, and what was built from it. In: an architecture in Lambda's words. Out: its bytes, its sums.

The two binaries are checked in, 8 KB each, so that a layer can be built without a compiler; ``sums`` holds them to
their source (docs/decisions/0014-a-launcher-before-python.md).
"""

import hashlib
from pathlib import Path

HERE = Path(__file__).parent
SUMS = HERE / "sums"

TARGETS = {"x86_64": "x86_64-linux-none", "arm64": "aarch64-linux-none"}
"""Architecture → zig's name for it, less any libc."""

FLAGS = [
    "-std=c11",
    "-Os",
    "-static",
    "-nostdlib",
    "-ffreestanding",
    "-fno-stack-protector",  # nobody is there to be called when it is hit
    "-fno-asynchronous-unwind-tables",
    "-fno-sanitize=all",  # zig's default would bring its run-time library along
    "-Wall",
    "-Wextra",
    "-Werror",
    "-s",
    "-Wl,--build-id=none",  # the same source gives the same bytes
]


def launcher_path(arch: str) -> Path:
    """Return where the launcher for ``arch`` is."""
    return HERE / f"register-{arch}"


def sums() -> str:
    """Return the SHA-256 of the sources and of what was built, as sha256sum(1) writes them."""
    files = [*HERE.glob("*.[ch]"), *map(launcher_path, TARGETS)]
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(files))
