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
from afterglow_collector.collect.digest import DigestError
from afterglow_collector.collect.entries import BATCH, decode_close
from afterglow_collector.collect.exposition import make_exposition
from afterglow_collector.collect.intake import Bounds, Intake, Pass
from afterglow_collector.collect.journal import Journal
from afterglow_collector.collect.options import Options
from afterglow_collector.collect.publisher import Passing, Publisher
from afterglow_collector.collect.replay import Report, replay
from afterglow_collector.collect.service import Post, Service
from afterglow_collector.collect.state import Rules, State, StateError
from afterglow_collector.collect.store import Folders, StoreError, load_state, open_folders, open_outbox
from afterglow_collector.collect.tokens import TokenError, Tokens
from afterglow_collector.sinks import Policy, SinkRunner
from afterglow_collector.sinks.allowance import Allowance
from afterglow_collector.sinks.contract import RECORD, Sink
from afterglow_collector.sinks.spec import SpecError, allowance_of, make_sinks

LOG = logging.getLogger(__name__)

VOLATILE = "volatile"
"""The folder within the data folder when nothing is durable: the journal's numbers would not fit otherwise."""


class StartError(Exception):
    """The service cannot be started: says why."""


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
        core = _assembled(options, sinks, folders, post)
        service = Service(options, core.intake, core.publisher, tokens, post)
        connections = service.connections
        service.troubles = lambda: [words for runner in core.runners if (words := runner.trouble()) is not None]
        service.expose = make_exposition(core.intake, core.publisher, core.runners, lambda: len(connections))
        return Parts(service, core.intake.journal, core.publisher, core.runners, lock)
    except (TokenError, SpecError, StoreError, StateError) as error:
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
    runners = [SinkRunner(sink, outbox, folders.cursors, Policy(allowance=most)) for sink, most in sinks]
    emitter = Emitter(options.namespace, options.dimensions, options.emf_values)
    publisher = Publisher(outbox, folders.checkpoints, emitter, runners)
    state = _restored_state(options, folders)
    passes_on = any(RECORD in sink.kinds for sink, _ in sinks)
    intake = Intake(state, _bounds(options), Counts(), None, _pass_now(publisher) if passes_on else None)
    if options.durability == "disk":
        _replay(folders.journal, intake, publisher)
        state.lsn = max(state.lsn, outbox.last_mark.lsn)  # a journal that was lost must not take its numbers again
        intake.journal = Journal(folders.journal, state.lsn, post)
    else:
        state.lsn = outbox.last_mark.lsn
    if passes_on:
        intake.pass_on = lambda lsn, at_ms, body: publisher.put(Passing(lsn, at_ms, body))
    return _Core(intake, publisher, runners)


def _check_names(names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise StartError(f"--sink: two sinks are called {twice[0]!r}; they would share a cursor")


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


def _restored_state(options: Options, folders: Folders) -> State:
    rules = Rules(options.metrics, 1000 * options.grace_s, 3_600_000 * options.ids_kept_h, options.max_environments)
    if options.durability != "disk":
        return State(rules)
    state, wrong = load_state(folders, rules)
    for words in wrong:
        LOG.error("%s", words)
    return state


def _pass_now(publisher: Publisher) -> Pass:
    return lambda lsn, at_ms, body: publisher.publish(Passing(lsn, at_ms, body))


def _replay(folder: Path, intake: Intake, publisher: Publisher) -> None:
    """Bring the state to where the journal ends, and the outbox with it."""
    report, count, from_lsn = Report([], []), 0, intake.state.lsn
    for frame in replay(folder, from_lsn, report):
        count += 1
        try:
            _apply(frame, intake, publisher)
        except DigestError as error:
            raise StartError(f"journal: entry {frame.number} cannot be read: {error}") from None
    for words in report.mended:
        LOG.warning("%s", words)
    for words in report.damaged:
        LOG.error("%s", words)
    if from_lsn or count:
        LOG.info("restored the state of entry %d, and %d entries after it", from_lsn, count)


def _apply(frame: frames.Frame, intake: Intake, publisher: Publisher) -> None:
    if frame.kind == BATCH:
        intake.replay(frame.number, frame.payload)
    else:
        publisher.publish(intake.state.apply_close(frame.number, decode_close(frame.payload)))
