"""The top of the report: what was run, what went wrong with the run itself, and whether work was left behind.

In: the run document. Out: lines of rich Text.
"""

from typing import Any

from rich.text import Text

from afterglow_collector.sites import by_site, lingering_of
from afterglow_collector.words import counted, printable

DETAIL_SHOWN = 200  # characters of a log line
LOG_LINES_SHOWN = 5


def title_of(document: dict[str, Any]) -> Text:
    """Return what was run, and with what."""
    run = document["run"]
    agent = document["environments"][0]["agent"] if document["environments"] else None
    title = Text(f"Afterglow {agent}" if agent else "Afterglow", "bold").append(f"  {printable(run['handler'])}")
    freezer = f"frozen by {run['freezer']}" if run["freezer"] != "none" else "never frozen"
    calls = counted(len(document["invocations"]), "invocation")
    facts = [
        f"Python {_version(run['python'])}",
        f"{run['memory_mb']} MB",
        f"timeout {run['timeout_s']:g} s",
        calls,
        freezer,
    ]
    return title.append("  " + " · ".join(facts), "dim not bold")


def _version(python: str) -> str:
    """Return the version alone, of ``3.11`` or ``/usr/bin/python3 (3.11)``."""
    return python.rpartition("(")[2].rstrip(")")


def problem_of(document: dict[str, Any]) -> list[Text]:
    """Return why the run could not do what was asked of it."""
    problem = document["run"]["problem"]
    return [_bad(printable(problem)), Text()] if problem else []


def last_words_of(document: dict[str, Any]) -> list[Text]:
    """Return the end of the function's log, where a call failed without the handler's own error for an answer."""
    mute = document["run"]["problem"] or any(_is_mute(call) for call in document["invocations"])
    lines = [_detail("log: " + line) for line in document["run"]["logs"][-LOG_LINES_SHOWN:]] if mute else []
    return [*lines, Text()] if lines else []


def _is_mute(call: dict[str, Any]) -> bool:
    """Return whether only the log can tell more."""
    return bool(call["caller"]) and call["caller"]["outcome"] not in ("ok", "error")


def _detail(words: str) -> Text:
    shown = printable(words).strip()[:DETAIL_SHOWN]
    return Text("  " + shown, "dim", no_wrap=True, overflow="ellipsis")


def _bad(words: str) -> Text:
    return Text("✗ ", "red bold").append(words, "red bold")


def verdict_of(document: dict[str, Any]) -> Text:
    """Return the one sentence that the run was made for."""
    calls = counted(len(document["invocations"]), "invocation")
    findings = lingering_of(document)
    if findings:
        pieces = counted(len(findings), "piece of work was", "pieces of work were")
        lines = counted(len(by_site(findings)), "call site")
        return Text(f"{pieces} left behind in {calls}, from {lines}.", "yellow bold")
    if document["run"]["layer"] is None:
        return Text("Run without the layer: this is what the caller saw; nobody looked for lingering work.")
    if not any(environment["runtime"] for environment in document["environments"]):
        words = "The hook in the runtime was not heard, so whether work was left behind is not known."
        return Text(words + " Does the function set PYTHONPATH? Then attach it by the exec wrapper.", "yellow")
    dropped = any(sum(entry["dropped"].values()) for entry in document["losses"].values())
    words = _nothing_left(document["invocations"])
    if dropped:
        return Text(f"{words} But some facts were dropped (see below), so it may have gone unseen.", "yellow")
    return Text(words, "green bold")


def _nothing_left(invocations: list[dict[str, Any]]) -> str:
    """Return it for those whose handler returned: of the others nothing can be said."""
    returned = [call for call in invocations if call["status"] in ("ok", "error")]
    if len(returned) == len(invocations):
        return f"No work was left behind in {counted(len(invocations), 'invocation')}."
    if not returned:
        return "No handler returned, so there was no work to leave behind."
    return f"No work was left behind in the {counted(len(returned), 'invocation')} that returned."
