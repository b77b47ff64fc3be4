"""Files of the kernel's that are used again and again. In: a path. Out: their text of the moment, for one call each.

``pread`` at 0 has the kernel write the file anew. Opening and closing it each time costs twice the call itself.
A file of a process that has ended is unreadable for good, whoever has its pid then.
"""

import os

LONGEST_BYTES = 65_536


class KeptFile:
    """Opened at the first look, then kept open; where that fails, tried again at the next."""

    __slots__ = ("_descriptor", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor = -1

    def read(self) -> str | None:
        """Return the text. None: the process has ended, or the file is not there, or not ours to read."""
        try:
            if self._descriptor < 0:
                self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            return os.pread(self._descriptor, LONGEST_BYTES, 0).decode("ascii", "replace")
        except OSError:
            return None

    def write(self, data: bytes) -> bool:
        """Write to it, which it is opened for if this comes first. False: the process has ended, or it is forbidden."""
        try:
            if self._descriptor < 0:
                self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC)
            return os.write(self._descriptor, data) == len(data)
        except OSError:
            return False

    def close(self) -> None:
        """Let go of it; a later look opens it anew."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
