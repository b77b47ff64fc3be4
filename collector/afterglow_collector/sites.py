"""Findings by call site: the same line in ten invocations is one bug, not ten.

In: the findings of a run document. Out: the same, grouped. Pure.
"""

from typing import Any


def lingering_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the run's findings of work that went on after the return."""
    return [finding for finding in document["findings"] if finding["kind"] == "lingering"]


def others_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the run's findings of every other kind."""
    return [finding for finding in document["findings"] if finding["kind"] != "lingering"]


WORST_FIRST = ("lost", "resumed", "open", "done")


def by_site(findings: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return the findings in groups of one kind and one call site, in order of first appearance.

    Where no call site is known, the name stands in for it.
    """
    groups: dict[tuple[object, ...], list[dict[str, Any]]] = {}
    for finding in findings:
        where = finding["where"]
        site = (where["file"], where["line"]) if where["file"] else (finding["name"],)
        groups.setdefault((finding["kind"], finding["what"], *site), []).append(finding)
    return list(groups.values())


def worst(findings: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the finding of a group that shows best why it matters."""
    return min(findings, key=lambda f: WORST_FIRST.index(f["outcome"]) if f["outcome"] in WORST_FIRST else 0)
