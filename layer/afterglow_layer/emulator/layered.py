"""Gives the emulated function a layer at /opt, which nobody else on this machine sees.

In: the layer's folder. Out: a launcher, the words to put before a command so that it runs where /opt is that
folder. A small process holds the mount namespace open until ``close``; namespaces and mounts are the local run's.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import afterglow_layer
from afterglow_layer.failure import Failure
from afterglow_layer.local import inside, mounts

EXTENSIONS = Path("/opt/extensions")

HOLDER = (
    "import sys; sys.path.insert(0, sys.argv[1]); from afterglow_layer.emulator import layered; layered.hold_open()"
)

IN_FOLDER = ["/bin/sh", "-c", 'cd "$0" && exec "$@"']
"""Entering a mount namespace leads to its root (setns(2)); this leads back to where the process should start."""


class LayeredOpt:
    """A mount namespace of its own, in which /opt is the layer and, beside it, what this machine has there."""

    def __init__(self, layer: Path, cwd: Path | None) -> None:
        """Make it; Failure where this machine does not allow that."""
        self._staging = tempfile.mkdtemp(prefix="afterglow-emulator-")
        root = str(Path(afterglow_layer.__file__).parent.parent)
        self._holder = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", HOLDER, root, str(layer.resolve()), self._staging],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._holder.stdout is not None  # noqa: S101 - stdout=PIPE above
        said = self._holder.stdout.readline().decode().strip()
        if said != "up":
            self.close()
            raise Failure(f"no namespace for the layer can be made here: {said}")
        self.launcher = [*_nsenter(self._holder.pid), *IN_FOLDER, str((cwd or Path()).resolve())]

    def close(self) -> None:
        """Let the namespace go, once nobody is in it any more."""
        self._holder.communicate()
        shutil.rmtree(self._staging, ignore_errors=True)


def extensions_of(layer: Path) -> list[Path]:
    """Return where the layer's extensions will be: each file in the folder, by name, as Lambda starts them."""
    folder = layer / "extensions"
    names = sorted(path.name for path in folder.iterdir() if not path.is_dir()) if folder.is_dir() else []
    return [EXTENSIONS / name for name in names]


def managed_python(handler: str = "app.handler", python: str = sys.executable) -> list[str]:
    """Return the command that starts a function as Lambda's managed Python runtimes do: /opt/python is read."""
    return [python, str(Path(inside.__file__).with_name("runtime_bootstrap.py")), handler]


def hold_open() -> None:
    """Be the holder: enter, mount, say so, and wait for the end of standard input."""
    try:
        inside.enter_namespaces()
        mounts.mount_opt(Path(sys.argv[2]), Path(sys.argv[3]))
        Path(sys.argv[3]).rmdir()  # what was mounted there has moved; nobody may live to do it later
    except OSError as error:
        sys.stdout.write(f"{error}\n")
        return
    sys.stdout.write("up\n")
    sys.stdout.flush()
    sys.stdin.read()


def _nsenter(pid: int) -> list[str]:
    """Return nsenter(1) into the holder's namespaces; into its user namespace only when it needed one."""
    theirs, ours = (Path(f"/proc/{who}/ns/user").readlink() for who in (pid, "self"))
    user = [] if theirs == ours else [f"--user=/proc/{pid}/ns/user", "--preserve-credentials"]
    return ["nsenter", *user, f"--mount=/proc/{pid}/ns/mnt", "--"]
