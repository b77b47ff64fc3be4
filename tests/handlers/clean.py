"""Functions that leave nothing behind, though much is there. Afterglow must stay silent on every one of them."""

import asyncio
import concurrent.futures
import http.client
import http.server
import logging
import logging.handlers
import multiprocessing
import multiprocessing.pool
import queue
import select
import signal
import socket
import socketserver
import subprocess
import threading
import time

POOL = concurrent.futures.ThreadPoolExecutor(4)
LATER: dict = {}


def nothing(event, context):
    return "nothing"


def raises(event, context):
    raise ValueError("no work in here")


def joined_thread(event, context):
    worker = threading.Thread(target=time.sleep, args=(0.02,))
    worker.start()
    worker.join()


def idle_module_pool(event, context):
    return [POOL.submit(pow, 2, number).result() for number in range(8)]


def pool_in_context_manager(event, context):
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        return list(pool.map(time.sleep, [0.01] * 6))


def _once(name, make):
    if name not in LATER:
        LATER[name] = make()
    return LATER[name]


def _listener():
    messages = queue.SimpleQueue()
    listener = logging.handlers.QueueListener(messages, logging.NullHandler())
    listener.start()
    logging.getLogger("clean").addHandler(logging.handlers.QueueHandler(messages))
    return listener


def queue_listener(event, context):
    _once("listener", _listener)
    for number in range(20):
        logging.getLogger("clean").warning("message %d", number)


def _worker(inbox):
    def work():
        while True:
            job, done = inbox.get()
            job()
            done.set()

    threading.Thread(target=work, daemon=True).start()
    return inbox


def worker_in_queue_get(event, context):
    inbox = _once("queue", lambda: _worker(queue.Queue()))
    done = threading.Event()
    inbox.put((lambda: None, done))
    done.wait()


def worker_in_simple_queue_get(event, context):
    inbox = _once("simple", lambda: _worker(queue.SimpleQueue()))
    done = threading.Event()
    inbox.put((lambda: None, done))
    done.wait()


def _heartbeat():
    while True:
        time.sleep(0.05)


threading.Thread(target=_heartbeat, daemon=True).start()


def module_level_heartbeat(event, context):
    return "a poller that Init started"


class _Quiet(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


def _server():
    class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
        daemon_threads = True

    server = Server(("127.0.0.1", 0), _Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


SERVER = _server()


def keep_alive_connection(event, context):
    connection = _once("connection", lambda: http.client.HTTPConnection(*SERVER.server_address))
    connection.request("GET", "/")
    return connection.getresponse().read().decode()


async def _gathers():
    await asyncio.gather(asyncio.sleep(0.01), asyncio.sleep(0.02))


def asyncio_run(event, context):
    asyncio.run(_gathers())


LOOP = asyncio.new_event_loop()


def run_until_complete(event, context):
    LOOP.run_until_complete(_gathers())


async def _consume(messages):
    while True:
        (await messages.get())()


async def _with_consumer():
    messages = asyncio.Queue()
    consumer = asyncio.create_task(_consume(messages))
    done = asyncio.Event()
    messages.put_nowait(done.set)
    await done.wait()
    consumer.cancel()


def cancelled_consumer(event, context):
    asyncio.run(_with_consumer())


def _loop_thread():
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return loop


def loop_in_other_thread(event, context):
    loop = _once("loop", _loop_thread)
    asyncio.run_coroutine_threadsafe(_gathers(), loop).result()


def subprocess_run(event, context):
    return subprocess.run(["echo", "done"], capture_output=True, text=True, check=True).stdout


def popen_waited_for(event, context):
    with subprocess.Popen(["true"]) as child:
        return child.wait()


def joined_process(event, context):
    child = multiprocessing.get_context("fork").Process(target=pow, args=(2, 3))
    child.start()
    child.join()


def idle_process_pool(event, context):
    context = multiprocessing.get_context("fork")
    pool = _once("processes", lambda: concurrent.futures.ProcessPoolExecutor(1, context))
    return pool.submit(pow, 2, 10).result()


def idle_thread_pool(event, context):
    pool = _once("threads", lambda: multiprocessing.pool.ThreadPool(2))
    return pool.map(abs, [-1, -2])


def cancelled_timer(event, context):
    timer = threading.Timer(60, nothing)
    timer.start()
    timer.cancel()
    timer.join()


def _sleep_and_look():
    while True:
        time.sleep(0.1)


def lazy_sleeping_loop(event, context):
    _once("sleeping", lambda: threading.Thread(target=_sleep_and_look, daemon=True).start() or True)


def _select_and_look(end):
    while True:
        select.select([end], [], [], 0.2)


def lazy_selecting_loop(event, context):
    ends = _once("ends", socket.socketpair)
    _once("selecting", lambda: threading.Thread(target=_select_and_look, args=ends[:1], daemon=True).start() or True)


def _wait_and_look():
    gate = threading.Event()
    while not gate.wait(0.2):
        pass


def lazy_waiting_loop(event, context):
    _once("waiting", lambda: threading.Thread(target=_wait_and_look, daemon=True).start() or True)


SPANS = []


class _Flushed:
    def __init__(self):
        self._spans = []
        threading.Thread(target=self.work, daemon=True).start()

    def work(self):
        gate = threading.Event()
        while True:
            gate.wait(0.2)
            self.flush()

    def flush(self):
        del self._spans[:]


FLUSHED = _Flushed()


def flushed_exporter(event, context):
    FLUSHED._spans.append({"a": "span"})
    FLUSHED.flush()


def cancelled_alarm(event, context):
    signal.setitimer(signal.ITIMER_REAL, 60)
    signal.setitimer(signal.ITIMER_REAL, 0)


def child_that_nobody_waits_for(event, context):
    child = subprocess.Popen(["true"])
    LATER[f"child {len(LATER)}"] = child
    while child.returncode is None and not _has_ended(child.pid):
        time.sleep(0.005)


def _has_ended(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "Z"
