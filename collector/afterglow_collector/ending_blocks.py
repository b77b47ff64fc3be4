"""The bad endings in the report: what happened, where and with what, how that is known, what to do about it.

In: the run document. Out: rich renderables, one block per failure.
"""

from pathlib import Path
from typing import Any, NamedTuple

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from afterglow_collector.advice import advise_on_ending
from afterglow_collector.busy import Busy, busy_before
from afterglow_collector.curve import chart, spark
from afterglow_collector.ending_words import (
    cause_of,
    exit_of,
    headline,
    is_fatal,
    kind_of_cause,
    message_of,
    raised_at,
    recognised,
)
from afterglow_collector.failures import Failure, failures_of
from afterglow_collector.frames import Frame, is_thread, parse_stacks, trimmed
from afterglow_collector.known_errors import kind_of_error
from afterglow_collector.sourced import quoted_lines, site_line
from afterglow_collector.words import MB, counted, in_mb, in_ms, listed, printable

THREADS_SHOWN = 4
ANSWER_SHOWN = 200  # characters
MOST_CURVE_COLUMNS = 60
LABEL_COLUMNS = 20  # indent, label and gap
TICK_MS = 10  # /proc counts CPU in such ticks
NEAR_THE_LIMIT = 0.8  # of the configured memory: the curve is drawn in full


class Page(NamedTuple):
    """What all blocks share."""

    document: dict[str, Any]
    source_root: Path | None
    columns: int


def ending_blocks(document: dict[str, Any], source_root: Path | None, columns: int) -> list[RenderableType]:
    """Return a block of lines for each failure."""
    page = Page(document, source_root, columns)
    blocks: list[RenderableType] = []
    for failure in failures_of(document):
        blocks += [*_block(failure, page, first=not blocks), Text()]
    return blocks


def _block(failure: Failure, page: Page, *, first: bool) -> list[RenderableType]:
    title = Text("✗ ", "red bold").append(printable(headline(failure, page.document["run"])), "red bold")
    title.append(_outside(failure), "dim not bold")
    site = failure.site
    lines: list[RenderableType] = [title]
    if site is not None:
        lines.append(Padding(site_line(site.place, site.line, site.function, page.source_root), (0, 0, 0, 4)))
        lines += quoted_lines(site.file, site.line, page.source_root)
    facts = _facts(failure, page, first=first)
    return [*lines, Padding(facts, (0, 0, 0, 4), expand=False)] if facts.row_count else lines


def _outside(failure: Failure) -> str:
    """Return what the callers saw of it: how long it took, and a status that is no 200."""
    callers = [call["caller"] for call in failure.calls if call["caller"]]
    told = [listed([in_ms(caller["took_ms"]) for caller in callers])] if callers else []
    told += [f"HTTP {s}" for s in dict.fromkeys(c["http_status"] for c in callers) if s not in (None, 200)]
    return f" ({', '.join(told)})" if told else ""


def _facts(failure: Failure, page: Page, *, first: bool) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True, width=11)
    table.add_column(overflow="fold")
    busy = busy_before(failure.ending, page.document["memory"]["samples"]) if failure.ending else None
    rows = [
        *_stacks(failure, page.source_root),
        *_stranger(failure),
        *_said(failure),
        *_cpu(busy),
        *_memory(failure, page.columns),
    ]
    known = recognised(failure)
    rows += [("Known from", Text(printable(known)))] if known else []
    advice = advise_on_ending(_kind(failure, busy), ends_environment=first and not failure.init)
    for label, sentence in zip(["What to do", ""], advice, strict=False):
        rows.append((label, Text(sentence, "bold" if label else "")))
    for label, words in rows:
        table.add_row(label, words)
    return table


def _kind(failure: Failure, busy: Busy | None) -> str:
    """Return the key of the advice."""
    told = next((call["caller"]["answer"] for call in failure.calls if call["caller"]), "")
    if known := kind_of_error(failure.detail, told):
        return known
    if failure.ending and _past_limit(failure.ending):
        return "out-of-memory"
    if failure.status == "timeout":
        return "timeout of Init" if failure.init else "timeout, busy" if busy and busy.computes else "timeout"
    if is_fatal(failure):
        return "crash"
    known = kind_of_cause(failure) if failure.status == "error" else None
    if known is not None:
        return known
    exits = failure.status == "crash" or (failure.init and (failure.detail == "SystemExit" or cause_of(failure)))
    return "exit" if exits else failure.status


