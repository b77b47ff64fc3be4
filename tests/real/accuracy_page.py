"""The page about accuracy. In: what was judged of each function. Out: Markdown."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from tests.real.cases import Case
from tests.real.verdict import Verdict

from afterglow.version import __version__


class Judged(NamedTuple):
    """One function, and how what was said of it was judged."""

    case: Case
    versions: dict[str, str]
    verdicts: tuple[Verdict, ...]
    problem: str | None  # it was not judged, and why

    @property
    def misses(self) -> list[Verdict]:
        return [each for each in self.verdicts if not each.holds]


ASPECTS = {
    "found": "Work that was left behind has a finding (recall)",
    "no false alarm": "A finding stands for work that was left behind (precision)",
    "line": "Its call site is the function's own line",
    "outcome": "Its outcome is what became of it",
    "own line": "An error, or a timeout, is put to the function's own line",
    "idle": "Where nothing was under way, nothing is said to be lost or to be joined",
    "advice": "The words are right for the library",
}
HEAD = """# Accuracy

{functions} functions with real libraries, {good} of them well-behaved, are run by `afterglow run`, frozen between their
invocations as on Lambda; most send something to a server that writes down what came, and when. What the report says is
held against that: an event that invocation 2 sent and that arrived in invocation 3 must be a finding of invocation 2,
resumed; one that arrived before the return must be none. `make accuracy` measures anew and writes this page;
[tests/real](../tests/real) has the functions, each with what is true of it and why.

Afterglow {version}, the functions on Python {python}. A claim is one thing that the report says, or ought to say, of
one invocation, of one finding, or of one function.
"""


def share(verdicts: Iterable[Verdict]) -> tuple[int, int, str]:
    """Return how many hold, of how many, and that in per cent."""
    every = list(verdicts)
    hold = sum(each.holds for each in every)
    return hold, len(every), f"{100 * hold / len(every):.0f} %" if every else ""


def table(head: str, rows: Iterable[tuple[str, list[Verdict]]]) -> list[str]:
    """Return a table of shares."""
    lines = [f"| {head} | true | of | |", "| --- | ---: | ---: | ---: |"]
    return lines + ["| {} | {} | {} | {} |".format(name, *share(verdicts)) for name, verdicts in rows if verdicts]


def by_about(aspect: str, verdicts: list[Verdict]) -> list[tuple[str, list[Verdict]]]:
    """Split an aspect's verdicts by what they are about, the most frequent first."""
    counts = Counter(each.about for each in verdicts if each.aspect == aspect)
    return [
        (about, [each for each in verdicts if (each.aspect, each.about) == (aspect, about)])
        for about, _ in counts.most_common()
    ]


def shape(case: Case) -> str:
    """Return in a few words what is true of a function."""
    sorts = [work.sort for work in case.work if not work.may]
    return "; ".join(dict.fromkeys([*sorts, *(own.kind for own in case.own_lines)])) or "well-behaved"


def libraries(judged: Judged) -> str:
    """Return the pinned libraries, as they were installed."""
    names = [re.split(r"[=\[]", each)[0] for each in judged.case.libraries]
    return ", ".join(f"{name} {judged.versions.get(name.lower(), '')}".strip() for name in names) or "standard library"


def grade(judged: Judged) -> str:
    """Return right, weak (found, but not told rightly) or wrong."""
    if judged.problem:
        return "not judged"
    if not judged.misses:
        return "right"
    return "wrong" if {each.aspect for each in judged.misses} & {"found", "no false alarm", "idle"} else "weak"


def same_misses(misses: list[Verdict], text: Callable[[Verdict], str]) -> list[str]:
    """Return a line per aspect: its first reason, and how many more there are."""
    lines = []
    for aspect in dict.fromkeys(each.aspect for each in misses):
        these = [each for each in misses if each.aspect == aspect]
        more = f" (and {len(these) - 1} more like it)" if len(these) > 1 else ""
        lines.append(f"{aspect}: {text(these[0])}{more}")
    return lines


def page(results: list[Judged], python: str) -> str:
    """Return the whole page."""
    verdicts = [verdict for each in results for verdict in each.verdicts]
    good = sum(each.case.well_behaved for each in results)
    head = HEAD.format(functions=len(results), good=good, version=__version__, python=python)
    lines = [head, "## In short", ""]
    lines += table("claim", ((text, [v for v in verdicts if v.aspect == name]) for name, text in ASPECTS.items()))
    lines += ["", "## By kind", "", "Work that was left behind, and was found, by what it is:", ""]
    lines += table("work", by_about("found", verdicts))
    lines += ["", "Findings that stand for such work, by what they were called:", ""]
    lines += table("finding", by_about("no false alarm", verdicts))
    lines += ["", "Own lines, by what went wrong:", ""]
    lines += table("error", by_about("own line", verdicts))
    lines += [
        "",
        "## The functions",
        "",
        "| function | libraries | what is true | claims that hold |",
        "| --- | --- | --- | ---: |",
    ]
    for each in results:
        hold, of, _ = share(each.verdicts)
        link = f"[{each.case.name}](../tests/real/functions/{each.case.name}/app.py)"
        told = "not judged" if each.problem else f"{hold} of {of}" if of else "nothing said"
        lines.append(f"| {link} | {libraries(each)} | {shape(each.case)} | {told} |")
    lines += ["", "## Misses", ""]
    for each in results:
        if each.misses or each.problem:
            lines += [f"### {each.case.name}", "", each.case.truth.strip().replace("\n", " "), ""]
            lines += [f"- {line}" for line in same_misses(each.misses, lambda v: v.reason)]
            lines += [f"- {each.problem}"] if each.problem else []
            lines += ["", each.case.limits] if each.case.limits else []
            lines.append("")
    if not any(each.misses or each.problem for each in results):
        lines.append("None.")
    return "\n".join(lines).rstrip() + "\n"


def short_list(results: list[Judged]) -> str:
    """Return function, what is true, and how it was told: for who works on it."""
    grades = Counter(grade(each) for each in results)
    lines = [", ".join(f"{count} {name}" for name, count in grades.items()), ""]
    for each in results:
        lines.append(f"- **{each.case.name}** ({shape(each.case)}): {grade(each)}. True: {each.case.truth.strip()}")
        lines += [f"  - {line}" for line in same_misses(each.misses, lambda v: v.reason)]
        lines += [f"  - {each.problem}"] if each.problem else []
    return "\n".join(lines).replace("\n\n", "\n") + "\n"
