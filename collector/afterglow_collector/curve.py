"""Memory over time, in characters: against what is configured, up to the end.

In: points [ms before the end, MB], oldest first, and the limit in MB. Out: lines of text. Pure.
"""

from afterglow_collector.words import MB, in_mb, in_ms

LEVELS = "▁▂▃▄▅▆▇█"
ROWS = 4
GUTTER = 10  # columns for the scale

Points = list[list[float]]


def resampled(points: Points, columns: int) -> list[float]:
    """Return one value per column: the highest in its share of the time, or the last known."""
    if not points:
        return []
    begin, values = points[0][0], [0.0] * columns
    for at_ms, value in points:
        column = min(columns - 1, int((at_ms - begin) / (-begin) * columns)) if begin < 0 else 0
        values[column] = max(values[column], value)
    for column in range(1, columns):
        values[column] = values[column] or values[column - 1]
    return values


def spark(points: Points, limit_mb: float, columns: int) -> str:
    """Return one line, as high as the limit."""
    return "".join(_cell(value, 0.0, limit_mb) for value in resampled(points, columns))


def chart(points: Points, limit_mb: float, columns: int, end: str = "the end") -> list[str]:
    """Return a few lines with a scale, and the limit drawn where memory went past it; ``end`` names the right."""
    width = columns - GUTTER
    values = resampled(points, width)
    top_mb = max([limit_mb, *values])
    step_mb = top_mb / ROWS
    limit_row = min(ROWS - 1, int(limit_mb / step_mb))
    lines = []
    for row in reversed(range(ROWS)):
        label = in_mb(top_mb * MB) if row == ROWS - 1 else in_mb(limit_mb * MB) if row == limit_row else ""
        blank = "┄" if row == limit_row else " "
        bar = "".join(_cell(value, row * step_mb, step_mb) or blank for value in values)
        lines.append(f"{label:>{GUTTER - 2}} {'┤' if label else '│'}{bar}".rstrip())
    begin = f"{in_ms(-points[0][0])} before"
    lines.append(" " * GUTTER + begin + end.rjust(width - len(begin)))
    return lines


def _cell(value: float, from_mb: float, step_mb: float) -> str:
    """Return the character that fills a cell up to the value; none where the value does not reach it."""
    share = (value - from_mb) / step_mb
    if share <= 0:
        return ""
    return LEVELS[min(len(LEVELS), max(1, round(share * len(LEVELS)))) - 1]
