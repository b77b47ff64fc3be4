"""Frozen time: recognising it and subtracting it. In: clock readings. Out: windows; no I/O, no clocks.

Lambda freezes the whole environment between invocations while CLOCK_MONOTONIC runs on. A process sees that
as a wait that took longer than it asked for. A starved process sees the same, so the time that we waited for
a CPU which somebody else had (``starved``) comes off first.
"""

from typing import NamedTuple

from afterglow.starved import Starved

SLACK_NS = 15_000_000  # a timer on a busy machine is a few ms late; a freeze that short changes nothing
KEPT_WINDOWS = 256


class Window(NamedTuple):
    """One freeze, on CLOCK_MONOTONIC: not before ``from_ns``, begun by ``latest_from_ns``, over by ``to_ns``."""

    from_ns: int
    latest_from_ns: int
    to_ns: int
    awake_ns: int = 0  # somewhere in there we worked, or starved, for so long

    @property
    def frozen_ns(self) -> int:
        """How long the freeze lasted."""
        return self.to_ns - self.from_ns - self.awake_ns


def window_of(slept_ns: int, asked_ns: int | None, woke_ns: int, starved: Starved) -> Window | None:
    """Return the freeze that a poll from ``slept_ns`` to ``woke_ns`` with timeout ``asked_ns`` went through.

    ``asked_ns`` None means that no timeout was set: then nothing tells a freeze from a wait. Who sleeps does not
    starve: that comes at the end, once there is something to wake up for.
    """
    if asked_ns is None:
        return None
    if woke_ns - slept_ns - asked_ns - starved.most_ns < SLACK_NS:
        return None
    return Window(slept_ns, slept_ns + asked_ns, woke_ns - starved.least_ns)


def window_at_work(began_ns: int, now_ns: int, cpu_ns: int, starved: Starved) -> Window | None:
    """Return the freeze that came over us between two looks at the clocks, while we had work to do.

    Such work is CPU, or starving; what is left over is a freeze. Where in the interval it lay is not known.
    """
    if now_ns - began_ns - cpu_ns - starved.most_ns < SLACK_NS:
        return None
    awake_ns = cpu_ns + starved.least_ns
    return Window(began_ns, began_ns + awake_ns, now_ns, awake_ns)


class FrozenTime:
    """All freezes of this environment: recent ones by window, older ones forgotten."""

    __slots__ = ("windows",)

    def __init__(self) -> None:
        self.windows: list[Window] = []

    def add(self, window: Window | None) -> None:
        """Note one more freeze, if it is one; windows come in order."""
        if window is None:
            return
        self.windows.append(window)
        del self.windows[:-KEPT_WINDOWS]

    def exclude(self, start_ns: int, end_ns: int) -> None:
        """Note that the environment was awake from ``start_ns`` to ``end_ns``: an invocation ran, or Init did.

        A wait for the disk looks like a freeze to us; inside an invocation it was none.
        """
        kept: list[Window] = []
        for window in self.windows:
            if window.to_ns <= start_ns or window.from_ns >= end_ns:
                kept.append(window)
            else:
                kept += _parts_outside(window, start_ns, end_ns)
        self.windows = kept[-KEPT_WINDOWS:]  # each may have become two

    def between_ns(self, start_ns: int, end_ns: int) -> int:
        """Return how much of the interval the environment lay frozen."""
        return sum(_within_ns(window, start_ns, end_ns) for window in self.windows)

    def lay_between(self, start_ns: int, end_ns: int) -> bool:
        """Return whether a freeze lay between two moments awake: most of one, for when it began is known vaguely."""
        return any(2 * _within_ns(window, start_ns, end_ns) > window.frozen_ns for window in self.windows)


def _within_ns(window: Window, start_ns: int, end_ns: int) -> int:
    """Return how much of a freeze lay in the interval: all of it if it fits, none if it fits beside, else what can."""
    room_ns = min(end_ns, window.to_ns) - max(start_ns, window.from_ns)
    beside_ns = max(start_ns - window.from_ns, window.to_ns - end_ns)
    if room_ns <= 0 or room_ns < window.frozen_ns <= beside_ns:
        return 0
    return min(window.frozen_ns, room_ns)


def _parts_outside(window: Window, start_ns: int, end_ns: int) -> list[Window]:
    """Return what is left of a freeze that reaches into a time awake.

    It lay before if it fits there, after if it fits there alone; if neither, there were two.
    """
    before_ns = _within_ns(window, window.from_ns, start_ns)
    after_ns = min(window.frozen_ns - before_ns, max(0, window.to_ns - end_ns))
    parts = []
    if before_ns:
        awake_ns = start_ns - window.from_ns - before_ns
        parts.append(Window(window.from_ns, min(window.latest_from_ns, start_ns), start_ns, awake_ns))
    if after_ns:
        awake_ns = window.to_ns - end_ns - after_ns
        parts.append(Window(end_ns, max(window.latest_from_ns, end_ns), window.to_ns, awake_ns))
    return parts
