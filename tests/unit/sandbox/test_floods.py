"""Whatever the hook's socket says, the extension's books stay small, and metrics and ledger come out at SHUTDOWN."""

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.sandbox.api_server import Api, answer, event
from tests.unit.sandbox.test_agent import Environment
from tests.unit.sandbox.test_facts import CANCELLED, FACTS, WORK

from afterglow.boot import Handoff, hook_address, open_listener
from afterglow.farewell import on_shutdown
from afterglow.hearing import read_facts
from afterglow.lingering import MOST_PIECES
from afterglow.outlet import MOST_REASONS, OTHER_REASONS
from afterglow.parts import Parts
from afterglow.recorder import MOST_UNINVITED
from afterglow.runtime_api import RuntimeApi
from afterglow.settings import from_env
from afterglow_collector.collect.wire import Limits, decode_batch

MOST_GROWTH_BYTES = 24 << 20


class Flood:
    """An environment that says a great deal, and how much the extension grows over it."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.process = psutil.Process(environment.extension.process.pid)
        environment.run("r-1")
        environment.extension.invoke("r-2")
        self.before = self.process.memory_info().rss

    def pour(self, facts: list[dict[str, Any]]) -> None:
        for fact in facts:
            self.environment.hook.socket.send(json.dumps(fact).encode())

    def end(self) -> tuple[list[dict[str, Any]], int]:
        """Shut down; return what was printed, and by how much it has grown."""
        self.environment.extension.invoke("r-3")
        grown = self.process.memory_info().rss - self.before
        out, errors = self.environment.extension.shut_down()

        assert "" == errors
        return [json.loads(line) for line in out.splitlines()], grown

    def metrics(self, printed: list[dict[str, Any]], name: str) -> float:
        return sum(document.get(name, 0) for document in printed if "_aws" in document)


@pytest.fixture
def flood(api: Api, tmp_path: Path) -> Flood:
    return Flood(Environment(api, tmp_path))


def test_found_work_is_bounded_and_what_is_beyond_it_counted(flood: Flood) -> None:
    works = [{**WORK, "w": number, "name": "x" * 200, "at": time.monotonic_ns()} for number in range(20_000)]
    flood.pour([{"t": "found", "new": works[at : at + 100], "lost": []} for at in range(0, len(works), 100)])
    printed, grown = flood.end()
    beyond = len(works) - MOST_PIECES

    assert grown < MOST_GROWTH_BYTES, f"{grown >> 20} MB"
    assert {"too-many-open": beyond} == flood.environment.extension.dropped("finding")
    assert (3, MOST_PIECES) == tuple(flood.metrics(printed, name) for name in ("Invocations", "LingeringCount"))
    assert beyond <= flood.metrics(printed, "DroppedRecords")


def test_cancelled_work_is_bounded_as_well(flood: Flood) -> None:
    lost = [{**CANCELLED, "at": time.monotonic_ns()}] * 100
    flood.pour([{"t": "found", "new": [], "lost": lost}] * 100)
    _, grown = flood.end()

    assert grown < MOST_GROWTH_BYTES, f"{grown >> 20} MB"
    assert {"too-many-open": 10_000 - MOST_PIECES} == flood.environment.extension.dropped("finding")


def test_invocations_that_lambda_has_not_sent_are_bounded_and_do_not_count(flood: Flood) -> None:
    entered = [
        {"t": "entered", "id": f"forged-{n}", "n": n, "at": time.monotonic_ns(), "works": []} for n in range(3000)
    ]
    flood.pour(entered)
    printed, grown = flood.end()

    assert grown < MOST_GROWTH_BYTES, f"{grown >> 20} MB"
    assert flood.metrics(printed, "Invocations") <= 3 + MOST_UNINVITED
    assert {"entered-without-invoke": 3000 - MOST_UNINVITED} == flood.environment.extension.dropped("fact")
    assert {"r-1", "r-2", "r-3"} <= {each["request_id"] for each in flood.environment.invocations()}


@pytest.mark.parametrize("parts", [100_000, 0, -5])
def test_a_tree_of_imports_that_never_ends_is_not_kept(flood: Flood, parts: int) -> None:
    nodes = [[f"m{n}" + "x" * 200, -1, 1, 1, 1, 1, 0, []] for n in range(200)]
    fact = {**FACTS["imports"], "parts": parts, "nodes": nodes}
    flood.pour([{**fact, "part": number} for number in range(1, 1001)])
    _, grown = flood.end()

    assert grown < MOST_GROWTH_BYTES, f"{grown >> 20} MB"
    assert {"imports-in-too-many-parts": 1000} == flood.environment.extension.dropped("fact")


def test_touched_names_are_bounded(flood: Flood) -> None:
    flood.pour([{**FACTS["touched"], "names": [f"{n}-{m}" + "x" * 300 for m in range(100)]} for n in range(500)])
    _, grown = flood.end()

    assert grown < MOST_GROWTH_BYTES, f"{grown >> 20} MB"


def test_reasons_that_are_made_up_are_added_up(flood: Flood) -> None:
    flood.pour([{"t": "unseen", "what": "thread", "why": f"{number}-" + "x" * 5000} for number in range(2000)])
    _, grown = flood.end()
    dropped = flood.environment.extension.dropped("finding")

    assert grown < MOST_GROWTH_BYTES, f"{grown >> 20} MB"
    assert (MOST_REASONS + 1, 2000) == (len(dropped), sum(dropped.values()))
    assert 2000 - MOST_REASONS == dropped[OTHER_REASONS]


def test_nothing_that_leaves_is_longer_than_a_collector_takes(flood: Flood) -> None:
    long = "/var/task/" + "x" * 60_000
    flood.pour([{"t": "found", "new": [{**WORK, "name": long, "at": time.monotonic_ns()}], "lost": []}])
    flood.environment.hook.returned(
        "r-2", time.monotonic_ns(), error=long[:50_000], origin=[[long[:4000], 7, long[:4000]]]
    )
    flood.pour([{"t": "gave-up", "error": long}])
    flood.end()
    lines = flood.environment.extension.records_path.read_bytes().splitlines()

    assert max(map(len, lines)) < 10_000
    assert [] == refusals(b"\n".join(lines))


def refusals(body: bytes) -> list[Any]:
    return decode_batch(body, Limits(line_bytes=65_536, from_ms=0, until_ms=1 << 53)).refusals


@pytest.mark.parametrize("kind", ["fifo", "sealed", "for reading", "for writing", "text of nonsense"])
def test_a_file_that_cannot_be_written_ends_no_profiling(flood: Flood, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(
        b'  File "x", line '
        + b"9" * 5000
        + b" in y\nFatal Python error: "
        + b"z" * 5000
        + b"\n"
        + b'  File "'
        + b"f" * 9000
        + b'", line 3 in g\n'
    )
    descriptors = {
        "for reading": lambda: os.open(path, os.O_RDONLY),
        "for writing": lambda: os.open(path, os.O_WRONLY),
        "text of nonsense": lambda: os.open(path, os.O_RDWR),
        "sealed": sealed,
        "fifo": lambda: os.pipe()[1],
    }
    descriptor = descriptors[kind]()
    hello = json.dumps({"t": "hello", "v": 1, "python": "3.11", "at": 1, "took": 1, "cpu": 1, "root": None}).encode()
    socket.send_fds(flood.environment.hook.socket, [hello], [descriptor])
    os.close(descriptor)
    flood.environment.extension.tell(answer(event("SHUTDOWN", shutdownReason="timeout")), next_too=False)
    _, errors = flood.environment.extension.end()

    assert "" == errors
    assert ["timeout"] == [record["reason"] for record in flood.environment.extension.records("shutdown")]
    assert [] == refusals(flood.environment.extension.records_path.read_bytes())


NONSENSE = f"""Thread 0x1 (most recent call first):
  File "x", line {"9" * 5000} in y
  File "x", line \u00b2 in y
