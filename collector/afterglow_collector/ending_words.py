"""Bad endings in words: what happened, and how that is known.

In: failures. Out: strings. Nothing here reads or prints.
"""

import json
import re
from typing import Any

from afterglow_collector.failures import Failure
from afterglow_collector.known_errors import ANSWERED
from afterglow_collector.words import counted, listed

FATAL = ("Segmentation fault", "Aborted", "Bus error", "Illegal instruction", "Floating")
"""How faulthandler's words for a signal begin (CPython, Modules/faulthandler.c)."""

HEADLINES = {
    "timeout": "timed out after {timeout:g} s",
    "out-of-memory": "{was} killed for {its} memory, at {memory} MB",
    "aborted": "{was} cut off by the end of {its} environment",
    "unknown": "ended, and nobody saw how",
    "no-answer": "got no answer",
}
_JUST_GONE = ("", "failure", "releasefail", "Runtime.ExitError")
"""What is told of an Init whose runtime has just ended, without a word of its own."""
_EXIT = re.compile(r"Runtime exited (?:with error: )?(.+)$")


def subject(failure: Failure) -> str:
    """Return ``Invocation #2``, ``Invocations #1 and #2``, or the Init that was for them."""
    numbers = [f"#{call['invocation']}" for call in failure.calls]
    word = "invocation" if len(numbers) == 1 else "invocations"
    if failure.init:
        return f"Init, for {word} {listed(numbers)}," if numbers else "Init"
    return f"{word.capitalize()} {listed(numbers)}"


def cause_of(failure: Failure) -> str:
    """Return what the hook saw that led to it (docs/endings.md); "" where it saw nothing."""
    return str((failure.ending or {}).get("cause") or "")


def kind_of_cause(failure: Failure) -> str | None:
    """Return one word for what a handler gave back that is no answer: ``async``, ``generator``, ``result``."""
    cause = cause_of(failure)
    if cause.startswith(("async def", "coroutine of ")):
        return "async"
    if cause.startswith(("async generator", "generator")):
        return "generator"
    return "result" if cause.startswith("$") else None


def _no_answer(failure: Failure) -> str:
    """Return what is wrong with what the handler gave back, as the end of a sentence."""
    cause = cause_of(failure)
    subject_, _, maker = cause.partition(" of ")
    if subject_ == "coroutine":
        return f"got no answer: the handler returned a coroutine of {maker}(), which nobody awaits"
    if cause == "async def":
        return "got no answer: the handler is `async def`, and Lambda's Python runtime does not await it"
    if kind_of_cause(failure) == "generator":
        named = "" if maker.endswith(">") else f" of {maker}()"  # an expression has no name
        what = f"returned {_a(subject_)}{named}" if maker else f"is {_a(subject_)} (it has a `yield`)"
        return f"got no answer: the handler {what}, and Lambda's Python runtime does not run through it"
    path, _, kind = cause.rpartition(": ")
    if kind == "not found up to here":
        return "got no answer: the result cannot become JSON"
    return f"got no answer: the result cannot become JSON, for {path} is {kind if ' ' in kind else _a(kind)}"


def _a(word: str) -> str:
    return f"{'an' if word[:1].lower() in tuple('aeio') else 'a'} {word}"


def headline(failure: Failure, run: dict[str, Any]) -> str:
    """Return what happened, in one sentence without its full stop."""
    if failure.status == "timeout" and failure.init:
        return f"{subject(failure)} {_had_not_ended(failure)}"
    words = HEADLINES.get(failure.status)
    if words is not None:
        return (
            f"{subject(failure)} {words.format(**_number(failure), timeout=run['timeout_s'], memory=run['memory_mb'])}"
        )
    return f"{subject(failure)} {_ended(failure)}"


def _number(failure: Failure) -> dict[str, str]:
    """Return the words that differ between one and several."""
    several = len(failure.calls) > 1 and not failure.init
    return {"was": "were", "its": "their"} if several else {"was": "was", "its": "its"}


def _had_not_ended(failure: Failure) -> str:
    """Return after how long each try of an Init was given up: the extension tells ``timeout after 10.0 s``."""
    told = [ending["detail"] or "" for ending in (failure.ending, *failure.later) if ending]
    after = [words.partition("after ")[2] for words in told]
    if not all(after):
        return "had not ended when its time was up"
    first, *again = dict.fromkeys(after)
    return f"had not ended after {first}" + (f", nor, tried again, after {listed(again)}" if again else "")


