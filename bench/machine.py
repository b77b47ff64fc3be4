"""The facts that figures hang on: machine, versions, load, commit. Out: lines for the foot of a section."""

import os
import platform
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent


def facts(command: str) -> list[str]:
    """Return what, when and on which machine, read now: before the measurement loads the machine itself."""
    made = f"`{command}`, {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC, {read_commit()}"
    machine = f"{len(os.sched_getaffinity(0))} cores ({read_cpu()}), {platform.system()} {platform.release()}"
    return [made, f"{machine}, Python {platform.python_version()}"]


def load_around(before: float) -> str:
    """Return the line that tells whether the machine did other work meanwhile."""
    return f"load average {before:.1f} before, {os.getloadavg()[0]:.1f} after"


def read_cpu(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's name, or the architecture where the kernel gives none."""
    for line in cpuinfo.read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def read_commit(root: Path = ROOT) -> str:
    """Return the commit that was measured, and whether the code that goes into the layer differed from it."""
    commit = _git(root, "rev-parse", "--short", "HEAD")
    if not commit:
        return "no git repository"
    changed = _git(root, "status", "--porcelain", "--", "extension", "layer")
    return f"commit {commit}{' with changes' if changed else ''}"


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
