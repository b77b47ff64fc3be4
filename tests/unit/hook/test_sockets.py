"""A connection says whether an answer is awaited; a system call says which connections a thread waits on."""

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from afterglow_hook import sockets
from afterglow_hook.waits import system_call

LIMIT_S = 30
TICK_S = 0.02  # more than any kernel's clock tick


class Pair:
    """Both ends of a TCP connection."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.client = socket.create_connection(server.getsockname())
            self.server, _ = server.accept()

    @property
    def awaited_ms(self) -> float | None:
        return sockets.unanswered_ms_of(self.client.fileno())


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Give a connection."""
    pair = Pair()
    yield pair
    pair.client.close()
    pair.server.close()


def test_a_new_connection_awaits_nothing(pair: Pair) -> None:
    assert pair.awaited_ms is None


def test_what_was_asked_awaits_its_answer(pair: Pair) -> None:
    pair.client.send(b"question")
    time.sleep(TICK_S)

    assert pair.awaited_ms is not None
    assert TICK_S * 500 <= pair.awaited_ms < LIMIT_S * 1000


def test_what_was_answered_awaits_nothing(pair: Pair) -> None:
    pair.client.send(b"question")
    time.sleep(TICK_S)
    pair.server.send(b"answer")
    pair.client.recv(10)

    assert pair.awaited_ms is None


def test_what_is_no_tcp_socket_awaits_nothing() -> None:
    here, there = socket.socketpair()
    with here, there:
        here.send(b"question")

        assert sockets.unanswered_ms_of(here.fileno()) is None


def read(pair: Pair) -> None:
    pair.client.recv(1)


def read_in_time(pair: Pair) -> None:
    pair.client.settimeout(LIMIT_S)
    pair.client.recv(1)


def select_it(pair: Pair) -> None:
    select.select([pair.client], [], [])


def poll_it(pair: Pair) -> None:
    poll = select.poll()
    poll.register(pair.client, select.POLLIN)
    poll.poll()


def epoll_it(pair: Pair) -> None:
    with select.epoll() as epoll:
        epoll.register(pair.client, select.EPOLLIN)
        epoll.poll()


@pytest.mark.parametrize("wait", [read, read_in_time, select_it, poll_it, epoll_it], ids=lambda wait: wait.__name__)
def test_every_way_to_wait_names_its_connections(pair: Pair, wait: Callable[[Pair], None]) -> None:
    thread = threading.Thread(target=wait, args=(pair,))
    thread.start()
    until = time.monotonic() + LIMIT_S
    found: list[int] = []
    while pair.client.fileno() not in found and time.monotonic() < until:
        call = system_call(thread.native_id or 0)
        found = sockets.descriptors_of(call or ())
        talks = sockets.talks_to(call or (), pair.client.getpeername())
    pair.server.send(b"!")
    thread.join(LIMIT_S)

    assert pair.client.fileno() in found, f"the system call was {call}"
    assert talks


def test_a_call_that_is_over_names_none() -> None:
    assert [] == sockets.descriptors_of(())
    assert [] == sockets.descriptors_of((7, 1, 1))  # poll, of memory that is not there
