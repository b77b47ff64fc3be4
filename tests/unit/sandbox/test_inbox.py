"""The inbox over real sockets: who may speak, what gets through, and that everything else is counted."""

import _socket
import itertools
import json
import os
import socket
import struct
from collections.abc import Iterator

import pytest

from afterglow.boot import hook_address, open_listener
from afterglow.inbox import LARGEST_MESSAGE_BYTES, MOST_FILES, MOST_MESSAGES_AT_ONCE, MOST_PEERS, Inbox

ENDED = {"t": "ended", "w": 1, "at": 2, "cpu": None}
_numbers = itertools.count()


class Hooks:
    """The other end: as many hooks as a test wants."""

    def __init__(self) -> None:
        self.address = f"inbox-{os.getpid()}-{next(_numbers)}"
        self.listener = open_listener(self.address)
        self.sockets: list[socket.socket] = []

    def connect(self) -> socket.socket:
        hook = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        self.sockets.append(hook)
        hook.connect(hook_address(self.address))
        return hook

    def close(self) -> None:
        for hook in self.sockets:
            hook.close()
        if self.listener is not None:
            self.listener.close()


@pytest.fixture
def hooks() -> Iterator[Hooks]:
    hooks = Hooks()
    yield hooks
    hooks.close()


@pytest.fixture
def inbox(hooks: Hooks) -> Iterator[Inbox]:
    inbox = Inbox(hooks.listener)
    yield inbox
    inbox.close()


def fact(**changed: object) -> bytes:
    return json.dumps({**ENDED, **changed}).encode()


def works(inbox: Inbox) -> list[int]:
    return [said["w"] for _, said in inbox.read()]


def test_a_fact_comes_with_the_pid_that_the_kernel_vouches_for(hooks: Hooks, inbox: Inbox) -> None:
    hooks.connect().send(fact())

    assert [(os.getpid(), ENDED)] == list(inbox.read())
    assert (1, {}) == (inbox.seen, inbox.dropped)


def test_facts_of_one_hook_come_in_order(hooks: Hooks, inbox: Inbox) -> None:
    hook = hooks.connect()
    for number in range(50):
        hook.send(fact(w=number))

    assert list(range(50)) == works(inbox)


def test_a_hook_may_connect_while_others_talk(hooks: Hooks, inbox: Inbox) -> None:
    hooks.connect().send(fact(w=1))
    first = works(inbox)
    hooks.connect().send(fact(w=2))

    assert ([1], [2]) == (first, works(inbox))


def test_nobody_has_said_anything(hooks: Hooks, inbox: Inbox) -> None:
    hooks.connect()

    assert [] == list(inbox.read())


def test_one_turn_reads_so_many_messages_and_leaves_the_rest_for_the_next(hooks: Hooks, inbox: Inbox) -> None:
    hook = hooks.connect()
    sent = 0
    try:
        while sent < MOST_MESSAGES_AT_ONCE + 10:
            hook.send(fact(w=sent))
            sent += 1
    except BlockingIOError:
        pytest.skip(f"this kernel holds only {sent} messages")

    assert MOST_MESSAGES_AT_ONCE == len(works(inbox))
    assert 10 == len(works(inbox))


@pytest.mark.parametrize("message", [b"nonsense", b"{}", b"[]", b"\xff", b'{"t":"ended"}', b"[" * 5000])
def test_what_is_no_fact_is_counted_and_the_next_one_gets_through(hooks: Hooks, inbox: Inbox, message: bytes) -> None:
    hook = hooks.connect()
    hook.send(message)
    hook.send(fact(w=3))

    assert [3] == works(inbox)
    assert (2, {"malformed": 1}) == (inbox.seen, inbox.dropped)


def test_a_message_that_is_too_large_is_cut_and_counted(hooks: Hooks, inbox: Inbox) -> None:
    hook = hooks.connect()
    hook.send(fact(pad="x" * LARGEST_MESSAGE_BYTES))
    hook.send(fact(w=3))

    assert [3] == works(inbox)
    assert {"malformed": 1} == inbox.dropped


def test_what_the_hook_could_not_send_is_counted_as_seen_and_dropped(hooks: Hooks, inbox: Inbox) -> None:
    hooks.connect().send(fact(dropped=7))

    assert [1] == works(inbox)
    assert (8, {"hook-could-not-send": 7}) == (inbox.seen, inbox.dropped)


def test_what_was_said_before_a_hook_died_is_still_heard(hooks: Hooks, inbox: Inbox) -> None:
    hook = hooks.connect()
    hook.send(fact(w=5))
    hook.close()

    assert [5] == works(inbox)
    assert [os.getpid()] == inbox.hung_up
    assert {} == inbox.peers


def test_a_hook_that_died_is_not_polled_again(hooks: Hooks, inbox: Inbox) -> None:
    hooks.connect().close()
    works(inbox)

    assert hooks.listener is not None
    assert [hooks.listener.fileno()] == inbox.descriptors()


def test_a_hook_whose_own_mail_lies_unread_hangs_up_as_well(hooks: Hooks, inbox: Inbox) -> None:
    """The kernel answers ECONNRESET rather than an end of file then."""
    hook = hooks.connect()
    inbox.accept()
    next(iter(inbox.peers.values())).send(b"never read")
    hook.close()

    assert [] == works(inbox)
    assert {} == inbox.peers


