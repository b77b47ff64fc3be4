"""Threads that pile up: idle, each of them, but one more from the same line with each invocation. Out: facts.

In: the threads that were seen to start. Nothing is left undone by them; but the environment can only take so many.
"""

from __future__ import annotations

from afterglow_hook import current, origins
from afterglow_hook.callsite import spelled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from afterglow_hook.callsite import Site
    from afterglow_hook.origins import Origin

INVOCATIONS = 5
"""As many have each left a thread from the same line. A pool that fills up, or a client per region, is done before."""
AGAIN = 10
"""Told again when there are as many times as many."""

_told: dict[Site, int] = {}  # → how many threads there were then


def heaps() -> list[dict[str, Any]]:
    """Return a fact for each line whose threads pile up."""
    if len(origins.threads) < INVOCATIONS:
        return []
    by_site: dict[Site, list[Origin]] = {}
    for origin in list(origins.threads.values()):
        if origin.request_id is not None and origin.what == "thread" and not origin.is_extension:
            by_site.setdefault(origin.site, []).append(origin)
    return [fact for site, pile in by_site.items() if (fact := _fact(site, pile)) is not None]


def _fact(site: Site, pile: list[Origin]) -> dict[str, Any] | None:
    indexes = {origin.index for origin in pile}
    if len(indexes) < INVOCATIONS or current.index not in indexes or len(pile) < AGAIN * _told.get(site, 0):
        return None
    _told[site] = len(pile)
    return {"t": "pile", "what": "threads-left", "name": pile[-1].name, "site": spelled(site),
            "id": current.request_id, "n": current.index, "count": len(pile), "of": len(indexes)}  # fmt: skip
