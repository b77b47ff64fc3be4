"""What a thread, a task or a child is doing, told from the real thing."""

import asyncio
import os
import queue
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from afterglow_hook.waits import (
    CHILD,
    IDLE,
    IO,
    LOCKED,
    RUNNING,
    SLEEPING,
    place_of,
    process_alive,
    process_born,
    task_state,
    thread_state,
)

LIMIT_S = 20.0


class Stand:
    """Things that a thread can stand and wait at, all of which the end of the test releases."""

    def __init__(self) -> None:
        self.one, self.other = socket.socketpair()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.lock = threading.Lock()
        self.lock.acquire()
        self.over = threading.Event()
        self.jobs: queue.Queue[None] = queue.Queue()
        self.child = subprocess.Popen(["sleep", "60"])

    def release(self) -> None:
        self.over.set()
        self.lock.release()
        self.jobs.put(None)
        self.other.send(b"x")
        socket.create_connection(self.server.getsockname()).close()
        self.child.kill()

    def close(self) -> None:
        for thing in (self.one, self.other, self.server):
            thing.close()
        self.child.wait()


@pytest.fixture
def stand() -> Iterator[Stand]:
    stand = Stand()
    yield stand
    stand.close()


def sleep(stand: Stand) -> None:
    while not stand.over.is_set():
        time.sleep(0.2)


def receive(stand: Stand) -> None:
    stand.one.recv(1)


def poll(stand: Stand) -> None:
    poller = select.poll()
    poller.register(stand.one, select.POLLIN)
    poller.poll()


def wait_for_child(stand: Stand) -> None:
    os.waitid(os.P_PID, stand.child.pid, os.WEXITED | os.WNOWAIT)


def lock(stand: Stand) -> None:
    stand.lock.acquire()


def compute(stand: Stand) -> None:
    while not stand.over.is_set():
        sum(range(1000))


def wait_for_event(stand: Stand) -> None:
    stand.over.wait()


def get_job(stand: Stand) -> None:
    stand.jobs.get()


def accept(stand: Stand) -> None:
    stand.server.accept()[0].close()


def get_result(stand: Stand) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(stand.over.wait).result()


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (sleep, SLEEPING),
        (receive, IO),
        (poll, IO),
        (wait_for_child, CHILD),
        (lock, LOCKED),
        (compute, RUNNING),
        (wait_for_event, IDLE),
        (get_job, IDLE),
        (accept, IDLE),
        (get_result, IDLE),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_thread_is_seen_at_what_it_does(stand: Stand, work: Callable[[Stand], None], expected: str) -> None:
    thread = threading.Thread(target=work, args=(stand,))
    thread.start()
    seen = set()
    by_s = time.monotonic() + LIMIT_S
    try:
        while expected not in seen and time.monotonic() < by_s:
            seen.add(thread_state(sys._current_frames().get(thread.ident or 0), thread.native_id))
            time.sleep(0.001)
    finally:
        stand.release()
        thread.join()

    assert expected in seen


@pytest.mark.parametrize(("work", "waits"), [(get_job, True), (wait_for_event, True), (receive, False), (sleep, False)])
def test_a_thread_that_stands_is_at_one_place(stand: Stand, work: Callable[[Stand], None], waits: bool) -> None:
    thread = threading.Thread(target=work, args=(stand,))
    thread.start()
    by_s = time.monotonic() + LIMIT_S
    places = [place_of(None)]
    try:
        while places.count(places[-1]) < 10 and time.monotonic() < by_s:
            places.append(place_of(sys._current_frames()[thread.ident or 0]))
            time.sleep(0.001)
    finally:
        stand.release()
        thread.join()

    assert places.count(places[-1]) == 10, places
    assert waits is places[-1][1]


def test_a_thread_that_goes_on_is_elsewhere() -> None:
    def count() -> Iterator[int]:
        yield 1
        yield 2

    counting = count()
    places = [place_of(counting.gi_frame) for _ in counting]  # type: ignore[attr-defined]  # a generator has one

    assert 2 == len(set(places))


def test_a_thread_that_has_no_frame_yet_runs() -> None:
    assert RUNNING == thread_state(None, os.getpid())


def test_a_thread_whose_kernel_side_is_gone_gives_no_evidence() -> None:
    assert LOCKED == thread_state(sys._getframe(), 1 << 22)


async def sleeper() -> None:
    await asyncio.sleep(60)


async def consumer() -> None:
    await asyncio.Queue().get()


async def reader() -> None:
    await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize(("work", "expected"), [(sleeper, SLEEPING), (consumer, IDLE), (reader, IO)])
def test_a_task_is_seen_at_what_it_awaits_in_the_end(work: Callable[[], object], expected: str) -> None:
    async def outer() -> None:
        await work()  # type: ignore[misc]  # one of the three coroutines above

    async def main() -> tuple[str, int]:
        task = asyncio.create_task(outer())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        state = task_state(task.get_coro())
        task.cancel()
        return state

    assert expected == asyncio.run(main())[0]


def test_progress_of_a_task_is_seen() -> None:
    async def work() -> None:
        for _ in range(3):
            await asyncio.sleep(0)

    async def main() -> list[int]:
        task = asyncio.create_task(work())
        seen = []
        while not task.done():
            seen.append(task_state(task.get_coro())[1])
            await asyncio.sleep(0)
        return seen

    seen = asyncio.run(main())

    assert len(set(seen)) >= 2


def test_a_child_lives_until_it_has_ended_and_its_status_is_left_to_its_parent() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        before = process_alive(child.pid)
        assert child.stdin
        child.stdin.close()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        after = process_alive(child.pid)
        status = child.wait()

    assert (True, False, 0) == (before, after, status)


def test_a_child_with_the_pid_of_another_one_is_not_it() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        born = process_born(child.pid)
        assert born is not None
        alive = [process_alive(child.pid, born), process_alive(child.pid, born - 1), process_alive(child.pid, None)]

    assert [True, False, True] == alive
    assert process_born(1 << 22) is None


def test_a_child_that_has_been_waited_for_is_none() -> None:
    child = subprocess.Popen(["true"])
    child.wait()

    assert not process_alive(child.pid)


def test_a_process_that_is_no_child_of_ours_is_none_of_ours() -> None:
    assert not process_alive(os.getpid())
    assert not process_alive(1)
