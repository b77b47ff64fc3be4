"""The top of the report: what was run, what failed, and whether work was left behind.

In: the run document. Out: lines of rich Text.
"""

import json
from typing import Any

from rich.text import Text

from afterglow_collector.sites import by_site
from afterglow_collector.timeline import failed
from afterglow_collector.words import counted, in_ms, printable

FAILURES = {
    "error": "raised",
    "timeout": "timed out",
    "crash": "ended its runtime:",
    "no-answer": "got no answer",
}
DETAIL_SHOWN = 200  # characters of a log line, or of a failed call's answer
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


def troubles_of(document: dict[str, Any]) -> list[Text]:
    """Return what went wrong with the run, its Init and its calls, and then the end of the log."""
    lines = []
    if document["run"]["problem"]:
        lines.append(_bad(printable(document["run"]["problem"])))
    inits = [environment["init"] for environment in document["environments"] if environment["init"]]
    lines += [_bad(f"Init: the handler's module raised {i['error_type']}") for i in inits if i["error_type"]]
    lines += [line for call in document["invocations"] if failed(call) for line in _failure(call)]
    if lines and (document["run"]["problem"] or any(_is_mute(call) for call in document["invocations"])):
        lines += [_detail("log: " + line) for line in document["run"]["logs"][-LOG_LINES_SHOWN:]]
    return [*lines, Text()] if lines else []


def _is_mute(call: dict[str, Any]) -> bool:
    """Return whether the call failed without the handler's own error for an answer: then the log may tell."""
    return bool(call["caller"]) and call["caller"]["outcome"] not in ("ok", "error")


def _failure(call: dict[str, Any]) -> list[Text]:
    caller = call["caller"]
    number = f"Invocation #{call['invocation']}"
    if caller is None:
        return [_bad(f"{number}: {call['status']} {call['error_type'] or ''}".rstrip())]
    words = FAILURES.get(caller["outcome"], caller["outcome"])
    kind = (caller["error_type"] or call["error_type"]) if caller["outcome"] != "timeout" else None
    status = f", HTTP {caller['http_status']}" if caller["http_status"] not in (None, 200) else ""
    line = _bad(f"{number} {words}{f' {printable(kind)}' if kind else ''} ({in_ms(caller['took_ms'])}{status})")
    return [line, *(_detail(part) for part in _told(caller["answer"]) if part.strip())]


def _told(answer: str) -> list[str]:
    """Return what the answer says: the error's message and where it was raised, else the answer as it is."""
    try:
        error = json.loads(answer)
        return [str(error["errorMessage"]), *[str(line) for line in error.get("stackTrace") or []][-1:]]
    except (ValueError, TypeError, KeyError, AttributeError):
        return [answer]  # no error of the handler's; or longer than what is kept of an answer


def _detail(words: str) -> Text:
    shown = printable(words).strip()[:DETAIL_SHOWN]
    return Text("  " + shown, "dim", no_wrap=True, overflow="ellipsis")


def _bad(words: str) -> Text:
    return Text("✗ ", "red bold").append(words, "red bold")


def verdict_of(document: dict[str, Any]) -> Text:
    """Return the one sentence that the run was made for."""
    calls = counted(len(document["invocations"]), "invocation")
    findings = document["findings"]
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
    words = f"No work was left behind in {calls}."
    if dropped:
        return Text(f"{words} But some facts were dropped (see below), so it may have gone unseen.", "yellow")
    return Text(words, "green bold")
