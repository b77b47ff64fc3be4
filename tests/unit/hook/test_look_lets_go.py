"""A look keeps nothing of what it has seen: what a thread held goes when the thread does, garbage collector or not."""

from tests.unit.hook.conftest import Start

SOURCE = """
import gc, threading, weakref

gc.disable()
gates = []
seen = []

class Load:
    pass

def work(gate):
    load = Load()
    seen.append(weakref.ref(load))
    gate.started.set()
    gate.wait()

def handler(event, context):
    if event == "begin":
        gate = threading.Event()
        gate.started = threading.Event()
        thread = threading.Thread(target=work, args=(gate,))
        thread.start()
        gate.started.wait()
        gates.append((gate, thread))
    else:
        for gate, thread in gates:
            gate.set()
            thread.join()
        gates.clear()
        return [ref() is None for ref in seen]
"""


def test_what_a_thread_held_goes_with_it(start: Start, python: str) -> None:
    runtime = start(SOURCE, python)
    runtime.found("begin")
    runtime.found("begin")

    answer = runtime.invoke("end")

    assert [True, True] == answer["result"], answer
