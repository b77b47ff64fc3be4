"""Reads the journal back after a stop or a crash, and mends its files.

In: the journal's folder, the lsn of the checkpoint. Out: the entries after it, in order, and a Report in words.

A torn end is what a crash in a write leaves: it was never acknowledged, and is cut off. Damage with whole entries
behind it is the disk's fault: the bytes are copied to ``quarantine/`` and told, with the lsns that are missing,
and everything that can be read is used.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from afterglow_collector.collect import frames
from afterglow_collector.collect.segments import Segment, list_segments, sync_folder, truncate

QUARANTINE = "quarantine"


class Report(NamedTuple):
    """What reading found, for the log; filled while the entries are being read."""

    mended: list[str]
    damaged: list[str]


def replay(folder: Path, after_lsn: int, report: Report) -> Iterator[frames.Frame]:
    """Return the entries after ``after_lsn``, by lsn; what is wrong goes into the report."""
    expected = after_lsn + 1
    segments = list_segments(folder)
    followings = [*segments[1:], None]
    for segment, following in zip(segments, followings, strict=False):  # none follows none
        end = following.first if following else None
        if end is not None and end <= expected:
            continue  # all of it is in the checkpoint, or was written again
        for frame in _frames_of(segment, report, last=following is None):
            if frame.number < expected or (end is not None and frame.number >= end):
                continue
            if frame.number > expected:
                report.damaged.append(f"journal: entries {expected} to {frame.number - 1} are missing")
            expected = frame.number + 1
            yield frame


def _frames_of(segment: Segment, report: Report, *, last: bool) -> Iterator[frames.Frame]:
    data = segment.path.read_bytes()
    for found in frames.scan(data):
        if isinstance(found, frames.Frame):
            yield found
        elif found.torn and last:
            truncate(segment.path, found.start)
            size = found.end - found.start
            report.mended.append(f"{segment.path.name}: cut off {size} bytes of an entry that was never acknowledged")
        elif not found.torn:
            _quarantine(segment, data, found, report)
        # Torn and not last: a group that failed; the next segment has its lsns. If it has not, they are reported.


def _quarantine(segment: Segment, data: bytes, damage: frames.Damage, report: Report) -> None:
    folder = segment.path.parent / QUARANTINE
    folder.mkdir(exist_ok=True)
    copy = folder / f"{segment.path.stem}-{damage.start}.bin"
    copy.write_bytes(data[damage.start : damage.end])
    sync_folder(folder)
    size = damage.end - damage.start
    report.damaged.append(
        f"{segment.path.name}: {size} bytes at {damage.start} are damaged (CRC); copied to {QUARANTINE}/{copy.name}"
    )
