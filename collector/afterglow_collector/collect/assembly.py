"""Puts the service together from its settings and its data folder, and brings it back to where it was.

In: Options, a way to post to the event loop. Out: Parts, ready to be started. StartError says what is in the way.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from afterglow.emf import Emitter
from afterglow_collector.collect import frames
from afterglow_collector.collect.counts import Counts
from afterglow_collector.collect.digest import DigestError, SettingsError
from afterglow_collector.collect.entries import BATCH, CLOSE, EntryError, decode_close
from afterglow_collector.collect.exposition import make_exposition
from afterglow_collector.collect.intake import Bounds, Intake, Pass
from afterglow_collector.collect.journal import Journal
from afterglow_collector.collect.options import Options
from afterglow_collector.collect.outbox import Outbox
from afterglow_collector.collect.publisher import Passing, Publisher
from afterglow_collector.collect.replay import Report, last_begun, replay
from afterglow_collector.collect.segments import SUFFIX
from afterglow_collector.collect.segments import put_aside as put_bytes_aside
from afterglow_collector.collect.service import Post, Service
from afterglow_collector.collect.state import Rules, State, StateError
from afterglow_collector.collect.store import (
    Folders,
    Restored,
    StoreError,
    load_state,
    open_folders,
    open_outbox,
    refuse_old_files,
)
from afterglow_collector.collect.tokens import TokenError, Tokens
from afterglow_collector.sinks import Policy, SinkRunner
from afterglow_collector.sinks.allowance import Allowance
from afterglow_collector.sinks.contract import RECORD, Sink
from afterglow_collector.sinks.cursor import CursorError, put_aside
from afterglow_collector.sinks.spec import SpecError, allowance_of, make_sinks

LOG = logging.getLogger(__name__)

VOLATILE = "volatile"
"""The folder within the data folder when nothing is durable: the journal's numbers would not fit otherwise."""


class StartError(Exception):
    """The service cannot be started: says why. ``usage``: what was asked for cannot be meant."""

    def __init__(self, words: str, *, usage: bool = False) -> None:
        super().__init__(words)
        self.usage = usage


class Parts(NamedTuple):
    """What runs beside the event loop, and the service in it."""

    service: Service
    journal: Journal | None
    publisher: Publisher
    runners: list[SinkRunner]
    lock: int

    def start(self) -> None:
        """Start the threads."""
        if self.journal is not None:
            self.journal.start()
        self.publisher.start()
        for runner in self.runners:
            runner.start()


def assemble(options: Options, environ: Mapping[str, str], post: Post) -> Parts:
    """Open everything, restore the state, replay the journal."""
    try:
        tokens = Tokens(options.tokens, options.token_file)
        sinks = [(sink, allowance_of(text)) for text in options.sink for sink in make_sinks(text, environ)]
        durable = options.durability == "disk"
        folders, lock = open_folders(options.data if durable else options.data / VOLATILE)
        refuse_old_files(folders)
        core = _assembled(options, sinks, folders, post)
        core.intake.senders = lambda: len(tokens)
        service = Service(options, core.intake, core.publisher, tokens, post)
        connections = service.connections
        service.troubles = lambda: [words for runner in core.runners if (words := runner.trouble()) is not None]
        service.expose = make_exposition(core.intake, core.publisher, core.runners, lambda: len(connections))
        return Parts(service, core.intake.journal, core.publisher, core.runners, lock)
    except SpecError as error:
        raise StartError(str(error), usage=True) from None
    except (TokenError, StoreError, StateError) as error:
        raise StartError(str(error)) from None
    except OSError as error:
        raise StartError(f"--data {options.data}: {error}") from None


class _Core(NamedTuple):
    """What works on the data folder."""

    intake: Intake
    publisher: Publisher
    runners: list[SinkRunner]


def _assembled(options: Options, sinks: list[tuple[Sink, Allowance]], folders: Folders, post: Post) -> _Core:
    outbox = open_outbox(folders)
    for words in outbox.damage:
        LOG.error("outbox: %s", words)
    _check_names([sink.name for sink, _ in sinks])
    runners = [_runner(sink, outbox, folders.cursors, most) for sink, most in sinks]
    emitter = Emitter(options.namespace, options.dimensions, options.emf_values)
    publisher = Publisher(outbox, folders.checkpoints, emitter, runners)
    restored = _restored(options, folders, _whole_until(outbox, runners))
    passes_on = any(RECORD in sink.kinds for sink, _ in sinks)
    state = restored.state
    intake = Intake(state, _bounds(options), Counts(), None, _pass_now(publisher) if passes_on else None)
    if options.durability == "disk":
        publisher.resume(restored.outbox_seq, min((runner.acknowledged_seq for runner in runners), default=0))
        _replay(folders.journal, intake, publisher)
        publisher.resumed()
        # A journal that was lost must not take its numbers again.
        state.lsn = max(state.lsn, outbox.last_mark.lsn, last_begun(folders.journal))
        intake.journal = Journal(folders.journal, state.lsn, post)
    else:
        state.lsn = outbox.last_mark.lsn
    _tell_of_the_lost(outbox, runners, publisher.restored)
    if passes_on:
        intake.publishing_bytes = lambda: publisher.waiting_bytes
        intake.pass_on = lambda lsn, at_ms, body: publisher.put(Passing(lsn, at_ms, body))
    return _Core(intake, publisher, runners)


