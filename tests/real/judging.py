"""Whether what a run said is true: each claim judged by itself.

In: a `Played`, and its pieces of work. Out: verdicts, one per claim, of these aspects:
`found` (work left behind has a finding), `line` (its call site is right), `outcome`, `no false alarm` (a finding
stands for such work), `idle` (nothing is said to be lost, or to be joined, where nothing was), `own line` (of an error
or a timeout), `advice` (the words that a report on this library must and must not have).
"""

import re
from typing import Any

from tests.real.own_lines import judge_own_line
from tests.real.playing import Played
from tests.real.truth import Piece, late, pieces
from tests.real.verdict import Finding, Verdict, place_of, tell

LOSS = r"join\(\)|was not done|nothing will try it again"
CLAIMS = ("done", "resumed", "lost")
"""What claims that work was left behind. That a thread lives on, as housekeeping does, may be said in another way."""


def lingering(document: dict[str, Any]) -> list[Finding]:
    """Return the findings that claim unfinished work."""
    return [finding for finding in document.get("findings") or [] if finding["kind"] == "lingering"]


def fits(finding: Finding, piece: Piece) -> bool:
    """Whether a finding can be about this piece."""
    return finding.get("invocation") == piece.invocation and (not piece.work.what or finding["what"] in piece.work.what)


def pair(wanted: list[Piece], findings: list[Finding]) -> tuple[list[tuple[Piece, Finding | None]], list[Finding]]:
    """Give each piece the finding that fits it best, and return the findings that fit no piece."""
    pairs: list[tuple[Piece, Finding | None]] = []
    for each in wanted:
        fitting = [finding for finding in findings if fits(finding, each)]
        fitting.sort(key=lambda f, each=each: (place_of(f) not in each.work.where, f["outcome"] not in each.outcomes))  # type: ignore[misc]
        pairs.append((each, fitting[0] if fitting else None))
    told = [finding for _, finding in pairs]
    left = [
        finding
        for finding in findings
        if finding["outcome"] in CLAIMS
        and finding not in told
        and not any(fits(finding, each) and finding["outcome"] in each.outcomes for each in wanted)
    ]
    return pairs, left


def judge_work(played: Played) -> list[Verdict]:
    """Judge the findings against the pieces of work."""
    findings = lingering(played.document)
    pairs, left = pair(pieces(played), findings)
    verdicts: list[Verdict] = []
    for piece, finding in pairs:
        sort, told = piece.work.sort, f"#{piece.invocation} {piece.why}"
        if piece.must:
            verdicts.append(Verdict("found", sort, finding is not None, told))
        if finding is not None and (piece.must or piece.outcomes):
            said = f"{told}; said: {tell(finding)}"
            verdicts.append(Verdict("no false alarm", finding["what"], True, said))
            right = piece.work.may or place_of(finding) in piece.work.where
            verdicts.append(Verdict("line", sort, right, f"{said}; true: {', '.join(piece.work.where)}"))
            true = finding["outcome"] in piece.outcomes
            verdicts.append(Verdict("outcome", sort, true, f"{said}; true: {' or '.join(sorted(piece.outcomes))}"))
    verdicts += [Verdict("no false alarm", each["what"], False, f"nothing such is true: {tell(each)}") for each in left]
    return verdicts


def judge_idle(played: Played) -> list[Verdict]:
    """Where nothing is under way, nothing may be said to be lost or to be joined."""
    if any(each.must for each in pieces(played)):
        return []
    lost = [tell(each) for each in played.document.get("findings") or [] if each["outcome"] == "lost"]
    if lost:
        return [Verdict("idle", played.case.name, False, f"nothing was lost; said: {lost[0]}")]
    match = re.search(LOSS, played.flat)
    return [Verdict("idle", played.case.name, match is None, f"the report says {match[0]!r}" if match else "silent")]


def judge_words(played: Played) -> list[Verdict]:
    """Judge the report's words."""
    case, verdicts = played.case, []
    lacks = case.report_lacks or ((r"Call join\(\)",) if case.hands_on else ())
    if case.hands_on and not any(each.must for each in pieces(played)):
        return []  # this time nothing was left behind, so nothing need be advised
    for pattern in case.report_has:
        holds = re.search(pattern, played.flat) is not None
        verdicts.append(Verdict("advice", case.name, holds, f"the report {'has' if holds else 'lacks'} {pattern!r}"))
    for pattern in lacks:
        match = re.search(pattern, played.flat)
        verdicts.append(
            Verdict("advice", case.name, match is None, f"the report says {pattern!r}: {match is not None}")
        )
    return verdicts


def judge(played: Played) -> list[Verdict]:
    """Judge everything that a run said."""
    verdicts = judge_work(played) + judge_words(played)
    verdicts += [] if played.case.own_lines else judge_idle(played)
    for wanted in played.case.own_lines:
        verdicts += judge_own_line(played, wanted)
    return verdicts


def void(played: Played) -> str | None:
    """Return why the function did not do what its case says, so that nothing can be judged; None: it did."""
    invocations = played.document.get("invocations") or []
    if len(invocations) < played.case.invocations:
        return f"{len(invocations)} of {played.case.invocations} invocations: {played.errors.strip()[-400:]}"
    failing = {each.invocation for each in played.case.own_lines}
    for each in invocations:
        caller = each["caller"]
        if (caller["outcome"] == "ok") == (each["invocation"] in failing):
            return f"#{each['invocation']} is {caller['outcome']}: {caller['error_type']} at {each.get('error_origin')}"
    if played.case.hands_on and not any(each.must for each in pieces(played)):
        return "nothing was left behind at any return"
    return next((f"this order should be there before the return: {each}" for each in late(played)), None)
