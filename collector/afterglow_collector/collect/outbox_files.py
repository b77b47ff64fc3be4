"""What lies in the outbox's folder. In: the folder. Out: the groups in it, where each lies, and what cannot be read.

Damage is copied to ``quarantine/`` and told. At a file's end it is cut off as well, so that it is told once.
"""

from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec

from afterglow_collector.collect import frames
from afterglow_collector.collect.segments import Segment, list_segments, put_aside, truncate

Row = tuple[str, int, str]  # kind, event time in ms, payload
_Number = Annotated[int, msgspec.Meta(ge=0)]


class Mark(NamedTuple):
    """Which journal entry caused a group, and which of its groups it is."""

    lsn: int
    part: int


class Group(msgspec.Struct, array_like=True, gc=False):
    """A group as it lies in its frame, which has the number of its first entry."""

    lsn: _Number
    part: _Number
    rows: Annotated[list[Row], msgspec.Meta(min_length=1)]


_decoder = msgspec.msgpack.Decoder(Group)


class Place(NamedTuple):
    """Where a group lies."""

    first: int
    last: int
    path: Path
    start: int
    end: int
    salt: bytes
    mark: Mark

    def rows(self) -> list[Row] | None:
        """Read the group; None if it is not there any more, or damaged."""
        with self.path.open("rb") as file:
            file.seek(self.start)
            frame = frames.frame_at(file.read(self.end - self.start), 0, self.salt)
        group = None if frame is None else _group_of(frame)
        return None if group is None else group.rows


class Loaded(NamedTuple):
    """``places`` are in the order of their numbers, and do not overlap. ``damage`` is in words.

    ``segment`` is the last one, if there is one, and ``end`` where the next group goes in it.
    """

    places: list[Place]
    last_seq: int
    damage: list[str]
    segment: Segment | None
    end: int


def load_places(folder: Path) -> Loaded:
    """Read the folder."""
    found: list[Place] = []
    damage: list[str] = []
    last_seq = end = 0
    segment = None
    for segment in list_segments(folder):
        last_seq = max(last_seq, segment.first - 1)  # its groups may all be torn off
        end = _load_segment(segment, found, damage)
    places: list[Place] = []
    for place in sorted(found, key=lambda place: (place.first, place.mark)):
        if places and place.first <= places[-1].last:
            damage.append(
                f"{place.path.name}: entries {place.first} to {place.last} are there twice; the others are used"
            )
        else:
            places.append(place)
    return Loaded(places, max(last_seq, places[-1].last if places else 0), damage, segment, end)


def _load_segment(segment: Segment, places: list[Place], damage: list[str]) -> int:
    """Read one file; return where it ends."""
    data, path, end = segment.path.read_bytes(), segment.path, 0
    for found in frames.scan(data, segment.salt):
        group = _group_of(found) if isinstance(found, frames.Frame) else None
        if isinstance(found, frames.Frame) and group is not None:
            last, mark = found.number + len(group.rows) - 1, Mark(group.lsn, group.part)
            places.append(Place(found.number, last, path, found.start, found.end, segment.salt, mark))
            end = found.end
            continue
        size, copy = found.end - found.start, put_aside(path, found.start, data[found.start : found.end])
        what = "are no group" if isinstance(found, frames.Frame) else "are damaged bytes (CRC), or were never whole"
        damage.append(f"{path.name}: skipped {size} bytes at {found.start}: they {what}; copied to {copy}")
        if isinstance(found, frames.Damage) and found.torn:
            truncate(path, found.start)
        else:
            end = found.end
    return end


def _group_of(frame: frames.Frame) -> Group | None:
    try:
        group = _decoder.decode(frame.payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return group if 1 <= frame.number <= frames.MAX_NUMBER else None
