"""Play the whole corpus, and write how much of what `afterglow run` says is true.

    python -m tests.real.accuracy [--out docs/accuracy.md] [--list FILE] [--jobs 2] [NAME …]

In: the functions. Out: a page with recall and precision, the table of functions, and every miss with what is true and
what was said; with --list, a short list of the same for who works on it.
"""

import argparse
import contextlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.real import packages
from tests.real.accuracy_page import Judged, page, short_list
from tests.real.cases import Case, all_cases
from tests.real.judging import judge, void
from tests.real.packages import MissingPackageError
from tests.real.playing import play
from tests.real.services import MissingServerError, Services

TRIES = 2
"""A function that did not do what its case says, as on a loaded machine, is played once more."""


def judged(case: Case, services: Services) -> Judged:
    """Play one function and judge what was said of it."""
    problem: str | None = None
    for _ in range(TRIES):
        try:
            played = play(case, services)
        except (MissingPackageError, MissingServerError) as missing:
            return Judged(case, {}, (), f"skipped: {missing}")
        problem = void(played)
        if problem is None:
            print(case.name, flush=True)
            return Judged(case, played.versions, tuple(judge(played)), None)
    print(f"{case.name}: {problem}", flush=True)
    return Judged(case, {}, (), f"did not do what its case says: {problem}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", nargs="*", help="functions (default: all)")
    parser.add_argument("--out", type=Path, default=Path("docs/accuracy.md"), help="the page (default: %(default)s)")
    parser.add_argument("--list", type=Path, help="write the short list here")
    parser.add_argument("--jobs", type=int, default=2, help="functions at a time (default: %(default)s)")
    options = parser.parse_args()
    cases = [case for case in all_cases() if not options.name or case.name in options.name]
    with contextlib.ExitStack() as stack:
        services = Services(stack)
        for name in sorted({name for case in cases for name in case.services}):
            with contextlib.suppress(MissingServerError):  # those that need it are skipped
                services.environment(name)
        with ThreadPoolExecutor(options.jobs) as pool:
            results = list(pool.map(lambda case: judged(case, services), cases))
    options.out.write_text(page(results, packages.version_of(packages.interpreter())))
    if options.list:
        options.list.write_text(short_list(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