def _runner(sink: Sink, outbox: Outbox, cursors: Path, allowance: Allowance) -> SinkRunner:
    """Return the sink's runner; one whose cursor is damaged begins with the oldest entry that there is."""
    try:
        return SinkRunner(sink, outbox, cursors, Policy(allowance=allowance))
    except CursorError as error:
        aside = put_aside(error.path)
        words = "%s; it is kept as %s. Sink %s begins with the oldest entry that there is, and may send some again"
        LOG.error(words, error, aside.name, sink.name)  # noqa: TRY400 - the disk's fault, no bug's
        return SinkRunner(sink, outbox, cursors, Policy(allowance=allowance))


def _whole_until(outbox: Outbox, runners: list[SinkRunner]) -> int:
    """Return the entry up to which the outbox has all that some sink has not had."""
    had = min((runner.acknowledged_seq for runner in runners), default=0)
    lost = outbox.missing(had)
    return lost[0][0] - 1 if lost else max(outbox.last_seq, had)


def _tell_of_the_lost(outbox: Outbox, runners: list[SinkRunner], restored: int) -> None:
    """Say what the outbox has lost for good, and have its numbers go on behind all cursors."""
    if restored:
        LOG.warning("outbox: %d entries that the disk has lost were made again from the journal", restored)
    for first, last in outbox.missing(min((runner.acknowledged_seq for runner in runners), default=0)):
        LOG.error("outbox: entries %d to %d are lost", first, last)
    furthest = max(runners, key=lambda runner: runner.acknowledged_seq, default=None)
    if furthest is not None and furthest.acknowledged_seq > outbox.last_seq:
        seq = furthest.acknowledged_seq
        words = "outbox: it ends with entry %d, and sink %s has had entry %d: what lies between is lost; numbers go on"
        LOG.error(words, outbox.last_seq, furthest.name, seq)
        outbox.skip_to(seq)


def _check_names(names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise StartError(f"--sink: two sinks are called {twice[0]!r}; they would share a cursor", usage=True)


def _bounds(options: Options) -> Bounds:
    return Bounds(
        unpacked_bytes=options.max_unpacked_kb << 10,
        ratio=options.max_ratio,
        line_bytes=options.max_line_kb << 10,
        ahead_ms=1000 * options.max_ahead_s,
        grace_ms=1000 * options.grace_s,
        queue_bytes=options.max_queue_mb << 20,
        windows=options.max_windows,
    )


def _restored(options: Options, folders: Folders, whole_until: int) -> Restored:
    rules = Rules(options.metrics, 1000 * options.grace_s, 3_600_000 * options.ids_kept_h, options.max_environments)
    if options.durability != "disk":
        return Restored(State(rules), 0, [])
    restored = load_state(folders, rules, whole_until)
    for words in restored.wrong:
        LOG.error("%s", words)
    return restored


def _pass_now(publisher: Publisher) -> Pass:
    return lambda lsn, at_ms, body: publisher.publish(Passing(lsn, at_ms, body))


def _replay(folder: Path, intake: Intake, publisher: Publisher) -> None:
    """Bring the state to where the journal ends, and the outbox with it."""
    report, count, from_lsn = Report([], []), 0, intake.state.lsn
    for frame in replay(folder, from_lsn, report):
        count += 1
        try:
            _apply(frame, intake, publisher)
        except SettingsError as error:
            raise StartError(f"journal: entry {frame.number} cannot be read: {error}") from None
        except (DigestError, EntryError) as error:
            copy = put_bytes_aside(folder / f"entry{SUFFIX}", frame.number, frame.payload)
            words = f"journal: entry {frame.number} is whole, and cannot be understood: {error}; copied to {copy}"
            report.damaged.append(f"{words}, and left out")
    for words in report.mended:
        LOG.warning("%s", words)
    for words in report.damaged:
        LOG.error("%s", words)
    if from_lsn or count:
        LOG.info("restored the state of entry %d, and %d entries after it", from_lsn, count)


def _apply(frame: frames.Frame, intake: Intake, publisher: Publisher) -> None:
    if frame.kind == BATCH:
        intake.replay(frame.number, frame.payload)
    elif frame.kind == CLOSE:
        publisher.publish(intake.state.apply_close(frame.number, decode_close(frame.payload)))
    else:
        raise EntryError(f"its kind is {frame.kind}")
