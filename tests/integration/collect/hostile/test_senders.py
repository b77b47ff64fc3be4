"""What somebody with a token can send: lines that are none, numbers that cannot be, more than there is room for."""

import json
import re
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zstandard
from tests.integration.collect.conftest import Start
from tests.integration.collect.hostile.test_strangers import rss_mb
from tests.integration.collect.running import Answer, Collector
from tests.unit.collect.samples import body, call, environment, filled, finding, now_ms, overhead

from afterglow.records import Ending, Init, Record, decode, encode, encode_row
from afterglow_collector.collect.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Callable

MINUTE_MS = 60_000
OTLP = "otlp:http://127.0.0.1:9"
"""A sink that gets records, at an address where nobody listens: what it would get stays in the outbox."""


def lines(*rest: str | bytes, env: str = "lines") -> bytes:
    plain = [line if isinstance(line, bytes) else line.encode() for line in rest]
    return b"\n".join([encode(environment(env)).encode(), *plain])


def changed(record: Record, **fields: Any) -> str:
    return json.dumps({**json.loads(encode(record)), **fields})


def passed_on(server: Collector) -> list[str]:
    """The lines that a sink for records gets, once the server has ended."""
    outbox = Outbox(server.data / "outbox")
    entries = [entry for entry in outbox.read(0, 10_000) if entry.kind == "record"]
    outbox.close()
    return [line for entry in entries for line in entry.payload.split("\n")]


def longest_silence_s(server: Collector, work: threading.Thread) -> float:
    """Ask for the server's health while the work goes on; return how long an answer took at most."""
    client, longest = server.client(), 0.0
    work.start()
    while work.is_alive():
        began_s = time.monotonic()
        assert 200 == client.ask("GET", "/healthz").status
        longest = max(longest, time.monotonic() - began_s)
    return longest


IMPOSSIBLE = [
    changed(call(now_ms()), duration_ms=-1),
    changed(call(now_ms()), duration_ms=1e308),
    changed(call(now_ms()), duration_ms=1e9 + 1),
    changed(call(now_ms()), cpu_user_ms=-0.001),
    changed(call(now_ms()), rss_bytes=-1),
    changed(call(now_ms()), rss_bytes=2**53),
    changed(call(now_ms()), max_memory_mb=1e7),
    changed(call(now_ms()), index=-1),
    changed(call(now_ms()), threads=2**53 + 1),
    changed(finding(now_ms()), wall_ms=1e308),
    changed(finding(now_ms()), returned_at_ms=-5),
    changed(finding(now_ms()), returned_at_ms=1e14),
    changed(filled(Init, at_ms=now_ms()), init_ms=1e308),
    changed(filled(Ending, at_ms=now_ms()), memory_mb=0),
    changed(filled(Ending, at_ms=now_ms()), memory_mb=2**53),
    changed(call(-5)),
    changed(call(2**53)),
    changed(call(0)),
    changed(call(now_ms() + 86_400_000)),
    encode(call(now_ms())).replace('"duration_ms":10.0', '"duration_ms":' + "9" * 4_000),
    encode(call(now_ms())).replace('"rss_bytes":null', '"rss_bytes":' + "9" * 4_000),
    encode(call(now_ms())).replace('"status":"ok"', '"status":"' + "x" * 60_000 + '"'),
    encode(call(now_ms())).replace('"status":"ok"', '"status":"\\ud800"'),
    encode(call(now_ms())).replace('"sources":{}', '"sources":{"a":' + "9" * 5_000 + "}"),
    encode(call(now_ms())).replace('"sources":{}', '"sources":["a"]'),
    encode_row(call(now_ms())).replace('"-----------------------------"', '"xxxxxxxxxxxxxxxxxxxxxxxxxxxxx"'),
]


def test_what_is_refused_reaches_no_sink_and_what_reaches_one_can_be_read(collector: Start) -> None:
    server = collector("--sink", OTLP, "--drain-s", "0")
    good = [encode(call(now_ms(), request_id="good-1")), encode_row(call(now_ms(), request_id="good-2"))]
    answers = [server.client().post(n, lines(good[0], bad, good[1])) for n, bad in enumerate(IMPOSSIBLE)]
    no_text = b'{"afterglow":"invocation","\xff":1}'
    answers.append(server.client().post(len(IMPOSSIBLE), lines(good[0], no_text, good[1])))
    assert 0 == server.stop(), server.said()
    sent = passed_on(server)

    assert [(2, 1)] * len(answers) == [(one.json["accepted"], one.json["refused"]) for one in answers]
    assert len(answers) == len([line for line in sent if "environment" in line])
    assert {"good-1", "good-2"} == {getattr(decode(line), "request_id", "good-1") for line in sent}
    assert 3 * len(answers) == len(sent)


