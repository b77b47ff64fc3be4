"""Builds the launcher for both architectures: ``python -m afterglow_layer.native`` (``make native``).

In: the C files beside this one, and zig's C compiler, a pinned wheel from the package index. Out: ``register-x86_64``
and ``register-arm64``, and ``sums``, which a test compares with the files: no binary without its source.
"""

import hashlib
import os
import platform
import subprocess
import sys
import zipfile
from pathlib import Path

from afterglow_layer.cache import cache_dir, cached_dir
from afterglow_layer.failure import Failure
from afterglow_layer.native import FLAGS, HERE, SUMS, TARGETS, launcher_path, sums
from afterglow_layer.wheels import Pin, fetch_wheel

ZIG = {
    "x86_64": Pin(
        "ziglang==0.13.0",
        "3ce0c9f16547e5d61b32e0d226926e9a2552ef4b91fccf7ab5ea1a623a77824b",
        "manylinux_2_12_x86_64",
    ),
}


def main() -> None:
    """Build both, and write down what they were built from."""
    pin = ZIG.get(platform.machine())
    if pin is None:
        raise Failure(f"zig is pinned for {', '.join(ZIG)}, not for {platform.machine()}")
    zig = unpacked(fetch_wheel(pin))
    for arch, target in TARGETS.items():
        build(zig, target, launcher_path(arch))
    SUMS.write_text(sums())


def unpacked(wheel: Path) -> Path:
    """Return zig's own folder, unpacked once."""

    def unpack(folder: Path) -> None:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        (folder / "ziglang" / "zig").chmod(0o755)

    key = hashlib.sha256(wheel.name.encode()).hexdigest()[:20]
    return cached_dir(cache_dir() / "zig" / key, unpack) / "ziglang" / "zig"


def build(zig: Path, target: str, out: Path) -> None:
    """Compile the launcher for one target; Failure says what the compiler had to say."""
    command = [str(zig), "cc", "-target", target, *FLAGS, "-o", str(out), "register.c"]
    environ = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(cache_dir())}
    done = subprocess.run(command, cwd=HERE, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure(f"register.c does not compile for {target}:\n{done.stderr}")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(str(failure))
