"""Functions that leave work behind, one bug each. ``# started: NAME`` marks the line that a finding must name."""

import _thread
import asyncio
import concurrent.futures
import multiprocessing
import multiprocessing.pool
import os
import queue
import signal
import socket
import subprocess
import threading
import time

AWAKE_S = 0.3
POOL = concurrent.futures.ThreadPoolExecutor(2)
SMALL_POOL = concurrent.futures.ThreadPoolExecutor(1)
THREAD_POOL = None
LOOP = asyncio.new_event_loop()
SILENT, _OTHER_END = socket.socketpair()
calls = 0


def _first():
    global calls
    calls += 1
    return calls == 1


def send():
    time.sleep(AWAKE_S)


def thread_sleeping(event, context):
    if _first():
        threading.Thread(target=send).start()  # started: thread_sleeping
    else:
        time.sleep(0.5)


def thread_in_socket(event, context):
    if _first():
        threading.Thread(target=SILENT.recv, args=(1,), daemon=True).start()  # started: thread_in_socket


def _burn(seconds):
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def thread_burning(event, context):
    if _first():
        threading.Thread(target=_burn, args=(0.3,)).start()  # started: thread_burning
    else:
        time.sleep(0.8)


def _deep_start():
    worker = threading.Thread(target=send, name="courier")
    worker.start()  # started: thread_from_helper


def thread_from_helper(event, context):
    if _first():
        _deep_start()
    else:
        time.sleep(0.5)


def timer_due(event, context):
    if _first():
        threading.Timer(0.3, send).start()  # started: timer_due
    else:
        time.sleep(0.5)


def timer_far(event, context):
    if _first():
        timer = threading.Timer(60, send)
        timer.daemon = True
        timer.start()  # started: timer_far


def executor_running(event, context):
    if _first():
        POOL.submit(send)  # started: executor_running
    else:
        time.sleep(0.5)


def executor_queued(event, context):
    if _first():
        for _ in range(3):
            SMALL_POOL.submit(send)  # started: executor_queued
    else:
        time.sleep(1.2)


def executor_not_waited_for(event, context):
    if _first():
        pool = concurrent.futures.ThreadPoolExecutor(1)
        pool.submit(_burn, 0.3)  # started: executor_not_waited_for
        pool.shutdown(wait=False)
    else:
        time.sleep(0.5)


def thread_pool_async(event, context):
    global THREAD_POOL
    if _first():
        THREAD_POOL = multiprocessing.pool.ThreadPool(1)
        THREAD_POOL.apply_async(send)  # started: thread_pool_async
    else:
        time.sleep(0.5)


def process_pool(event, context):
    global THREAD_POOL
    if _first():
        THREAD_POOL = concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("fork"))
        THREAD_POOL.submit(time.sleep, 0.4)  # started: process_pool
    else:
        time.sleep(0.5)


async def _notify():
    await asyncio.sleep(AWAKE_S)


async def _fire_and_forget():
    asyncio.get_running_loop().create_task(_notify())  # started: task_in_stopped_loop


def task_in_stopped_loop(event, context):
    if _first():
        LOOP.run_until_complete(_fire_and_forget())
    else:
        LOOP.run_until_complete(asyncio.sleep(0.5))


async def _fire_and_lose():
    asyncio.get_running_loop().create_task(_notify())  # started: task_never_run_again


def task_never_run_again(event, context):
    if _first():
        LOOP.run_until_complete(_fire_and_lose())


def _loop_thread():
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return loop


BACKGROUND_LOOP = None


def task_in_other_thread(event, context):
    global BACKGROUND_LOOP
    BACKGROUND_LOOP = BACKGROUND_LOOP or _loop_thread()
    if _first():
        asyncio.run_coroutine_threadsafe(_notify(), BACKGROUND_LOOP)  # started: task_in_other_thread
    else:
        time.sleep(0.5)


async def _forgets_to_await():
    forgotten = asyncio.create_task(_notify())  # started: task_cancelled_by_run
    await asyncio.sleep(0)
    return forgotten.done()


