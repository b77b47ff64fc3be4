"""The registry forgets what is over, or never was; an address or a pid that is used again is somebody else."""

import gc
from concurrent.futures import ThreadPoolExecutor

from tests.unit.hook.conftest import Start

from afterglow_hook import origins


def test_a_thread_that_the_system_has_no_room_for_leaves_no_trace(start: Start) -> None:
    runtime = start("""
        import threading
        from afterglow_hook import origins

        def handler(event, context):
            threading.stack_size(1 << 47)  # all that a process can address
            try:
                threading.Thread(target=print).start()
                return "started"
            except RuntimeError:
                return len(origins.threads)
            finally:
                threading.stack_size(0)
        """)

    assert 0 == runtime.invoke()["result"]
    assert runtime.end()[1] == ""


def test_executors_that_are_gone_leave_no_trace(start: Start) -> None:
    runtime = start("""
        import concurrent.futures, gc, multiprocessing.pool
        from afterglow_hook import origins

        def handler(event, context):
            for number in range(20):
                with concurrent.futures.ThreadPoolExecutor(1) as pool:
                    pool.submit(sum, range(100_000)).result()
                with multiprocessing.pool.ThreadPool(1) as threads:
                    threads.apply_async(abs, (-1,)).get()
                    threads.close()
                    threads.join()
            del pool, threads
            gc.collect()
            return len(origins.crews)
        """)

    assert 0 == runtime.invoke()["result"]


def test_the_cpu_of_an_executor_is_not_that_of_another_one_at_its_address() -> None:
    pool = ThreadPoolExecutor(1)
    first = origins.crew_of(pool)
    assert first is not None
    first.ended_cpu_ns = 5
    again = origins.crew_of(pool)
    address = id(pool)
    del pool
    gc.collect()
    gone = address not in origins.crews
    others = [ThreadPoolExecutor(1) for _ in range(20)]  # one of them may well lie there
    crews = [origins.crew_of(other) for other in others]

    assert first is again
    assert gone
    assert {0} == {crew.ended_cpu_ns for crew in crews if crew is not None}
    assert 20 == len({id(crew) for crew in crews})


def test_what_cannot_be_followed_has_no_crew() -> None:
    assert [None, None] == [origins.crew_of(None), origins.crew_of(5)]
