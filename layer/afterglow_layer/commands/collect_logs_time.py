"""Which stretch of time ``--since`` and ``--until`` mean. In: their words, the time. Out: a Stretch."""

import re
from datetime import datetime, timezone

from afterglow_collector.logs.pull import Stretch
from afterglow_layer.failure import usage

DEFAULT_SINCE = "24h"
UNITS_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
AGO = re.compile(r"([1-9]\d{0,5})([mhdw])\Z")


def stretch_of(since: str | None, until: str | None, begun_ms: int | None, now_ms: int) -> Stretch:
    """Return the stretch; ``begun_ms`` is where the cursor began. Failure if there is no time in it."""
    to_ms = time_of("--until", until, now_ms) if until else now_ms
    from_ms = time_of("--since", since or DEFAULT_SINCE, now_ms)
    if begun_ms is not None:
        if since and from_ms < begun_ms:
            raise usage("--cursor begins after --since: leave --since out, or remove the file to begin anew")
        from_ms = begun_ms  # the same words again, 2w ago, mean a later time than they did: to go on is what is meant
    if not from_ms < to_ms <= now_ms:
        raise usage("--since must lie before --until, and neither of them in the future")
    return Stretch(from_ms, to_ms, now_ms)


def time_of(option: str, text: str, now_ms: int) -> int:
    """Return a time, said as ISO 8601 (UTC where it does not say) or as how long ago."""
    ago = AGO.match(text)
    if ago is not None:
        return now_ms - int(ago[1]) * UNITS_MS[ago[2]]
    try:
        at = datetime.fromisoformat(text.replace("Z", "+00:00"))  # 3.10 does not read the Z
    except ValueError:
        raise usage(f"{option} {text!r}: write 30m, 24h, 7d, 2w, or 2026-11-21T08:00Z") from None
    return int((at if at.tzinfo else at.replace(tzinfo=timezone.utc)).timestamp() * 1000)
