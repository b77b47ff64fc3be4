"""Play functions of the corpus by hand, and show what is true, what was said, and how that was judged.

python -m tests.real.play NAME … [-- ARGUMENT OF afterglow run …]
"""

import contextlib
import sys

from tests.real.cases import all_cases
from tests.real.judging import judge, void
from tests.real.packages import MissingPackageError
from tests.real.playing import Played, play
from tests.real.services import MissingServerError, Services
from tests.real.truth import pieces, windows
from tests.real.verdict import tell


def show(played: Played, whole: bool) -> list[str]:
    """Return the lines that tell of one run."""
    begin_s = played.document["invocations"][0]["caller"]["sent_at_ms"] / 1000
    lines = [f"=== {played.case.name}: {played.case.truth}"]
    for each in windows(played.document):
        times = (each.returned_s - begin_s, each.frozen_s - begin_s, each.thawed_s - begin_s)
        status = played.document["invocations"][each.number - 1]["status"]
        lines.append("  #{} {} returned {:.3f} frozen {:.3f} thawed {:.3f}".format(each.number, status, *times))
    for arrival in played.arrivals:
        over = f"{arrival.answered_s - begin_s:.3f}" if arrival.answered_s else "never"
        names = ",".join(arrival.names)
        lines.append(f"  sink {arrival.arrived_s - begin_s:.3f} answered {over} {arrival.path[:60]} {names}")
    lines += [
        f"  true: #{each.invocation} {'must' if each.must else 'may'} {sorted(each.outcomes)} {each.why}"
        for each in pieces(played)
    ]
    lines += [f"  said: {tell(each)}" for each in played.document.get("findings") or []]
    if problem := void(played):
        lines.append(f"  VOID: {problem}")
    lines += [
        f"  {'ok   ' if each.holds else 'WRONG'} {each.aspect} [{each.about}] {each.reason}" for each in judge(played)
    ]
    return [*lines, played.report, played.errors] if whole else lines


def main() -> None:
    names, _, extra = " ".join(sys.argv[1:]).partition(" --")
    wanted = names.split()
    whole = "-v" in wanted
    cases = [case for case in all_cases() if case.name in wanted or not set(wanted) - {"-v"}]
    with contextlib.ExitStack() as stack:
        services = Services(stack)
        for case in cases:
            try:
                played = play(case, services, extra.split())
            except (MissingPackageError, MissingServerError) as missing:
                print(f"=== {case.name}: skipped, {missing}")
                continue
            if not played.document.get("invocations"):
                print(f"=== {case.name}: no document\n{played.report}\n{played.errors}")
                continue
            print("\n".join(show(played, whole)), flush=True)


if __name__ == "__main__":
    main()