@pytest.mark.parametrize(
    "known",
    [{"started_at_ms": -5}, {"started_at_ms": 10**14}, {"memory_mb": 0}, {"memory_mb": 2**53}, {"function": "f" * 257}],
)
def test_an_environment_that_cannot_be_is_refused(shared: Collector, known: dict[str, Any]) -> None:
    answer = shared.client().post(1, body(call(now_ms()), env=environment("impossible")._replace(**known)))

    assert 400 == answer.status
    assert (1, *known) == (answer.json["line"], answer.json["field"])


@pytest.mark.parametrize("line", [b"x", b"{}", b"[]", b'{"afterglow":"invocation","v":1}', b'"\xff"', b"[" * 300])
def test_a_megabyte_of_bad_lines_costs_a_moment(collector: Start, line: bytes) -> None:
    server = collector()
    good = encode(call(now_ms())).encode()
    text = lines(good, *[line] * ((1 << 20) // (len(line) + 1) - 2_000), good)
    answers: list[Answer] = []
    work = threading.Thread(target=lambda: answers.append(server.client().post(1, text)))

    assert longest_silence_s(server, work) < 1.5
    (answer,) = answers
    assert (202, 1) == (answer.status, answer.json["accepted"])
    assert text.count(b"\n") - 1 == answer.json["refused"], "the rest was not looked at, and is told as refused"
    assert 503 == answer.json["unread_from"]
    assert answer.json["refused"] == server.metrics()["refused_records_total"]
    assert 20 == len(answer.json["refusals"])


def test_millions_of_blank_lines_cost_a_moment(collector: Start) -> None:
    server = collector()
    text = lines(b"nonsense") + b"\n" * (7 << 20) + b"\n" + encode(call(now_ms())).encode()
    packed = zstandard.compress(text)
    answers: list[Answer] = []
    work = threading.Thread(
        target=lambda: answers.append(server.client().post(1, packed + b"", Content_Encoding="zstd"))
    )

    assert longest_silence_s(server, work) < 1.5
    assert answers[0].status == 413 or (1, 1) == (answers[0].json["accepted"], answers[0].json["refused"])


def test_a_bomb_that_does_not_say_its_size_is_too_large_and_not_damaged(shared: Collector) -> None:
    bomb = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(1 << 26))
    damaged = bytearray(zstandard.ZstdCompressor(write_content_size=False).compress(lines(encode(call(now_ms())))))
    damaged[-1] ^= 1

    assert 413 == shared.client().post(1, bomb, Content_Encoding="zstd").status
    assert 400 == shared.client().post(1, bytes(damaged[:-3]), Content_Encoding="zstd").status


def test_padded_first_lines_are_not_kept(collector: Start) -> None:
    server = collector("--max-ratio", "10000")
    client = server.client()
    before_mb = rss_mb(server)
    first = encode(environment("padded"))
    for seq in range(600):
        text = (" " * (60_000 + seq) + first).encode() + b"\n" + encode(call(now_ms())).encode()
        assert 202 == client.post(seq, zstandard.compress(text), Content_Encoding="zstd").status

    assert rss_mb(server) - before_mb < 25, "600 lines of 60 KB, of which none says anything new"


@pytest.mark.parametrize("kind", ["calls", "overheads", "inits"])
def test_windows_of_every_kind_are_counted_and_refused_beyond_the_limit(collector: Start, kind: str) -> None:
    server = collector("--max-windows", "100")
    now = now_ms() // MINUTE_MS * MINUTE_MS - 3_600_000
    kinds: dict[str, Callable[[int], Record]] = {"calls": call, "overheads": overhead}
    make = kinds.get(kind, lambda at_ms: filled(Init, at_ms=at_ms))
    statuses = []
    for number in range(30):
        env = environment(f"env-{number}", function=f"function-{number}")
        statuses.append(server.client().send(1, *(make(now + MINUTE_MS * n) for n in range(11)), env=env).status)

    assert {202, 503} == set(statuses)
    assert server.metrics()["windows"] <= 100
    assert 11 * statuses.count(202) == server.metrics()["windows"]


def test_one_request_does_not_become_thousands_of_documents(shared: Collector) -> None:
    now = now_ms()
    text = body(*(overhead(now - MINUTE_MS * n) for n in range(2_001)), env=environment("spread"))

    assert (413, True) == ((answer := shared.client().post(1, text)).status, "minutes" in answer.json["detail"])


def test_whoever_has_a_window_open_is_served_at_the_limit(collector: Start) -> None:
    server = collector("--max-windows", "20")
    at_ms = now_ms()
    known = environment("known", function="known")
    assert 202 == server.client().send(1, call(at_ms), env=known).status
    statuses = []
    for number in range(40):
        env = environment(f"noisy-{number}", function=f"noisy-{number}")
        statuses.append(server.client().send(1, call(at_ms), env=env).status)

    assert 503 in statuses
    assert 202 == server.client().send(2, call(at_ms), env=known).status, "it opens no window"
    assert 202 == server.client().send(3, call(at_ms - MINUTE_MS), env=known).status, "it opens one, as known ones may"


def test_a_noisy_token_leaves_the_others_their_share(collector: Start) -> None:
    tokens = ["token-of-the-noisy-one", "token-of-the-quiet-one"]
    server = collector("--max-windows", "20", environ={"AFTERGLOW_COLLECT_TOKENS": ",".join(tokens)})
    noisy, quiet = ({"Authorization": f"Bearer {token}"} for token in tokens)
    at_ms = now_ms()

    def sent(name: str, headers: dict[str, str]) -> int:
        text = body(call(at_ms), env=environment(name, function=name))
        return server.client().post(1, text, **headers).status

    assert 503 in [sent(f"noisy-{number}", noisy) for number in range(40)]
    assert [202] * 10 == [sent(f"quiet-{number}", quiet) for number in range(10)]


def test_a_token_may_be_bound_to_functions(collector: Start, tmp_path: Path) -> None:
    bound, free = "token-for-some-functions", "token-for-all-functions-"
    file = tmp_path / "tokens"
    file.write_text(f"{bound} checkout orders-*\n{free}\n")
    server = collector("--token-file", str(file))

    def sent(function: str, token: str, seq: int = 1) -> int:
        text = body(call(now_ms()), env=environment("one-environment", function=function))
        return server.client().post(seq, text, Authorization=f"Bearer {token}").status

    assert [202, 202, 403, 202] == [
        sent("checkout", bound),
        sent("orders-7", bound),
        sent("payments", bound),
        sent("payments", free),
    ]
    assert 202 == sent("checkout", bound, (1 << 53) - 1)
    assert 202 == sent("payments", free, 2), "whoever is bound to one function poisons no other's numbers"
    assert [403, 200] == [
        server.client().ask("GET", "/v1/findings", Authorization=f"Bearer {token}").status for token in (bound, free)
    ]


def test_what_waits_to_be_published_counts_as_what_waits_for_the_disk(collector: Start) -> None:
    """A minute with many series is being written; batches that a sink wants as they came gather behind it."""
    server = collector("--sink", OTLP, "--max-queue-mb", "1", "--max-body-kb", "4096", "--metrics", "all")
    at_ms = now_ms() - 3_600_000
    for number in range(20):
        minutes = [overhead(at_ms + MINUTE_MS * minute) for minute in range(1_000)]
        env = environment(f"wide-{number}", function=f"wide-{number}")
        assert (
            202
            == server.client().send(1, *(one._replace(at_ms=one.at_ms - 86_400_000) for one in minutes), env=env).status
        )
    text = body(*(call(now_ms()) for _ in range(1_000)), env=environment("heavy"))
    statuses: list[int] = []
    ends_s = time.monotonic() + 90
    while 429 not in statuses and time.monotonic() < ends_s:
        statuses.append(server.client().post(len(statuses), text).status)
        time.sleep(0.02)

    assert 429 in statuses, "nobody was held up while 20,000 windows were being written"
    assert re.search(r"publisher_waiting_bytes \d", server.client().ask("GET", "/metrics").text.decode())
