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

from afterglow_collector.collect.checkpoint import read_checkpoint
from afterglow_collector.collect.outbox import Outbox
from afterglow_collector.collect.state import Rules, State


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


def open_outbox(folders: Folders) -> Outbox:
    """Open the outbox; StoreError when it cannot be read."""
    try:
        return Outbox(folders.outbox)
    except OSError as error:
        raise StoreError(f"the outbox cannot be opened: {error}") from None


def load_state(folders: Folders, rules: Rules) -> tuple[State, list[str]]:
    """Return the state of the youngest readable checkpoint, and what was wrong with younger ones."""
    checkpoint, wrong = read_checkpoint(folders.checkpoints)
    return State.from_plain(rules, checkpoint.lsn, checkpoint.state), wrong