def _stacks(failure: Failure, source_root: Path | None) -> list[tuple[str, Text]]:
    """Return the way to where it was, thread by thread; the first is known from the title if it is one line."""
    stacks = parse_stacks(failure.ending or {"stacks": []})
    rows = []
    for nth, frames in enumerate(stacks[:THREADS_SHOWN]):
        kept = trimmed(frames)
        if nth or len(kept) > 1 or is_thread(frames):
            rows += _stack(_label(frames, first=nth == 0, init=failure.init), kept, source_root)
    if len(stacks) > THREADS_SHOWN:
        rows.append(("", Text(f"and {counted(len(stacks) - THREADS_SHOWN, 'thread')} more", "dim")))
    return rows


def _stranger(failure: Failure) -> list[tuple[str, Text]]:
    """Return a word on a site that is nobody's of the function: its author will look for what led there."""
    ending = failure.ending
    if ending is None or not ending["stacks"] or ending.get("own") is None or any(ending["own"]):
        return []
    return [("", Text("no line of the function's own code was running", "dim"))]


def _label(frames: list[Frame], *, first: bool, init: bool) -> str:
    if is_thread(frames):
        return "In a thread" if first else "Thread"
    return "Import" if init else "Handler"


def _stack(label: str, frames: list[Frame], source_root: Path | None) -> list[tuple[str, Text]]:
    rows = []
    for nth, frame in enumerate(frames):
        text = Text("in " if nth == 0 else "from ", "dim")
        text.append_text(site_line(frame.place, frame.line, frame.function, source_root))
        if frame.times > 1:
            text.append(f", {frame.times} times over", "dim")
        rows.append((label if nth == 0 else "", text))
    return rows


def _said(failure: Failure) -> list[tuple[str, Text]]:
    """Return what was said of it: to the caller, or by the exception where a setting allows that to be told."""
    answer = _answer(failure)
    known = [failure.ending, *failure.calls]
    message = next((entry["error_message"] for entry in known if entry and entry["error_message"]), None)
    return answer if answer or message is None else [("Message", Text(printable(message)))]


def _answer(failure: Failure) -> list[tuple[str, Text]]:
    """Return what the caller was told, unless the title has said it."""
    told = printable(message_of(failure.calls[0])).strip() if failure.calls else ""
    if not told or failure.status == "timeout" or (failure.status == "crash" and exit_of(failure)):
        return []
    rows = [("Answer", Text(told[:ANSWER_SHOWN], no_wrap=True, overflow="ellipsis"))]
    at = raised_at(failure.calls[0]) if failure.site is None else None
    return [*rows, ("", Text(printable(at), no_wrap=True, overflow="ellipsis"))] if at else rows


def _cpu(busy: Busy | None) -> list[tuple[str, Text]]:
    if busy is None:
        return []
    verdict = "it computed" if busy.computes else "it waited" if busy.waits else "it did both"
    cpu = in_ms(busy.cpu_ms) if busy.cpu_ms else f"under {TICK_MS} ms"
    return [("CPU", Text(f"{cpu} of the {in_ms(busy.span_ms)} that were watched: {verdict}"))]


def _past_limit(ending: dict[str, Any]) -> bool:
    """Return whether more memory was taken than is configured, which nothing but a local run lets pass."""
    peak, limit_mb = ending["peak_rss_bytes"], ending["memory_mb"]
    return bool(peak and limit_mb and peak > limit_mb * MB)


def _memory(failure: Failure, columns: int) -> list[tuple[str, Text]]:
    """Return the curve against the configured size: in full where memory has to do with it, else in a line."""
    ending = failure.ending
    if ending is None or ending["peak_rss_bytes"] is None or not ending["memory_mb"]:
        return []
    peak, limit_mb = ending["peak_rss_bytes"] / MB, ending["memory_mb"]
    width = max(20, min(MOST_CURVE_COLUMNS, columns - LABEL_COLUMNS))
    words = f"{in_mb(ending['peak_rss_bytes'])} at most, of {limit_mb} MB"
    if _past_limit(ending) and failure.status != "out-of-memory":
        words += ": on AWS it would have been killed for it"
    points = ending["memory_curve"]
    if len(points) < 2:
        return [("Memory", Text(words))]
    if failure.status != "out-of-memory" and peak < NEAR_THE_LIMIT * limit_mb:
        return [("Memory", Text(spark(points, limit_mb, width // 3), "magenta").append(f"  {words}", "default"))]
    lines = [Text(line, "magenta", no_wrap=True) for line in chart(points, limit_mb, width)]
    return [("Memory", Text(words)), *(("", line) for line in lines)]
