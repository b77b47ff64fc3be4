"""Starts one of the sandbox's processes, reads what it prints, and says when it has ended.

In: a command and callbacks, which come from threads. Out: a Process. Each one leads a session of its own, so
that a signal to its group reaches its children as well (RIE source, supervisor/local_supervisor.go, Setpgid).
"""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO


class Process:
    """A running process, its output and its end."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environ: Mapping[str, str],
        cwd: Path | None,
        on_line: Callable[["Process", str], None],
        on_exit: Callable[["Process", int], None],
    ) -> None:
        """Start it; OSError when the command cannot be executed."""
        self.name = name
        self._on_line = on_line
        self._on_exit = on_exit
        self._child = subprocess.Popen(
            list(command),
            env=dict(environ),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,  # One pipe keeps the order of what was printed.
            start_new_session=True,
        )
        self.pid = self._child.pid
        self.exit_code: int | None = None
        self.ended = threading.Event()
        assert self._child.stdout is not None  # noqa: S101 - stdout=PIPE above
        self._reader = threading.Thread(target=self._read, args=(self._child.stdout,), daemon=True)
        self._waiter = threading.Thread(target=self._wait, daemon=True)
        self._reader.start()
        self._waiter.start()

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to the process and to its children that stayed in its group."""
        with suppress(ProcessLookupError):  # Everyone in the group has ended.
            os.killpg(self.pid, number)

    def join(self) -> None:
        """Wait until output and end were reported; a grandchild may hold the pipe open, so not for ever."""
        self._waiter.join(timeout=2.0)
        self._reader.join(timeout=0.5)

    def _read(self, pipe: IO[bytes]) -> None:
        with pipe:
            for line in pipe:
                self._on_line(self, line.decode(errors="replace").rstrip("\n"))

    def _wait(self) -> None:
        self.exit_code = self._child.wait()
        self._on_exit(self, self.exit_code)
        self.ended.set()


def describe_exit(code: int) -> str:
    """Return the end as RIE words it: ``exit status 3``, ``signal: killed``."""
    if code >= 0:
        return f"exit status {code}"
    return f"signal: {signal.strsignal(-code) or -code}".lower()
