"""Threads that live on by design and have nothing in hand: whatever they do at the return, there is nothing to say."""

import collections
import http.client
import queue
import select
import socket
import sys
import threading
import time

orders = queue.Queue()
events = queue.Queue()
here, there = socket.socketpair()
server = socket.create_server(("127.0.0.1", 0))
started = {}


def handler(event, context):
    return globals()[event]()


def waits(thread, *functions):
    frame = sys._current_frames().get(thread.ident)
    return frame is not None and frame.f_code.co_name in functions


def until(condition):
    while not condition():
        time.sleep(0.001)


def once(target, *functions):
    """Start a thread the first time it is needed, and wait until it stands in one of these functions."""
    if target not in started:
        started[target] = threading.Thread(target=target, daemon=True)
        started[target].start()
    until(lambda: waits(started[target], *functions))
    return started[target]


def sleep_and_look():
    while True:
        time.sleep(0.05)


def sleeping_loop():
    once(sleep_and_look, "sleep_and_look")


def select_and_look():
    while True:
        select.select([here], [], [], 0.05)


def selecting_loop():
    once(select_and_look, "select_and_look")


def wait_and_look():
    gate = threading.Event()
    while not gate.is_set():
        gate.wait(0.05)


def timed_waiting_loop():
    once(wait_and_look, "wait")


def work_off():
    while True:
        orders.get()
        orders.task_done()


def worker_that_is_done():
    orders.put({"an": "order"})
    once(work_off, "wait", "work_off")
    orders.join()


def work_off_in_time():
    while True:
        try:
            event = events.get(timeout=0.05)
        except queue.Empty:
            continue
        event["done"] = True


def timed_worker_that_is_done():
    event = {"done": False}
    events.put(event)
    thread = once(work_off_in_time, "wait", "work_off_in_time")
    until(lambda: event["done"] and waits(thread, "wait"))


def listen():
    connection = socket.create_connection(server.getsockname())
    connection.sendall(b"subscribe")
    while True:
        connection.recv(100)


def subscriber_that_was_answered():
    if listen not in started:
        started[listen] = threading.Thread(target=listen, daemon=True)
        started[listen].start()
        peer = server.accept()[0]
        peer.recv(100)
        time.sleep(0.02)  # the kernel tells what came first by its tick, of 4 ms at most
        peer.sendall(b"subscribed")
        started["peer"] = peer
        time.sleep(0.02)
    until(lambda: waits(started[listen], "listen"))


class Flushed:
    """An exporter that the handler flushes itself."""

    def __init__(self):
        self._spans = collections.deque()
        threading.Thread(target=self.work, daemon=True).start()

    def work(self):
        gate = threading.Event()
        while True:
            gate.wait(60)
            self._spans.clear()


flushed = Flushed()


def flushed_buffer():
    flushed._spans.append({"a": "span"})
    flushed._spans.clear()


def poll():
    while True:
        connection = http.client.HTTPConnection(*server.getsockname())
        connection.request("GET", "/flags")
        connection.getresponse()


def told_to_end():
    jobs = queue.Queue()

    def work():
        while True:
            job = jobs.get()
            if job is None:
                return

    threading.Thread(target=work, daemon=True).start()
    jobs.put({"a": "job"})
    jobs.put(None)
