"""The extension at work: a real process, with a test that plays Lambda on one side and the hook on the other."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.sandbox.api_server import Api, answer, event
from tests.unit.sandbox.extension_process import Extension

MS = 1_000_000
RETURNED_FACT = {"t": "returned", "id": "r-1", "n": 1, "from": 1, "at": 2, "error": None, "user": 0, "system": 0}
RETURNED = json.dumps(
    RETURNED_FACT | {"own": 1, "unlooked": 0, "rss": None, "peak": None, "threads": None, "fds": None, "works": []},
    separators=(",", ":"),
).encode()


class Hook:
    """Says what a hook says, in the order in which it does."""

    def __init__(self, extension: Extension) -> None:
        self.extension = extension
        self.socket = extension.hook()
        self.index = 0

    def say(self, kind: str, **fields: object) -> None:
        self.socket.send(json.dumps({"t": kind, **fields}).encode())

    def hello(self) -> None:
        now_ns = time.monotonic_ns()
        self.say("hello", v=1, python="3.11", at=now_ns, took=1 * MS, cpu=20 * MS, root=None)
        self.say("init", **{"from": now_ns}, at=now_ns + 5 * MS, cpu=4 * MS, error=None)

    def entered(self, request_id: str) -> int:
        self.index += 1
        at_ns = time.monotonic_ns()
        self.say("entered", id=request_id, n=self.index, at=at_ns, works=[])
        return at_ns

    def returned(self, request_id: str, since_ns: int, **changed: object) -> None:
        fact = {"id": request_id, "n": self.index, "from": since_ns, "at": time.monotonic_ns(), "error": None}
        fact |= {
            "user": 0.002,
            "system": 0.001,
            "own": 40_000,
            "unlooked": 0,
            "rss": None,
            "peak": None,
            "threads": None,
            "fds": None,
            "works": [],
        }
        self.say("returned", **(fact | changed))

    def found(self, work: int, request_id: str, **changed: object) -> None:
        fact: dict[str, Any] = {
            "w": work,
            "what": "thread",
            "name": "send",
            "site": [["/var/task/app.py", 7, "handler"]],
        }
        fact |= {
            "id": request_id,
            "n": self.index,
            "state": "sleeping",
            "at": time.monotonic_ns(),
            "jobs": 1,
            "worker": None,
            "burned": None,
            "pid": None,
        }
        self.say("found", new=[fact | changed], lost=[])

    def ended(self, work: int) -> None:
        self.say("ended", w=work, at=time.monotonic_ns(), cpu=3 * MS)


class Environment:
    """One execution environment: the extension, Lambda's side and the hook's."""

    def __init__(self, api: Api, folder: Path, **options: Any) -> None:
        self.extension = Extension(api, folder, **options)
        self.extension.register()
        self.hook = Hook(self.extension)
        self.hook.hello()

    def run(self, request_id: str) -> None:
        """Run one invocation from beginning to end."""
        self.extension.invoke(request_id)
        self.hook.returned(request_id, self.hook.entered(request_id))

    def end(self) -> list[dict[str, Any]]:
        """Shut down; return the findings."""
        _, errors = self.extension.shut_down()

        assert errors == ""
        return self.extension.records("finding")

    def invocations(self) -> list[dict[str, Any]]:
        return self.extension.records("invocation")


Begin = Callable[..., Environment]


@pytest.fixture
def begin(api: Api, tmp_path: Path) -> Begin:
    """Give `begin(**variables)`: an environment whose runtime has come up."""
    return lambda **options: Environment(api, tmp_path, **options)


def test_invocations_are_told_with_what_the_hook_saw(begin: Begin) -> None:
    environment = begin()
    environment.run("r-1")
    environment.run("r-2")
    environment.end()
    first, second = environment.invocations()

    assert ("r-1", 1, True, "ok") == (first["request_id"], first["index"], first["cold"], first["status"])
    assert ("r-2", 2, False, "ok") == (second["request_id"], second["index"], second["cold"], second["status"])
    assert (2, 1, 0.04) == (first["cpu_user_ms"], first["cpu_system_ms"], first["hook_ms"])
    assert "hook" == first["sources"]["duration_ms"]


def test_what_short_invocations_took_of_the_hook_adds_up_in_fewer_records_than_invocations(begin: Begin) -> None:
    environment = begin()
    for index in range(20):
        environment.run(f"r-{index}")
    environment.end()
    overheads = environment.extension.records("overhead")

    assert 20 * 0.04 == pytest.approx(sum(each["hook_ms"] for each in overheads))
    assert len(overheads) < 20, "one a second, and one at the end"
    assert all(each["agent_rss_bytes"] > 0 for each in overheads)


def test_an_invocation_is_told_during_the_next_one(begin: Begin) -> None:
    environment = begin()
    environment.run("r-1")
    environment.extension.invoke("r-2")
    environment.extension.until_told("r-1")

    assert ["r-1"] == [invocation["request_id"] for invocation in environment.invocations()]
    environment.end()


def test_work_that_ended_before_the_freeze_is_done(begin: Begin) -> None:
    environment = begin()
    environment.extension.invoke("r-1")
    since_ns = environment.hook.entered("r-1")
    at_ns = time.monotonic_ns()
    environment.hook.found(1, "r-1", at=at_ns)
    environment.hook.returned("r-1", since_ns)
    environment.hook.say("ended", w=1, at=at_ns + 30 * MS, cpu=3 * MS)
    (finding,) = environment.end()

    assert ("done", "thread", "send", "/var/task/app.py", 7) == (
        finding["outcome"],
        finding["what"],
        finding["name"],
        finding["file"],
        finding["line"],
    )
    assert (30, 3) == (finding["wall_ms"], finding["cpu_ms"])


def test_work_that_is_open_at_shutdown_is_lost(begin: Begin) -> None:
    environment = begin()
    environment.extension.invoke("r-1")
    since_ns = environment.hook.entered("r-1")
    environment.hook.found(1, "r-1")
    environment.hook.returned("r-1", since_ns)
    (finding,) = environment.end()

    assert ("lost", "shutdown", ["lingering", "lost"]) == (finding["outcome"], finding["reason"], finding["changes"])
    assert 1 == environment.extension.records("shutdown")[0]["left_running"]


def test_a_finding_is_printed_as_a_line_of_its_own(begin: Begin) -> None:
    environment = begin()
    environment.extension.invoke("r-1")
    since_ns = environment.hook.entered("r-1")
    environment.hook.found(1, "r-1")
    environment.hook.returned("r-1", since_ns)
    out, _ = environment.extension.shut_down()
    lines = [json.loads(line) for line in out.splitlines()]

    assert 1 == len([line for line in lines if line.get("afterglow") == "finding"])
    assert [line for line in lines if "_aws" in line], "no metrics were printed"


def test_a_freeze_is_recognised_and_ends_up_in_the_next_invocation(begin: Begin) -> None:
    environment = begin()
    environment.run("r-1")
    environment.extension.invoke("r-2")  # r-1's facts have been read by now
    environment.hook.returned("r-2", environment.hook.entered("r-2"))
    pid = environment.extension.process.pid
    idle = Path(f"/proc/{pid}/syscall")
    while idle.read_text().split()[0] not in ("7", "271", "73"):  # poll, ppoll on x86_64 and arm64
        time.sleep(0.001)
    os.kill(pid, signal.SIGSTOP)
    stopped_s = time.monotonic()
    time.sleep(0.4)
    os.kill(pid, signal.SIGCONT)
    frozen_ms = (time.monotonic() - stopped_s) * 1000
    environment.run("r-3")
    environment.end()
    third = environment.invocations()[2]

    assert third["frozen_before_ms"] == pytest.approx(frozen_ms, abs=100)


@pytest.mark.parametrize(
    "message",
    [
        b"no JSON",
        b'{"t":["hello"]}',
        b'{"t":"ended","w":1,"at":' + b"9" * 400 + b',"cpu":null}',
        RETURNED.replace(b'"user":0', b'"user":NaN'),
        RETURNED.replace(b"[]", b'[["x",{},[]]]'),
        RETURNED.replace(b"[]", b'[],"origin":5'),
        b'{"t":"entered","id":"r-1","n":1,"at":2,"works":[],"site":5,"new":7,"lost":"x","dropped":"many"}',
        b'{"t":"found","new":[{"w":1}],"lost":[]}',
        b'{"t":"hello","v":99,"python":null,"at":1,"took":1,"cpu":1,"root":null}',
        b"[" * 60_000,
    ],
    ids=lambda message: message[:60].decode(),
)
def test_nonsense_from_another_process_is_counted_and_changes_nothing(begin: Begin, message: bytes) -> None:
    """The socket is open to every process of the environment."""
    environment = begin()
    environment.extension.hook().send(message)
    environment.run("r-1")
    environment.end()

    assert ["ok"] == [invocation["status"] for invocation in environment.invocations()]
    assert {"malformed": 1} == environment.extension.dropped("fact")


def test_when_the_hook_has_given_up_invocations_are_told_without_it(begin: Begin) -> None:
    environment = begin()
    environment.run("r-1")
    environment.extension.invoke("r-2")
    environment.hook.entered("r-2")
    environment.hook.say("gave-up", error="KeyError")
    for number in range(3, 7):
        environment.extension.invoke(f"r-{number}")
    environment.extension.until_told("r-5")
    environment.end()

    assert ["ok", *["unknown"] * 5] == [invocation["status"] for invocation in environment.invocations()]
    assert {"hook-gave-up: KeyError": 1} == environment.extension.dropped("fact")


def test_what_the_hook_cannot_see_is_in_the_ledger(begin: Begin) -> None:
    environment = begin()
    environment.hook.say("unseen", what="asyncio-task", why="uvloop makes them in C")
    environment.run("r-1")
    environment.end()

    assert {"unseen asyncio-task: uvloop makes them in C": 1} == environment.extension.dropped("finding")


def test_without_a_hook_invocations_are_told_with_what_others_see(api: Api, tmp_path: Path) -> None:
    extension = Extension(api, tmp_path)
    extension.register()
    extension.invoke("r-1")
    extension.invoke("r-2")
    extension.shut_down()

    assert [("r-1", "unknown"), ("r-2", "unknown")] == [
        (invocation["request_id"], invocation["status"]) for invocation in extension.records("invocation")
    ]


def test_an_unknown_event_is_answered_and_counted(begin: Begin) -> None:
    environment = begin()
    environment.extension.tell(answer(event("SNAPSHOT")))
    environment.run("r-1")
    environment.end()

    assert {"unknown: SNAPSHOT": 1} == environment.extension.dropped("event")


@pytest.mark.parametrize("reason", ["spindown", "SandboxTerminated", "TIMEOUT", "failure", "a reason of next year's"])
def test_every_reason_of_shutdown_is_taken(begin: Begin, reason: str) -> None:
    environment = begin()
    environment.run("r-1")
    environment.extension.tell(answer(event("SHUTDOWN", shutdownReason=reason)), next_too=False)
    environment.extension.end()

    assert [reason] == [shutdown["reason"] for shutdown in environment.extension.records("shutdown")]


def test_the_ledger_adds_up(begin: Begin) -> None:
    environment = begin()
    for number in range(5):
        environment.run(f"r-{number}")
    environment.end()
    losses = environment.extension.records("loss")

    assert losses
    for loss in losses:
        assert loss["seen"] == loss["emitted"] + sum(loss["dropped"].values()), loss
    assert [5] == [loss["seen"] for loss in losses if loss["of"] == "invocation"]


def test_two_extensions_of_two_environments_do_not_mix(begin: Begin, tmp_path: Path) -> None:
    first = begin()
    other_api = Api()
    (tmp_path / "other").mkdir()
    try:
        second = Environment(other_api, tmp_path / "other")
        first.run("r-1")
        second.run("q-1")
        first.end()
        second.end()
    finally:
        other_api.close()

    assert ["r-1"] == [invocation["request_id"] for invocation in first.invocations()]
    assert ["q-1"] == [invocation["request_id"] for invocation in second.invocations()]


@pytest.mark.parametrize("flush", ["next", "end"])
def test_an_invoke_that_its_own_facts_have_overtaken_keeps_its_trace(begin: Begin, flush: str) -> None:
    environment = begin(AFTERGLOW_FLUSH=flush)
    environment.hook.returned("r-1", environment.hook.entered("r-1"))
    environment.hook.returned("r-2", environment.hook.entered("r-2"))
    traces = [f"Root=1-5759e988-bd862e3fe1be46a99427279{number};Sampled=1" for number in (1, 2)]
    for request_id, trace in zip(("r-1", "r-2"), traces, strict=True):
        environment.extension.invoke(request_id, tracing={"type": "X-Amzn-Trace-Id", "value": trace})
    environment.end()

    assert traces == [invocation["trace"] for invocation in environment.invocations()]


def test_what_a_collector_did_not_take_is_said_without_its_key(api: Api, tmp_path: Path) -> None:
    """Port 1 takes nothing; SHUTDOWN leaves no time to try for long."""
    where = "http://127.0.0.1:1/v1/records"
    environment = Environment(api, tmp_path, AFTERGLOW_COLLECTOR=f"{where}?key=s3cret")
    environment.run("r-1")
    _, errors = environment.extension.shut_down()

    assert f"the collector at {where} did not take" in errors
    assert "s3cret" not in errors
