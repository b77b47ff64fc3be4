"""Keeps track of the sandbox's processes, and holds them still: a cgroup of their own, or signals.

In: the processes that the emulator starts. Out: who belongs to the sandbox, frozen or running. The cgroup is
the local run's (``afterglow_layer.local.cgroups``): nobody in there notices but by the clock, and nobody can
leave. Where none may be made, SIGSTOP does; a parent may then notice by SIGCHLD, and a process that starts as
we look is found in the next look.
"""

import contextlib
import itertools
import os
import signal
from typing import Protocol

from afterglow_layer.emulator import members
from afterglow_layer.local import cgroups
from afterglow_layer.local.freezer import CHOICES

_numbers = itertools.count(1)


class Hold(Protocol):
    """A grip on all processes of one sandbox. ``name`` is how it is called in the journal."""

    name: str

    def adopt(self, pid: int) -> None:
        """Take in a process that was just started; what it starts belongs to the sandbox as well."""

    def members(self) -> set[int]:
        """Return the living processes of the sandbox."""

    def freeze(self) -> None:
        """Return when all stand still; cgroups.FreezeError if they do not."""

    def thaw(self) -> None:
        """Let all run on."""

    def close(self) -> None:
        """Let go, after the last process has ended."""


class CgroupHold:
    """The kernel's freezer."""

    def __init__(self, group: cgroups.Home, runtime_api: str) -> None:
        self.name = group.kind
        self._group = group
        self._runtime_api = runtime_api

    def adopt(self, pid: int) -> None:
        """Move it in, and then whom it has started before we came to it: on a busy machine that takes a while."""
        self._move_in(pid)
        while strays := members.find_members({pid}, self._runtime_api) - self.members():
            for stray in strays:
                self._move_in(stray)

    def _move_in(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):  # It has ended already.
            (self._group.path / "cgroup.procs").write_text(str(pid))

    def members(self) -> set[int]:
        """Return whom the kernel lists, less those that have ended and wait for their parent."""
        listed = (self._group.path / "cgroup.procs").read_text().split()
        return members.living(int(pid) for pid in listed)

    def freeze(self) -> None:
        """Freeze the cgroup."""
        cgroups.freeze(self._group)

    def thaw(self) -> None:
        """Thaw the cgroup."""
        cgroups.thaw(self._group)

    def close(self) -> None:
        """Remove the cgroup."""
        cgroups.remove(self._group)


class SignalHold:
    """SIGSTOP and SIGCONT to everyone who is in a session of ours or has inherited the Runtime API's address."""

    name = "SIGSTOP"

    def __init__(self, runtime_api: str) -> None:
        self._runtime_api = runtime_api
        self._sessions: set[int] = set()

    def adopt(self, pid: int) -> None:
        """Remember it: it leads a session of its own."""
        self._sessions.add(pid)

    def members(self) -> set[int]:
        """Look through /proc."""
        return members.find_members(self._sessions, self._runtime_api)

    def freeze(self) -> None:
        """Stop the groups at once, then look for who left them, which takes some milliseconds."""
        for session in self._sessions:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(session, signal.SIGSTOP)
        members.stop_all(self._sessions, self._runtime_api)

    def thaw(self) -> None:
        """Let them go on."""
        members.signal_all(self.members(), signal.SIGCONT)

    def close(self) -> None:
        """Forget them."""
        self._sessions.clear()


def take_hold(freezer: str, runtime_api: str) -> Hold:
    """Return the best hold that ``freezer`` (a key of CHOICES) allows and this machine grants."""
    for home in cgroups.read_homes():
        if home.kind in CHOICES[freezer]:
            group = cgroups.make(home, f"afterglow-emulator-{os.getpid()}-{next(_numbers)}")
            if group is not None and _may_move_into(group):
                return CgroupHold(group, runtime_api)
    return SignalHold(runtime_api)


def _may_move_into(group: cgroups.Home) -> bool:
    """Tell whether processes may be moved in, which can be forbidden where making it was not."""
    if os.access(group.path / "cgroup.procs", os.W_OK):
        return True
    cgroups.remove(group)
    return False
