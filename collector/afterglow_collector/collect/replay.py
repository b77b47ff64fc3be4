"""Reads the journal back after a stop or a crash, and mends its files.

In: the journal's folder, the lsn of the checkpoint. Out: the entries after it, in order, and a Report in words.

What cannot be read is copied to ``quarantine/`` and told, with the lsns that are missing, and everything that can be
read is used. At the end of the last file lies what a crash in a write leaves; it is cut off, for the next write goes
there. Nobody can tell it from the end of an entry that the disk has lost, so no more is said than is known.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from afterglow_collector.collect import frames
from afterglow_collector.collect.segments import QUARANTINE, Segment, list_segments, put_aside, truncate

__all__ = ["QUARANTINE", "Report", "replay"]


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
        data, torn = segment.path.read_bytes(), None
        for found in frames.scan(data, segment.salt):
            if isinstance(found, frames.Damage):
                if found.torn:
                    torn = found
                else:
                    _see_to(segment, data, found, report)
                continue
            if found.number < expected or (end is not None and found.number >= end):
                continue
            _told_missing(expected, found.number, report)
            expected = found.number + 1
            yield found
        if torn is not None and (end is None or expected < end):
            _see_to(segment, data, torn, report, last=end is None)
        # Else it is what a failed write left: its numbers were given again, to what stands in the next segment.
        if end is not None:  # its name says that all entries before it had been durable
            _told_missing(expected, end, report)
            expected = max(expected, end)


def last_begun(folder: Path) -> int:
    """Return the highest lsn that was durable when the last segment was begun: its numbers are not given again."""
    return max((segment.first - 1 for segment in list_segments(folder)), default=0)


def _told_missing(first: int, behind: int, report: Report) -> None:
    if first < behind:
        report.damaged.append(f"journal: entries {first} to {behind - 1} are missing")


def _see_to(segment: Segment, data: bytes, damage: frames.Damage, report: Report, *, last: bool = False) -> None:
    """Put aside what could not be read; ``last``: nothing at all comes behind it, so it is cut off."""
    copy = _copied(segment.path, damage, data)
    words = f"{segment.path.name}: {damage.end - damage.start} bytes at {damage.start}"
    if damage.cut and last:
        words += " are an entry's beginning. A write that a crash cut short leaves that, and was never acknowledged"
        report.mended.append(f"{words}; if it was no crash, it may have been. Copied to {copy}, and cut off")
    else:
        entry = "" if damage.number is None else f" They were entry {damage.number}."
        doubt = " They may have been acknowledged." if last else ""
        report.damaged.append(f"{words} are damaged (CRC); copied to {copy}.{entry}{doubt}")
    if last:
        truncate(segment.path, damage.start)


def _copied(path: Path, damage: frames.Damage, data: bytes) -> str:
    try:
        return put_aside(path, damage.start, data[damage.start : damage.end])
    except OSError as error:
        if not damage.cut:
            raise  # an acknowledged entry may be in it: rather no start than that it goes
        return f"nowhere ({error.strerror})"
