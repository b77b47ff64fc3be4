"""One claim judged, and how a finding is told in a line. In: a finding. Out: text."""

from pathlib import Path
from typing import Any, NamedTuple

Finding = dict[str, Any]


class Verdict(NamedTuple):
    """One claim, and whether it holds."""

    aspect: str
    about: str  # the sort of work, or what is claimed
    holds: bool
    reason: str  # what is true, and what was said


def place_of(finding: Finding) -> str:
    """Return file:line of a finding's call site, without its folder."""
    where = finding.get("where") or {}
    return f"{Path(where.get('file') or '?').name}:{where.get('line')}"


def tell(finding: Finding) -> str:
    """Say a finding in a line."""
    return (
        f"{finding['what']} {finding.get('name')} at {place_of(finding)} by #{finding.get('invocation')}, "
        f"{finding['outcome']} ({finding.get('state')})"
    )
