"""The way to the collector is found without waiting, whatever the name servers do."""

import _socket
import os
import select
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from afterglow.address import Address, parse_address
from afterglow.peer import KEPT_NS, Failed, Peer, Way

LIMIT_S = 20
NAMED = Address("http", "collector.internal", 9477, "/v1/records")
ONE = (_socket.AF_INET, _socket.SOCK_STREAM, 6, "", ("192.0.2.1", 9477))
OTHER = (_socket.AF_INET6, _socket.SOCK_STREAM, 6, "", ("2001:db8::1", 9477, 0, 0))


class NameServer:
    """Answers as getaddrinfo does, once it is let; address figures it reads at once."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.let = threading.Event()

    def __call__(self, *question: Any) -> list[Any]:
        if question[-1] & _socket.AI_NUMERICHOST:
            return _socket.getaddrinfo(*question)
        self.asked += 1
        assert self.let.wait(LIMIT_S)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        found: list[Any] = answer
        return found


@pytest.fixture
def servers() -> Iterator[list[NameServer]]:
    made: list[NameServer] = []
    yield made
    for server in made:
        server.let.set()


def heard(peer: Peer) -> None:
    """Wait, as the extension's loop does, until the peer has something to say."""
    poller = select.poll()
    poller.register(peer.fileno(), select.POLLIN)
    assert poller.poll(LIMIT_S * 1000), "nobody rang"


def test_a_silent_name_server_holds_nobody_up_and_is_asked_once(servers: list[NameServer]) -> None:
    server = NameServer([ONE])
    servers.append(server)
    peer = Peer(NAMED, lookup=server)
    began_s = time.monotonic()
    unknown = [peer.way(number) for number in range(100)]
    took_s = time.monotonic() - began_s
    server.let.set()
    heard(peer)

    assert {None} == set(unknown)
    assert took_s < LIMIT_S / 4, "it has waited for the name server"
    assert Way(_socket.AF_INET, ("192.0.2.1", 9477), None) == peer.way(100)
    assert 1 == server.asked


def test_a_name_that_nobody_knows_is_said_and_asked_for_again(servers: list[NameServer]) -> None:
    server = NameServer(_socket.gaierror(_socket.EAI_NONAME, "Name or service not known"), [ONE])
    servers.append(server)
    server.let.set()
    peer = Peer(NAMED, lookup=server)
    assert peer.way(0) is None
    heard(peer)
    with pytest.raises(Failed, match=r"collector\.internal: .*Name or service not known"):
        peer.way(1)
    assert peer.way(2) is None
    heard(peer)

    assert peer.way(3) is not None


def test_a_name_without_an_address_is_said(servers: list[NameServer]) -> None:
    server = NameServer([])
    servers.append(server)
    server.let.set()
    peer = Peer(NAMED, lookup=server)
    peer.way(0)
    heard(peer)
    with pytest.raises(Failed, match="no address"):
        peer.way(1)


def test_addresses_are_used_in_turn_and_asked_for_anew_after_the_last(servers: list[NameServer]) -> None:
    server = NameServer([ONE, OTHER], [ONE])
    servers.append(server)
    server.let.set()
    peer = Peer(NAMED, lookup=server)
    peer.way(0)
    heard(peer)
    families = []
    for _ in range(2):
        way = peer.way(1)
        assert way is not None
        families.append(way.family)
        peer.failed()

    assert [_socket.AF_INET, _socket.AF_INET6] == families
    assert peer.way(2) is None, "it should ask anew"
    heard(peer)


def test_addresses_are_kept_for_a_minute(servers: list[NameServer]) -> None:
    server = NameServer([ONE], [ONE])
    servers.append(server)
    server.let.set()
    peer = Peer(NAMED, lookup=server)
    peer.way(0)
    heard(peer)
    assert peer.way(1) is not None
    assert peer.way(KEPT_NS) is not None
    assert 1 == server.asked

    assert peer.way(KEPT_NS + 1) is None
    heard(peer)
    assert 2 == server.asked


@pytest.mark.parametrize(
    ("text", "way"),
    [
        ("http://127.0.0.1:9477", Way(_socket.AF_INET, ("127.0.0.1", 9477), None)),
        ("http://[::1]:9477", Way(_socket.AF_INET6, ("::1", 9477, 0, 0), None)),
        ("unix:/run/afterglow.sock", Way(_socket.AF_UNIX, "/run/afterglow.sock", None)),
    ],
)
def test_what_is_no_name_takes_no_asking(text: str, way: Way) -> None:
    assert way == Peer(parse_address(text)).way(0)


def test_authorities_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    peer = Peer(parse_address("https://127.0.0.1:9477"), str(tmp_path / "ca.pem"))
    assert peer.way(0) is None
    heard(peer)
    with pytest.raises(Failed, match=r"ca\.pem: .*No such file"):
        peer.way(1)


def test_no_descriptor_is_left_open(servers: list[NameServer]) -> None:
    server = NameServer(*[[ONE]] * 20)
    servers.append(server)
    server.let.set()
    peer = Peer(NAMED, lookup=server)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        assert peer.way(0) is None
        heard(peer)
        assert peer.way(0) is not None
        peer.failed()

    assert before == len(os.listdir("/proc/self/fd"))
