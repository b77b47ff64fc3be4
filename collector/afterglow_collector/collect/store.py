"""Opens what lies in the data folder.

In: the folder, the rules. Out: its folders, locked; the outbox; the state of the last checkpoint.

    data/lock            held by the one collector that works here
    data/journal/        what was taken in; quarantine/ has what could not be read
    data/checkpoints/    the state, twice
    data/outbox/         what waits for the sinks
    data/cursors/        how far each sink is
"""

import fcntl
import os
from pathlib import Path
from typing import NamedTuple

from afterglow_collector.collect.checkpoint import OUTBOX_SEQ, read_checkpoints
from afterglow_collector.collect.outbox import Outbox
from afterglow_collector.collect.segments import old_segment
from afterglow_collector.collect.state import Rules, State, StateDamagedError


class StoreError(Exception):
    """The data folder cannot be used: says why, and what to do."""


class Folders(NamedTuple):
    """The folders of one collector."""

    journal: Path
    checkpoints: Path
    outbox: Path
    cursors: Path


def open_folders(data: Path) -> tuple[Folders, int]:
    """Make the folders and lock them; return them with the lock's descriptor, to be kept open."""
    folders = Folders(data / "journal", data / "checkpoints", data / "outbox", data / "cursors")
    try:
        for folder in folders:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"--data {data}: {error.strerror}: {error.filename}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise StoreError(f"--data {data}: another collector works there; give each a folder of its own") from None
    return folders, lock


def refuse_old_files(folders: Folders) -> None:
    """StoreError if there is a file of the first format, whose frames had no salt: nothing of it is touched."""
    for folder in (folders.journal, folders.checkpoints, folders.outbox):
        path = old_segment(folder)
        if path is not None:
            raise StoreError(
                f"{path} is of an earlier version of Afterglow, and cannot be read by this one. Start that version "
                "once more, stop it in order when its sinks have sent all, and give this one an empty folder"
            )


def open_outbox(folders: Folders) -> Outbox:
    """Open the outbox; StoreError when it cannot be read."""
    try:
        return Outbox(folders.outbox)
    except OSError as error:
        raise StoreError(f"the outbox cannot be opened: {error}") from None


class Restored(NamedTuple):
    """A state, the number of the last outbox entry that it had published, and what was wrong with checkpoints."""

    state: State
    outbox_seq: int
    wrong: list[str]


def load_state(folders: Folders, rules: Rules, whole_until: int) -> Restored:
    """Return the state of the youngest checkpoint that can be read.

    Up to ``whole_until`` the outbox has all that a sink needs. If it has lost something that is older than the
    checkpoint, the one before is better: from there the journal makes it again. StateError if of another version.
    """
    wrong: list[str] = []
    youngest: Restored | None = None
    for found in read_checkpoints(folders.checkpoints):
        try:
            if isinstance(found, str):
                raise StateDamagedError(found)  # noqa: TRY301 - told as the others are
            state = State.from_plain(rules, found.lsn, found.state)
        except StateDamagedError as error:
            wrong.append(f"{error}; the one before it is used")
            continue
        restored = Restored(state, _seq(found.state.get(OUTBOX_SEQ)), wrong)
        if restored.outbox_seq <= whole_until:
            return restored
        youngest = youngest or restored
    return youngest or Restored(State(rules), 0, wrong)


def _seq(said: object) -> int:
    return said if type(said) is int and said >= 0 else 0