def task_cancelled_by_run(event, context):
    if _first():
        asyncio.run(_forgets_to_await())


async def _forgets_executor():
    asyncio.get_running_loop().run_in_executor(POOL, send)  # started: run_in_executor


def run_in_executor(event, context):
    if _first():
        LOOP.run_until_complete(_forgets_executor())
    else:
        time.sleep(0.5)


def child_program(event, context):
    global THREAD_POOL
    if _first():
        THREAD_POOL = subprocess.Popen(["sleep", "0.4"])  # started: child_program
    else:
        THREAD_POOL.wait()


def child_program_for_ever(event, context):
    global THREAD_POOL
    if _first():
        THREAD_POOL = subprocess.Popen(["sleep", "60"])  # started: child_program_for_ever


def child_process(event, context):
    global THREAD_POOL
    if _first():
        THREAD_POOL = multiprocessing.get_context("fork").Process(target=_burn, args=(0.3,))
        THREAD_POOL.start()  # started: child_process
    else:
        THREAD_POOL.join()


def exits_with_thread(event, context):
    if _first():
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()  # started: exits_with_thread
        return
    os._exit(3)


def times_out_with_thread(event, context):
    if _first():
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()  # started: times_out_with_thread
        return
    time.sleep(60)


def reminder_due(event, context):
    if _first():
        gate = threading.Event()
        threading.Thread(target=gate.wait, args=(AWAKE_S,), daemon=True).start()  # started: reminder_due
    else:
        time.sleep(0.5)


def reminder_far(event, context):
    if _first():
        threading.Thread(target=threading.Event().wait, args=(60,), daemon=True).start()  # started: reminder_far


ORDERS = queue.Queue()
SLOW, _ASKED = socket.socketpair()


def _answer_slowly():
    while True:
        _ASKED.recv(100)
        time.sleep(AWAKE_S)
        _ASKED.send(b"ok")


def _send_orders():
    while True:
        SLOW.send(ORDERS.get())
        SLOW.recv(100)


threading.Thread(target=_answer_slowly, daemon=True).start()
threading.Thread(target=_send_orders, daemon=True).start()


def order_in_io(event, context):
    if _first():
        ORDERS.put(b"an order")  # started: order_in_io
        time.sleep(0.02)
    else:
        time.sleep(0.5)


def order_queued(event, context):
    if _first():
        for order in (b"one order", b"another"):
            ORDERS.put(order)  # started: order_queued
    else:
        time.sleep(1)


BATCHED = queue.Queue()


def _collect():
    batch = []
    while True:
        batch.append(BATCHED.get(timeout=60))


threading.Thread(target=_collect, daemon=True).start()


def batch_never_sent(event, context):
    if _first():
        BATCHED.put({"an": "event"})  # started: batch_never_sent


class _Exporter:
    def __init__(self):
        self._spans = []
        threading.Thread(target=self.work, daemon=True).start()  # started: buffer_sent_late

    def work(self):
        gate = threading.Event()
        while True:
            gate.wait(AWAKE_S)
            del self._spans[:]


EXPORTER = _Exporter()


def buffer_sent_late(event, context):
    if _first():
        EXPORTER._spans.append({"a": "span"})
    else:
        time.sleep(0.5)


def raw_thread(event, context):
    if _first():
        _thread.start_new_thread(send, ())  # started: raw_thread
    else:
        time.sleep(0.5)


def forked_child(event, context):
    if _first():
        pid = os.fork()  # started: forked_child
        if not pid:
            time.sleep(AWAKE_S)
            os._exit(0)
    else:
        time.sleep(0.5)


def _ring(number, frame):  # started: alarm_due
    pass


def alarm_due(event, context):
    if _first():
        signal.signal(signal.SIGALRM, _ring)
        signal.setitimer(signal.ITIMER_REAL, AWAKE_S)
    else:
        time.sleep(0.5)
