"""Functions that leave nothing behind that works, though they leave threads, loops and processes that wait."""

import asyncio
import concurrent.futures
import contextlib
import logging
import logging.handlers
import multiprocessing
import multiprocessing.pool
import multiprocessing.shared_memory
import queue
import socketserver
import subprocess
import sys
import threading
import time

FORK = multiprocessing.get_context("fork")
kept = []


def handler(event, context):
    return globals()[event]()


def read(path):
    with open(path) as file:
        return file.read()


def until_idle(thread, *functions):
    """Wait until the thread sits in one of these functions, or is at its end."""
    while thread.is_alive():
        frame = sys._current_frames().get(thread.ident)
        if frame is not None and frame.f_code.co_name in functions:
            return
        time.sleep(0.001)


def thread_joined():
    worker = threading.Thread(target=time.sleep, args=(0.01,))
    worker.start()
    worker.join()


def thread_in_queue_get():
    worker = threading.Thread(target=queue.Queue().get, daemon=True)
    worker.start()
    until_idle(worker, "wait")


def thread_in_event_wait():
    worker = threading.Thread(target=threading.Event().wait, daemon=True)
    worker.start()
    until_idle(worker, "wait")


def thread_at_a_lock():
    lock = threading.Lock()
    kept.append(lock)
    lock.acquire()
    reached = threading.Event()

    def stand():
        reached.set()
        lock.acquire()

    worker = threading.Thread(target=stand, daemon=True)
    worker.start()
    reached.wait()
    while read(f"/proc/self/task/{worker.native_id}/syscall").split()[0] not in ("202", "98"):  # futex
        time.sleep(0.001)


def timer_cancelled():
    alarm = threading.Timer(60, print)
    alarm.start()
    alarm.cancel()
    alarm.join()


def pool_that_is_done():
    pool = concurrent.futures.ThreadPoolExecutor(2)
    kept.append(pool)
    assert [1, 4] == list(pool.map(lambda n: n * n, [1, 2]))


def pool_in_a_with():
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        pool.submit(time.sleep, 0.01)


def process_pool_that_is_done():
    pool = concurrent.futures.ProcessPoolExecutor(1, FORK)
    kept.append(pool)
    assert 3 == pool.submit(abs, -3).result()


def thread_pool_that_is_done():
    pool = multiprocessing.pool.ThreadPool(2)
    kept.append(pool)
    assert [1, 2] == pool.map(abs, [-1, 2])
    assert 3 == pool.apply_async(abs, (-3,)).get()


def multiprocessing_pool_that_is_done():
    pool = FORK.Pool(1)
    kept.append(pool)
    assert [1, 2] == pool.map(abs, [-1, 2])


def job_cancelled():
    pool = concurrent.futures.ThreadPoolExecutor(1)
    kept.append(pool)
    go_on = threading.Event()
    first, second = pool.submit(go_on.wait), pool.submit(print)
    assert second.cancel()
    go_on.set()
    first.result()


def program_that_was_waited_for():
    subprocess.run(["true"], check=True)


def program_that_has_ended():
    program = subprocess.Popen(["true"])
    kept.append(program)
    while read(f"/proc/{program.pid}/stat").rpartition(") ")[2][0] != "Z":
        time.sleep(0.001)


def program_that_is_missing():
    with contextlib.suppress(FileNotFoundError):
        subprocess.Popen(["there-is-no-such-program"])


def process_joined():
    child = FORK.Process(target=abs, args=(1,))
    child.start()
    child.join()


def manager():
    kept.append(FORK.Manager())


def shared_memory():
    memory = multiprocessing.shared_memory.SharedMemory(create=True, size=16)
    memory.close()
    memory.unlink()


def run_that_completes():
    async def main():
        await asyncio.gather(*(asyncio.sleep(0.001) for _ in range(5)))
        await asyncio.to_thread(abs, -1)

    asyncio.run(main())


def task_that_is_done():
    async def main():
        kept.append(asyncio.create_task(asyncio.sleep(0)))
        await kept[-1]

    loop = asyncio.new_event_loop()
    kept.append(loop)
    loop.run_until_complete(main())


def task_that_waits_for_work():
    """A consumer on a queue that nobody fills."""

    async def main():
        kept.append(asyncio.create_task(asyncio.Queue().get()))
        await asyncio.sleep(0)

    loop = asyncio.new_event_loop()
    kept.append(loop)
    loop.run_until_complete(main())


def loop_in_a_thread():
    loop = asyncio.new_event_loop()
    runner = threading.Thread(target=loop.run_forever, daemon=True)
    runner.start()
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result()
    until_idle(runner, "select")


def server_in_a_thread():
    server = socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler)
    kept.append(server)
    runner = threading.Thread(target=server.serve_forever, daemon=True)
    runner.start()
    until_idle(runner, "select")


def log_queue():
    lines = queue.SimpleQueue()
    listener = logging.handlers.QueueListener(lines, logging.NullHandler())
    kept.append(listener)
    listener.start()
    logging.getLogger("quiet").addHandler(logging.handlers.QueueHandler(lines))
    logging.getLogger("quiet").error("something")
    until_idle(listener._thread, "dequeue")


def coroutine_that_is_never_awaited():
    kept.append(asyncio.sleep(0))