def _ended(failure: Failure) -> str:
    detail = failure.detail or ""
    if is_fatal(failure):
        return f"crashed: {detail}"
    if failure.status == "error" and (detail in ANSWERED or kind_of_cause(failure)):
        return _no_answer(failure) if kind_of_cause(failure) else ANSWERED[detail].format(sizes=_sizes(failure))
    how, by = exit_of(failure), f" with {cause_of(failure)}()" if cause_of(failure) else ""
    if failure.status == "crash":
        return f"ended the runtime{by}{f' ({how})' if how else f': {detail}' if detail and not by else ''}"
    if failure.init and failure.ending and failure.ending["source"] == "observed" and detail in _JUST_GONE:
        return f"failed: the runtime ended{by} while it imported the handler's module{f' ({how})' if how else ''}"
    if failure.init and "." not in detail:
        return f"failed: the handler's module raised {detail}"
    return f"{_verb(failure, detail)} {detail}".rstrip(" :")


def _verb(failure: Failure, detail: str) -> str:
    if failure.init or (
        failure.status == "error" and "." in detail
    ):  # the platform's words have dots, a class has none
        return "failed:"
    return "raised" if failure.status == "error" else f"ended ({failure.status}):"


def _sizes(failure: Failure) -> str:
    """Return ``7,000,002 bytes; ``: how large the answers were, where the platform tells."""
    told = dict.fromkeys(int(call["produced_bytes"]) for call in failure.calls if call["produced_bytes"])
    return f"{listed([f'{size:,} bytes' for size in told])}; " if told else ""


def is_fatal(failure: Failure) -> bool:
    """Return whether it was a fatal signal, of which the runtime itself could still speak."""
    return failure.detail is not None and failure.detail.startswith(FATAL)


def exit_of(failure: Failure) -> str | None:
    """Return ``exit status 3`` or ``signal: killed``: the caller was told how the runtime's process ended."""
    for call in failure.calls:
        told = _EXIT.search(message_of(call))
        if told:
            return told.group(1)
    return None


def message_of(call: dict[str, Any]) -> str:
    """Return what the caller was told: the error's message, or the answer as it is."""
    answer = call["caller"]["answer"] if call["caller"] else ""
    try:
        return str(json.loads(answer)["errorMessage"])
    except (ValueError, TypeError, KeyError):
        return str(answer)  # no error document; or longer than what is kept of an answer


def raised_at(call: dict[str, Any]) -> str | None:
    """Return where the caller was told that it was raised: the last line of the answer's stack trace."""
    try:
        trace = json.loads(call["caller"]["answer"])["stackTrace"]
        return str(trace[-1]).strip()
    except (ValueError, TypeError, KeyError, IndexError):
        return None


RECOGNISED: dict[tuple[str, str], str] = {
    ("timeout", "platform"): "the platform calls it {detail}",
    ("timeout", "observed"): "the environment was shut down for it before the handler was imported",
    ("out-of-memory", "platform"): "the platform calls it {detail}",
    ("out-of-memory", "observed"): "{kills}",
    ("error", "hook"): "the runtime's client refused what the handler returned: {detail}",
    ("crash", "hook"): "the runtime said so as it died: {detail}",
    ("crash", "platform"): "the platform shut the environment down, and calls it {detail}",
    ("init-error", "hook"): "the hook saw the import raise it",
    ("init-error", "observed"): "the runtime was gone before its handler was imported",
    ("aborted", "observed"): "SHUTDOWN came while the handler ran: {detail}",
}


def recognised(failure: Failure) -> str | None:
    """Return how the ending is known, and who says so."""
    ending = failure.ending
    if ending is None:
        return None
    words = RECOGNISED.get((ending["status"], ending["source"]), "{detail}")
    if ending["status"] == "crash" and ending["source"] == "hook" and not is_fatal(failure):
        words = "the hook saw {detail} come out of the handler, and the runtime's client does not catch it"
    if cause_of(failure) and ending["status"] in ("crash", "init-error"):
        words = "the hook saw the call to {cause}, and then the process was gone"
    told = words.format(detail=ending["detail"], kills=_kills(ending), cause=ending.get("cause"))
    return f"{told} (source: {ending['source']})"


def _kills(ending: dict[str, Any]) -> str:
    if ending["oom_kills"]:
        return f"the kernel killed {counted(ending['oom_kills'], 'process', 'processes')} for memory"
    return "memory was all but full when the runtime's process went, before anybody ended it"
