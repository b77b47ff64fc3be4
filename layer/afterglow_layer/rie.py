"""Lambda's own Runtime Interface Emulator: found on this machine, or fetched once.

In: ``--rie``, PATH, the cache. Out: the path of an executable. AWS ships the binary inside its SAM CLI wheel,
which any package index has; the wheel and the binary are both pinned by sha256.
"""

import os
import platform
import shutil
import zipfile
from pathlib import Path

from afterglow_layer.cache import cache_dir, cached_file
from afterglow_layer.failure import Failure, usage
from afterglow_layer.wheels import Pin, fetch_wheel, sha256_of

SAM_CLI = Pin("aws-sam-cli==1.170.0", "24ebaf5ecba38dc1758089968cb89ab61e124b84e92a344fc7a2771a47f4d0bf", None)

RIE_SHA256 = {
    "x86_64": "6b1e686e62ab2baf5759c412c4864276ef2a88b094fca53ec070637ccba9b9a5",
    "arm64": "ec2e5d09633d853834c008b1ef264bf834b258a94d551d2b2074966494b39a21",
}

MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
"""What uname calls a machine → what Lambda calls the architecture."""


def host_arch(machine: str | None = None) -> str:
    """Return this machine's architecture in Lambda's words; Failure where Lambda has none like it."""
    name = (machine or platform.machine()).lower()
    if name not in MACHINES:
        raise Failure(f"Lambda runs on x86_64 and arm64, this machine is {name}: nothing can run here")
    return MACHINES[name]


def find_rie(asked: str | None) -> Path:
    """Return RIE's path: the one asked for, else one on PATH, else the pinned one, fetched if need be."""
    if asked:
        return _checked(Path(asked))
    on_path = shutil.which("aws-lambda-rie")
    return Path(on_path) if on_path else fetch_rie(host_arch())


def fetch_rie(arch: str) -> Path:
    """Return the pinned RIE for ``arch`` from the cache, put there first if need be."""
    path = cache_dir() / "rie" / f"{RIE_SHA256[arch][:16]}-{arch}" / "aws-lambda-rie"
    try:
        return cached_file(path, lambda made: _take_out(arch, made), lambda found: _is_sound(arch, found))
    except Failure as failure:
        raise Failure(
            f"the Runtime Interface Emulator could not be had: {failure}\n"
            "Fetch aws-lambda-rie yourself (github.com/aws/aws-lambda-runtime-interface-emulator/releases) "
            "and name it with --rie PATH, or put it on PATH."
        ) from None


def _is_sound(arch: str, found: Path) -> bool:
    """Tell whether it is RIE still, to the last byte (8 to 13 ms), and may be run."""
    return os.access(found, os.X_OK) and sha256_of(found) == RIE_SHA256[arch]


def _take_out(arch: str, made: Path) -> None:
    with zipfile.ZipFile(fetch_wheel(SAM_CLI)) as wheel:
        made.write_bytes(wheel.read(f"samcli/local/rapid/aws-lambda-rie-{arch}"))
    found = sha256_of(made)
    if found != RIE_SHA256[arch]:
        raise Failure(f"aws-lambda-rie-{arch} in {SAM_CLI.requirement} has sha256 {found}, not {RIE_SHA256[arch]}")
    made.chmod(0o755)


def _checked(path: Path) -> Path:
    if not path.is_file():
        raise usage(f"--rie {path}: no such file")
    if not os.access(path, os.X_OK):
        raise usage(f"--rie {path}: not executable (chmod +x)")
    return path.resolve()
