"""The sink ``stdout``: lines on standard output, for a container's log driver or for a look."""

import errno
import sys
from collections.abc import Mapping

from afterglow_collector.sinks.contract import LINES, SinkBatch, SinkRetry
from afterglow_collector.sinks.descriptor import ShortWriteError, writable, write_lines


class Stdout:
    """Writes each entry as a line of its own."""

    name = "stdout"

    def __init__(self, fd: int | None = None, kinds: frozenset[str] = LINES) -> None:
        self.fd = sys.stdout.fileno() if fd is None else fd
        self.kinds = kinds

    def send(self, batch: SinkBatch) -> Mapping[str, int]:
        """Write the lines; a pipe that nobody reads, or a full disk behind it, is a reason to try again."""
        entries, refused = writable(batch.entries)
        try:
            write_lines(self.fd, [entry.payload for entry in entries])
        except ShortWriteError as short:
            reason = errno.errorcode.get(short.errno or 0, str(short))
            raise SinkRetry(reason, remaining=entries[short.lines :], refused=refused) from short
        return refused