def test_only_so_many_peers_are_taken_in(hooks: Hooks, inbox: Inbox) -> None:
    for _ in range(MOST_PEERS):
        hooks.connect()
    inbox.accept()
    late = hooks.connect()
    inbox.accept()

    assert MOST_PEERS == len(inbox.peers)
    assert {"too-many-peers": 1} == inbox.dropped
    with pytest.raises(OSError, match="Broken pipe"):
        late.send(fact())


def test_everything_that_speaks_is_polled(hooks: Hooks, inbox: Inbox) -> None:
    hooks.connect()
    hooks.connect()
    inbox.accept()

    assert hooks.listener is not None
    assert {*inbox.peers, hooks.listener.fileno()} == set(inbox.descriptors())
    assert 3 == len(inbox.descriptors())


def test_without_a_listener_there_is_nothing_to_read() -> None:
    inbox = Inbox(None)

    assert ([], []) == (list(inbox.read()), inbox.descriptors())


def test_closing_hangs_up_on_every_hook(hooks: Hooks, inbox: Inbox) -> None:
    hook = hooks.connect()
    inbox.accept()
    inbox.close()

    assert {} == inbox.peers
    with pytest.raises(OSError, match="Broken pipe"):
        hook.send(fact())


def test_two_environments_on_one_machine_do_not_hear_each_other(hooks: Hooks, inbox: Inbox) -> None:
    other = Hooks()
    other.connect().send(fact())

    assert [] == list(inbox.read())
    other.close()


def test_a_name_that_is_taken_costs_one_line_and_the_listener(hooks: Hooks, capfd: pytest.CaptureFixture[str]) -> None:
    again = open_listener(hooks.address)

    assert again is None
    assert "cannot listen for the hook ([Errno 98] Address already in use)" in capfd.readouterr().err


def test_the_peers_number_is_the_one_that_the_socket_module_knows() -> None:
    """SO_PEERCRED is spelt out in the inbox, since ``socket`` costs more than ``_socket``."""
    one, other = socket.socketpair()
    with one, other:
        credentials = struct.unpack("3i", one.getsockopt(_socket.SOL_SOCKET, socket.SO_PEERCRED, 12))

    assert os.getpid() == credentials[0]
    assert 17 == socket.SO_PEERCRED


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def send_with(hook: socket.socket, *descriptors: int) -> None:
    socket.send_fds(hook, [fact()], list(descriptors))


@pytest.fixture
def memfd() -> Iterator[int]:
    descriptor = os.memfd_create("stacks")
    yield descriptor
    os.close(descriptor)


def test_a_file_comes_along_and_a_second_one_takes_its_place(hooks: Hooks, inbox: Inbox, memfd: int) -> None:
    hook = hooks.connect()
    send_with(hook, memfd)
    works(inbox)
    before = open_files()
    for _ in range(20):
        send_with(hook, memfd)
        works(inbox)

    assert [os.getpid()] == list(inbox.files)
    assert before == open_files()
    os.write(inbox.files[os.getpid()], b"stacks")
    assert b"stacks" == os.pread(memfd, 10, 0)


@pytest.mark.parametrize("count", [2, 3, 8, 100])
def test_more_than_one_file_in_a_message_leaves_none_behind(hooks: Hooks, inbox: Inbox, memfd: int, count: int) -> None:
    hook = hooks.connect()
    send_with(hook, memfd)
    works(inbox)
    before = open_files()
    for _ in range(5):
        send_with(hook, *[memfd] * count)
        assert [1] == works(inbox)

    assert before == open_files()


@pytest.mark.parametrize("kind", ["fifo", "socket", "folder", "device"])
def test_what_is_no_file_of_its_own_is_closed_and_counted(hooks: Hooks, inbox: Inbox, kind: str) -> None:
    reading, writing = os.pipe()
    one, other = socket.socketpair()
    folder, device = os.open("/", os.O_RDONLY), os.open("/dev/null", os.O_RDWR)
    hook = hooks.connect()
    inbox.accept()
    before = open_files()
    send_with(hook, {"fifo": writing, "socket": one.fileno(), "folder": folder, "device": device}[kind])
    heard = works(inbox)

    assert ([1], {}, before) == (heard, inbox.files, open_files())
    assert {"file-not-taken": 1} == inbox.dropped
    for descriptor in (reading, writing, folder, device):
        os.close(descriptor)
    one.close()
    other.close()


def test_files_of_many_processes_are_bounded(hooks: Hooks, inbox: Inbox, memfd: int) -> None:
    send_with(hooks.connect(), memfd)
    works(inbox)
    (mine,) = inbox.files.values()
    inbox.files.update({-number: os.dup(mine) for number in range(1, MOST_FILES + 1)})
    del inbox.files[os.getpid()]
    os.close(mine)
    before = open_files()
    send_with(hooks.connect(), memfd)
    works(inbox)

    assert MOST_FILES == len(inbox.files)
    assert before + 2 == open_files(), "both ends of the connection, and no file"
    for file in inbox.files.values():
        os.close(file)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_another_user_is_not_heard(hooks: Hooks, inbox: Inbox) -> None:
    os.seteuid(65534)  # the kernel notes who one is when one connects
    try:
        stranger = hooks.connect()
    finally:
        os.seteuid(0)
    stranger.send(fact())
    heard = works(inbox)

    assert ([], {}, {"of-another-user": 1}) == (heard, inbox.peers, inbox.dropped)
    with pytest.raises(OSError, match=r"Broken pipe|reset by peer"):
        stranger.send(fact())
    hooks.connect().send(fact())
    assert [1] == works(inbox)
