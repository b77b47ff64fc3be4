"""Findings of the same kind from the same place, merged across environments.

In: Finding records. Out: a summary per fingerprint whenever it has changed: counts, first and last seen, an
example request id. The fingerprint is made of the function, the kind and the call site.

A finding is told again when its outcome changes, and each telling names in ``changes`` what it adds, so counts
come right whatever the order. A summary carries both: what is new since the last one, which adds up, and all
so far, which reads well.
"""

import json
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, NamedTuple

CHANGES = ("lingering", "resumed", "lost", "ended")

MAX_SITES = 10_000
"""A site takes about 1 KB. What comes beyond is counted in ``dropped``; the metrics have it all the same."""


class Site(NamedTuple):
    """What makes two findings the same."""

    function_name: str  # the Lambda function
    kind: str
    what: str
    file: str | None
    line: int | None
    function: str | None


class Merged:
    """What is known of one site."""

    __slots__ = ("at_ms", "counts", "example", "first_seen_ms", "last_seen_ms", "new")

    def __init__(self, first_seen_ms: int) -> None:
        self.counts = [0, 0, 0, 0]
        self.new = [0, 0, 0, 0]
        self.first_seen_ms = first_seen_ms
        self.last_seen_ms = first_seen_ms
        self.example: dict[str, Any] = {}  # of the finding last seen
        self.at_ms = 0  # when a record last came: decides what is forgotten


class Findings:
    """The sites, longest silent first."""

    def __init__(self, max_sites: int = MAX_SITES) -> None:
        self.max_sites = max_sites
        self.dropped = 0
        self._sites: dict[Site, Merged] = {}

    def __len__(self) -> int:
        """Return how many sites are known."""
        return len(self._sites)

    def add(self, function_name: str, finding: Any, now_ms: int) -> None:
        """Take one Finding in."""
        site = Site(function_name, finding.kind, finding.what, finding.file, finding.line, finding.function)
        merged = self._sites.pop(site, None)
        if merged is None:
            if len(self._sites) >= self.max_sites:
                self.dropped += 1
                return
            merged = Merged(finding.at_ms)
        self._sites[site] = merged  # now the last one
        merged.at_ms = now_ms
        for index, change in enumerate(CHANGES):
            count = finding.changes.count(change)
            merged.new[index] += count
            merged.counts[index] += count
        merged.first_seen_ms = min(merged.first_seen_ms, finding.at_ms)
        if finding.at_ms >= merged.last_seen_ms:
            merged.last_seen_ms = finding.at_ms
            merged.example = _example(finding)

    def changed(self) -> bool:
        """Say whether there is anything to tell."""
        return any(any(merged.new) for merged in self._sites.values())

    def take_changed(self) -> list[tuple[int, str]]:
        """Return (last seen, line of JSON) for each site with something new, which is then no longer new."""
        told: list[tuple[int, str]] = []
        for site, merged in self._sites.items():
            if any(merged.new):
                told.append((merged.last_seen_ms, json.dumps(_summary(site, merged), separators=(",", ":"))))
                merged.new = [0, 0, 0, 0]
        return told

    def summaries(self) -> Iterator[dict[str, Any]]:
        """Return all that is known of each site, the one last heard of first."""
        for site, merged in reversed(self._sites.items()):
            yield _summary(site, merged)

    def forget_silent(self, before_ms: int) -> None:
        """Forget the sites that nothing was heard of since then."""
        for site, merged in list(self._sites.items()):
            if merged.at_ms >= before_ms:
                return
            if not any(merged.new):
                del self._sites[site]

    def to_plain(self) -> list[Any]:
        """Return all of it as plain values."""
        return [
            [*site, m.counts, m.new, m.first_seen_ms, m.last_seen_ms, m.example, m.at_ms]
            for site, m in self._sites.items()
        ]

    def restore(self, plain: list[Any]) -> None:
        """Begin with what ``to_plain`` returned."""
        for *site, counts, new, first_seen_ms, last_seen_ms, example, at_ms in plain:
            merged = self._sites[Site(*site)] = Merged(first_seen_ms)
            merged.counts, merged.new, merged.last_seen_ms = list(counts), list(new), last_seen_ms
            merged.example, merged.at_ms = dict(example), at_ms


def _example(finding: Any) -> dict[str, Any]:
    names = ("request_id", "name", "state", "outcome", "reason", "wall_ms", "frozen_ms")
    return {name: getattr(finding, name) for name in names}


def fingerprint(site: Site) -> str:
    """Return 16 hex digits that are the same for the same site, on any machine."""
    return blake2b(json.dumps(site).encode(), digest_size=8).hexdigest()


def _summary(site: Site, merged: Merged) -> dict[str, Any]:
    return {
        "afterglow": "finding-summary",
        "v": 1,
        "fingerprint": fingerprint(site),
        **site._asdict(),
        "new": dict(zip(CHANGES, merged.new, strict=True)),
        "counts": dict(zip(CHANGES, merged.counts, strict=True)),
        "first_seen_ms": merged.first_seen_ms,
        "last_seen_ms": merged.last_seen_ms,
        "example": merged.example,
    }