Fatal Python error: {"z" * 5000}
  File "{"f" * 9000}", line 3 in {"g" * 9000}
"""


def sealed() -> int:
    import fcntl

    descriptor = os.memfd_create("sealed", os.MFD_ALLOW_SEALING)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE)
    return descriptor


def test_metrics_and_losses_come_before_the_findings(flood: Flood) -> None:
    works = [{**WORK, "w": number, "at": time.monotonic_ns()} for number in range(600)]
    flood.pour([{"t": "found", "new": works[at : at + 100], "lost": []} for at in range(0, 600, 100)])
    flood.pour([{"t": "unseen", "what": "thread", "why": "somehow"}])
    printed, _ = flood.end()
    kinds = ["metrics" if "_aws" in line else line["afterglow"] for line in printed]
    last = kinds[kinds.index("finding") :]

    assert 600 == last.count("finding")
    assert {"metrics", "loss"} <= set(kinds[: kinds.index("finding")])
    assert 1 == flood.environment.extension.dropped("finding")["unseen thread: somehow"]


def test_what_shutdown_prints_is_counted_for_the_local_run(api: Api, tmp_path: Path) -> None:
    environment = Environment(api, tmp_path)
    environment.run("r-1")
    out, _ = environment.extension.shut_down()

    assert len(out) == sum(overhead["bytes_out"] for overhead in environment.extension.records("overhead")) > 0


def test_where_there_is_no_time_for_all_findings_the_rest_is_counted(api: Api, tmp_path: Path) -> None:
    """The reader of the log takes its time: that is what makes a write wait here, as little CPU does on Lambda."""
    reading, writing = os.pipe()
    flood = Flood(Environment(api, tmp_path, stdout=writing))
    os.close(writing)
    works = [{**WORK, "w": n, "name": "x" * 400, "at": time.monotonic_ns()} for n in range(MOST_PIECES)]
    flood.pour([{"t": "found", "new": works[at : at + 50], "lost": []} for at in range(0, MOST_PIECES, 50)])
    flood.environment.extension.invoke("r-3")
    deadline_ms = int(time.time() * 1000) + 900
    flood.environment.extension.tell(
        answer(event("SHUTDOWN", shutdownReason="spindown", deadlineMs=deadline_ms)), next_too=False
    )
    text = slowly(reading)
    flood.environment.extension.end()
    printed = [json.loads(line) for line in text.splitlines()]
    findings = [line for line in printed if line.get("afterglow") == "finding"]
    (lost,) = [line for line in printed if line.get("afterglow") == "loss" and line["of"] == "output"]

    assert 0 < len(findings) < MOST_PIECES
    assert MOST_PIECES == flood.metrics(printed, "LingeringCount")
    assert MOST_PIECES - len(findings) <= lost["dropped"]["no-time-left-at-shutdown"]
    assert 1 == len(flood.environment.extension.records("shutdown"))


def slowly(descriptor: int) -> bytes:
    """Read to the end, no more than 64 KB in 0.1 s."""
    text = b""
    while part := os.read(descriptor, 65_536):
        text += part
        time.sleep(0.1)
    os.close(descriptor)
    return text


class Books:
    """The extension's parts in this process, with a hook's socket to them."""

    def __init__(self, folder: Path) -> None:
        address = f"127.0.0.1:{os.getpid()}"
        listener = open_listener(address)
        assert listener is not None
        self.listener = listener
        self.lambdas, ours = socket.socketpair()
        handoff = Handoff(RuntimeApi(address, ours), listener)
        handoff.registered_mono_ns = handoff.started_mono_ns = time.monotonic_ns()
        self.path = folder / "records"
        self.path.unlink(missing_ok=True)
        environ = {"AFTERGLOW_RECORDS_FILE": str(self.path), "AFTERGLOW_ERROR_MESSAGES": "on"}
        settings, complaints = from_env(environ)
        assert [] == complaints
        self.parts = Parts(handoff, settings, environ)
        self.hook = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        self.hook.connect(hook_address(address))

    def say(self, message: bytes) -> None:
        with suppress(BlockingIOError, OSError):
            self.hook.send(message)
        read_facts(self.parts)

    def close(self) -> None:
        self.hook.close()
        self.parts.poller.close()
        self.parts.inbox.close()
        self.parts.api.sock.close()
        self.lambdas.close()
        self.listener.close()


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Callable[[], Books]]:
    opened: list[Books] = []

    def open_books() -> Books:
        opened.append(Books(tmp_path))
        return opened[-1]

    before = open_files()
    yield open_books
    for one in opened:
        one.close()
    for descriptor in open_files() - before:  # what the extension keeps open until its process ends
        os.close(descriptor)


def open_files() -> set[int]:
    """Return this process's descriptors of files in /proc."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # the listing's own
            if os.readlink(f"/proc/self/fd/{name}").startswith("/proc/"):
                found.add(int(name))
    return found


