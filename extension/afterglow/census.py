"""Who belongs to the function. In: the runtime's pid. Out: its tree of processes, each as it is now.

To find a tree one has to look at everybody, since the kernel need not tell children (CONFIG_PROC_CHILDREN). But
everybody has been looked at before, unless the kernel has given out a new pid since: then only those are new that
had not been there. It gives pids out in ascending order, and says which was the last (/proc/loadavg, proc(5)).
Whoever was no descendant of the runtime does not become one.
"""

from afterglow.kept import KeptFile
from afterglow.proc import ProcStat, descent_of, list_pids, living, parse_newest_pid, parse_stat, read_stat


class Census:
    """What was found at the looks before. ``reads`` is how many processes the last one read."""

    def __init__(self, proc: str = "/proc") -> None:
        self.proc = proc
        self.reads = 0
        self._newest = KeptFile(f"{proc}/loadavg")
        self._newest_pid: int | None = None
        self._settled = False
        self._root: int | None = None
        self._root_file: KeptFile | None = None
        self._kin: set[int] = set()
        self._strangers: set[int] = set()

    def tree(self, root: int) -> list[ProcStat]:
        """Return the living processes below ``root``, itself first; empty when it is gone."""
        if root != self._root:
            self._begin(root)
        pids = self._to_read(parse_newest_pid(self._newest.read() or ""))
        self.reads = len(pids)
        stats = [self._read(pid) for pid in pids]
        everyone = {stat.pid: stat for stat in stats if stat is not None}
        family = descent_of(root, everyone)
        self._kin = {stat.pid for stat in family}
        self._strangers |= everyone.keys() - self._kin
        if not family:
            self._begin(None)
        return living(family)

    def _to_read(self, newest_pid: int | None) -> list[int]:
        """Return the pids that a look has to read: those of the family, and those that nobody has looked at."""
        before, self._newest_pid = self._newest_pid, newest_pid
        if newest_pid is None or before is None or newest_pid < before:
            self._strangers.clear()  # pids are given out from the beginning again: one of these may have a new owner
        elif newest_pid == before and self._settled:
            return sorted(self._kin)
        # A pid counts as given out a moment before its process can be seen: twice the same, and nobody is on the way.
        self._settled = newest_pid is not None and newest_pid == before
        present = set(list_pids(self.proc))
        self._strangers &= present
        return sorted(present - self._strangers)

    def _begin(self, root: int | None) -> None:
        self._root, self._newest_pid, self._settled = root, None, False
        self._strangers.clear()
        if self._root_file is not None:
            self._root_file.close()
        self._root_file = None if root is None else KeptFile(f"{self.proc}/{root}/stat")

    def _read(self, pid: int) -> ProcStat | None:
        if pid == self._root and self._root_file is not None:
            return parse_stat(self._root_file.read() or "")
        return read_stat(pid, self.proc)
