"""Functions that start work and leave it, one way each. `# here: NAME` marks the line that started it."""

import asyncio
import concurrent.futures
import functools
import multiprocessing
import multiprocessing.pool
import subprocess
import sys
import threading
import time

FORK = multiprocessing.get_context("fork")
LONG_S = 60
kept = []


def handler(event, context):
    return globals()[event]()


def wait_long():
    time.sleep(LONG_S)


def thread():
    threading.Thread(target=wait_long, daemon=True).start()  # here: thread


class Sender(threading.Thread):
    def run(self):
        wait_long()


def thread_subclass():
    Sender(name="sender", daemon=True).start()  # here: thread_subclass


def start_for(function):
    worker = threading.Thread(target=function, daemon=True)
    worker.start()  # here: thread_in_helper


def thread_in_helper():
    start_for(wait_long)


def thread_of_partial():
    threading.Thread(target=functools.partial(time.sleep, LONG_S), daemon=True).start()  # here: thread_of_partial


def timer():
    alarm = threading.Timer(LONG_S, wait_long)
    alarm.daemon = True
    alarm.start()  # here: timer


def timer_for_ever():
    alarm = threading.Timer(None, wait_long)
    alarm.daemon = True
    alarm.start()  # here: timer_for_ever


def pool(workers=1):
    kept.append(concurrent.futures.ThreadPoolExecutor(workers))
    return kept[-1]


def executor():
    pool().submit(wait_long)  # here: executor


def executor_queue():
    workers = pool()
    for _ in range(3):
        workers.submit(wait_long)  # here: executor_queue


def executor_map():
    pool(2).map(time.sleep, [LONG_S, LONG_S])  # here: executor_map


def process_executor():
    kept.append(concurrent.futures.ProcessPoolExecutor(1, FORK))
    kept[-1].submit(time.sleep, LONG_S)  # here: process_executor


def thread_pool():
    kept.append(multiprocessing.pool.ThreadPool(1))
    kept[-1].apply_async(wait_long)  # here: thread_pool


def thread_pool_map():
    kept.append(multiprocessing.pool.ThreadPool(1))
    kept[-1].map_async(time.sleep, [LONG_S])  # here: thread_pool_map


def process_pool():
    kept.append(FORK.Pool(1))
    kept[-1].apply_async(time.sleep, (LONG_S,))  # here: process_pool


def run_until_complete(coroutine):
    loop = asyncio.new_event_loop()
    kept.append(loop)
    return loop.run_until_complete(coroutine)


async def notify():
    await asyncio.sleep(LONG_S)


def task():
    async def main():
        kept.append(asyncio.get_running_loop().create_task(notify()))  # here: task
        await asyncio.sleep(0)

    run_until_complete(main())


def task_of_ensure_future():
    async def main():
        kept.append(asyncio.ensure_future(notify()))  # here: task_of_ensure_future
        await asyncio.sleep(0)

    run_until_complete(main())


def task_of_task():
    async def outer():
        kept.append(asyncio.create_task(notify()))  # here: task_of_task

    async def main():
        await asyncio.create_task(outer())
        await asyncio.sleep(0)

    run_until_complete(main())


def task_cancelled():
    async def main():
        kept.append(asyncio.create_task(notify()))  # here: task_cancelled
        await asyncio.sleep(0)

    asyncio.run(main())


def task_in_thread():
    loop = asyncio.new_event_loop()
    runner = threading.Thread(target=loop.run_forever, daemon=True)
    runner.start()
    kept.append(asyncio.run_coroutine_threadsafe(notify(), loop))  # here: task_in_thread
    while sys._current_frames()[runner.ident].f_code.co_name != "select":
        time.sleep(0.001)


def job_of_loop():
    async def main():
        kept.append(asyncio.get_running_loop().run_in_executor(pool(), wait_long))  # here: job_of_loop

    run_until_complete(main())


def program():
    kept.append(subprocess.Popen(["sleep", str(LONG_S)]))  # here: program


def program_in_shell():
    kept.append(subprocess.Popen(f"sleep {LONG_S}; true", shell=True))  # here: program_in_shell


def program_spawned():
    """close_fds=False lets subprocess use posix_spawn, where it can."""
    kept.append(subprocess.Popen(["/bin/sleep", str(LONG_S)], close_fds=False))  # here: program_spawned


def program_of_loop():
    async def main():
        kept.append(await asyncio.create_subprocess_exec("sleep", str(LONG_S)))  # here: program_of_loop

    run_until_complete(main())


def process():
    kept.append(FORK.Process(target=wait_long, name="worker", daemon=True))
    kept[-1].start()  # here: process


def process_spawned():
    kept.append(multiprocessing.get_context("spawn").Process(target=wait_long, name="worker", daemon=True))
    main = sys.modules.pop("__main__")  # a child must not run this process's main module again
    sys.modules["__main__"] = type(sys)("__main__")
    kept[-1].start()  # here: process_spawned
    sys.modules["__main__"] = main