any_text = st.text(st.characters(exclude_categories=()), max_size=30) | st.sampled_from(["r-1", "x" * 900, "\ud800"])
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
whole = st.integers(-(1 << 63) + 1, (1 << 63) - 1) | st.integers(-3, 3)


def varied(value: Any) -> st.SearchStrategy[Any]:
    """Return values of the same form, and now and then one of any other."""
    if isinstance(value, dict):
        return st.fixed_dictionaries({name: varied(one) for name, one in value.items()})
    if isinstance(value, list):
        same = st.tuples(*map(varied, value)).map(list)
        return same | st.lists(varied(value[0]), max_size=3) if value else st.just([])
    if isinstance(value, str):
        return st.just(value) | any_text
    if isinstance(value, (int, float)):
        return st.just(value) | whole
    return st.just(value) | any_text | whole


facts_of_the_right_form = st.sampled_from(list(FACTS.values())).flatmap(
    lambda fact: st.builds(lambda changed: {**changed, "t": fact["t"]}, varied(fact))
)
spoilt = st.builds(
    lambda fact, place, value: {**fact, list(fact)[place % len(fact)]: value},
    facts_of_the_right_form,
    st.integers(0, 20),
    any_json,
)
errors = st.builds(
    lambda fact, message, site: {**fact, "message": message, "origin": site},
    st.sampled_from([FACTS["init"], FACTS["returned"]]),
    any_text,
    varied([["/var/task/app.py", 7, "handler"]]),
)
messages = (facts_of_the_right_form | spoilt | errors).map(lambda fact: json.dumps(fact).encode()) | st.binary(
    min_size=1
)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(messages, max_size=12), st.sampled_from(["spindown", "timeout", "failure"]))
def test_whatever_is_said_is_told_or_counted_and_a_collector_takes_it_or_says_why(
    books: Callable[[], Books], said: list[bytes], reason: str
) -> None:
    one = books()
    try:
        for message in said:
            one.say(message)
        on_shutdown(one.parts, reason, time.monotonic_ns())
        body = one.path.read_bytes()
    finally:
        one.close()

    documents = [json.loads(line) for line in body.splitlines()]
    assert ["shutdown"] == [each["afterglow"] for each in documents if each["afterglow"] == "shutdown"]
    for loss in (each for each in documents if each["afterglow"] == "loss"):
        assert loss["seen"] == loss["emitted"] + sum(loss["dropped"].values()), loss
    out_of_bounds = ("too old", "from the future", "Expected `float`", "Expected `int`")  # figures that were made up
    assert [] == [each for each in refusals(body) if not each.reason.startswith(out_of_bounds)]
