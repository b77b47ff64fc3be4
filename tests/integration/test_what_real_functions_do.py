"""What real functions do and the textbook's do not, under real freezes: each told as what it is."""

import pytest
from tests.integration.conftest import RunFunction

EMULATORS = ["rie", "builtin"]


@pytest.mark.parametrize("emulator", EMULATORS)
def test_what_an_internal_extension_does_before_the_freeze_is_by_design(
    run_function: RunFunction, emulator: str
) -> None:
    done = run_function(
        """
        import json, os, queue, threading, time, urllib.request

        API = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2020-01-01/extension"
        jobs = queue.Queue()
        finished = []

        def call(path, headers, body=None):
            return urllib.request.urlopen(urllib.request.Request(API + path, data=body, headers=headers))

        def serve(identifier):
            while True:
                call("/event/next", {"Lambda-Extension-Identifier": identifier}).read()
                jobs.get()
                time.sleep(0.2)
                finished.append(1)

        body = json.dumps({"events": ["INVOKE"]}).encode()
        answer = call("/register", {"Lambda-Extension-Name": "after"}, body)
        identifier = answer.headers["Lambda-Extension-Identifier"]
        threading.Thread(target=serve, args=(identifier,), daemon=True).start()

        def handler(event, context):
            jobs.put("a job")
            return len(finished)
        """,
        *("--repeat", "3", "--emulator", emulator),
    )

    assert [0, 1, 2] == done.answers, "each job was done before the freeze"
    assert [] == done.findings


def test_a_child_s_cpu_after_the_return_is_what_it_took_after_the_return(run_function: RunFunction) -> None:
    done = run_function(
        """
        import subprocess, sys

        CHILD = "import time\\nwhile time.process_time() < 0.3: pass\\nprint('computed', flush=True)\\ntime.sleep(60)"

        def handler(event, context):
            child = subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE)
            child.stdout.readline()
        """,
        *("--repeat", "2", "--memory", "1769"),
    )

    assert ["process"] * 2 == [finding["what"] for finding in done.findings], str(done)
    assert all(finding["cpu_ms"] is None or finding["cpu_ms"] < 100 for finding in done.findings), done.findings


def test_each_order_is_its_own_invocation_s_whoever_started_the_worker(run_function: RunFunction) -> None:
    done = run_function(
        """
        import queue, threading, time

        orders = queue.Queue()
        worker = None

        def work():
            while True:
                order = orders.get()
                time.sleep(0.3)

        def handler(event, context):
            global worker
            if worker is None:
                worker = threading.Thread(target=work, daemon=True)
                worker.start()
            orders.put({"an": "order"})  # here
            time.sleep(0.05)
        """,
        *("--repeat", "4", "--gap", "0.5"),
    )

    assert {2, 3, 4} <= {finding["invocation"] for finding in done.findings}, done.findings
    assert {"handler"} == {finding["where"]["function"] for finding in done.findings}
    assert {"app"} == {finding["worker"] for finding in done.findings}
    assert "Call join()" not in done.output


def test_threads_and_files_that_pile_up_are_told(run_function: RunFunction) -> None:
    done = run_function(
        """
        import os, queue, threading

        kept = []

        def handler(event, context):
            jobs = queue.Queue()
            thread = threading.Thread(target=jobs.get, daemon=True)
            thread.start()
            kept.append((open(os.devnull), thread))
        """,
        *("--repeat", "9", "--gap", "0.2"),
    )

    assert {"threads-left", "fd-left"} == {finding["what"] for finding in done.findings}, done.findings
    (threads,) = [finding for finding in done.findings if finding["what"] == "threads-left"]
    assert "handler" == threads["where"]["function"]
    assert "No work was left behind" in done.output
    assert "Threads pile up" in done.output


def test_a_child_that_the_kernel_kills_for_memory_is_told_though_the_answer_is_fine(run_function: RunFunction) -> None:
    done = run_function(
        """
        import subprocess, sys

        EAT = "kept = [bytearray(b'x') * (4 << 20) for _ in range(150)]"

        def handler(event, context):
            return subprocess.run([sys.executable, "-c", EAT], stderr=subprocess.DEVNULL).returncode
        """,
        *("--repeat", "1", "--memory", "320"),
    )
    if [-9] != done.answers:
        pytest.skip("the kernel does not hold the memory limit here: " + " ".join(done.document["run"]["limits"]))

    assert [("ending", "killed-child", 1)] == [(f["kind"], f["what"], f["invocation"]) for f in done.findings]
    assert "The kernel killed a child process for memory" in done.output
