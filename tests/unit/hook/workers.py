"""Threads that serve the whole environment, and what an invocation gives them: `# here: NAME` marks the line."""

import collections
import http.client
import os
import queue
import socket
import threading
import time

LONG_S = 60
silent = socket.create_server(("127.0.0.1", 0))  # takes connections in its backlog, and answers nobody
orders = queue.Queue()
slow = queue.Queue()
batches = queue.Queue()
ready = threading.Event()


def handler(event, context):
    return globals()[event]()


def until(condition):
    """Wait until it holds; the invocation's own time limit ends it otherwise."""
    while not condition():
        time.sleep(0.001)


def waits(thread, *functions):
    """Return whether the thread stands in one of these functions."""
    import sys

    frame = sys._current_frames().get(thread.ident)
    return frame is not None and frame.f_code.co_name in functions


def ask(order):
    connection = http.client.HTTPConnection(*silent.getsockname())
    connection.request("POST", "/orders", body=str(order))
    connection.getresponse()


def send_orders():
    while True:
        ask(orders.get())


def send_slowly():
    while True:
        until(slow.get()["gate"].is_set)


class Batcher(threading.Thread):
    """Collects what comes for a minute, then sends it."""

    def __init__(self):
        super().__init__(daemon=True)
        self.collected = 0

    def run(self):
        while True:
            batch = self.collect()
            print(len(batch))

    def collect(self):
        batch = []
        begin = time.monotonic()
        while len(batch) < 100:
            try:
                batch.append(batches.get(timeout=max(0, LONG_S - time.monotonic() + begin)))
                self.collected += 1
            except queue.Empty:
                break
        return batch


class Exporter:
    """Is given spans by whoever ends them, and exports them once a minute."""

    def __init__(self):
        self._spans = collections.deque()
        self.wake = threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()  # here: in_a_buffer

    def work(self):
        while True:
            self.wake.wait(LONG_S)
            self._spans.clear()


sender = threading.Thread(target=send_orders, daemon=True)
sender.start()
slow_sender = threading.Thread(target=send_slowly, daemon=True)
slow_sender.start()
batcher = Batcher()
batcher.start()
exporter = Exporter()


def asked_through_a_queue():
    orders.put("order")  # here: asked_through_a_queue
    until(lambda: waits(sender, "readinto", "recv_into"))


def queued_behind_another():
    slow.put({"gate": threading.Event()})
    slow.put({"gate": threading.Event()})  # here: queued_behind_another
    until(lambda: slow.qsize() == 1)


def collected_for_a_batch():
    before = batcher.collected
    batches.put({"an": "order"})  # here: collected_for_a_batch
    until(lambda: batcher.collected > before and waits(batcher, "wait"))


def in_a_buffer():
    exporter._spans.append({"a": "span"})


def waits_once():
    gate = threading.Event()
    thread = threading.Thread(target=gate.wait, args=(LONG_S,), daemon=True)
    thread.start()  # here: waits_once
    until(lambda: waits(thread, "wait"))


def sleeps_for_a_retry():
    def retry():
        for _ in range(3):
            time.sleep(LONG_S)

    threading.Thread(target=retry, daemon=True).start()  # here: sleeps_for_a_retry


def raw_thread():
    import _thread

    _thread.start_new_thread(time.sleep, (LONG_S,))  # here: raw_thread


def forked():
    pid = os.fork()  # here: forked
    if not pid:
        time.sleep(LONG_S)
        os._exit(0)


def alarm():
    import signal

    signal.signal(signal.SIGALRM, rings)
    signal.setitimer(signal.ITIMER_REAL, LONG_S)


def rings(number, frame):  # here: alarm
    raise TimeoutError
