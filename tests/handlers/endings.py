"""Functions that come to an end other than their own. ``# ends: NAME`` marks the line that stacks must name."""

import ctypes
import os
import signal
import sys
import threading
import time

MIB = 1 << 20
kept = []


def returns(event, context):
    return "fine"


def raises(event, context):
    raise KeyError("secret")


def raises_at_length(event, context):
    raise ValueError("secret \udcff " + "x" * 10_000)


class UnspeakableError(Exception):
    def __str__(self):
        raise RuntimeError("secret")


def raises_what_cannot_be_said(event, context):
    raise UnspeakableError


def answers_with_no_json(event, context):
    return {"a secret": object()}


def times_out(event, context):
    time.sleep(60)  # ends: times_out


def times_out_busy(event, context):
    while True:
        _burn()  # ends: times_out_busy


def _burn():
    sum(range(1000))


def times_out_in_c(event, context):
    """C that holds the interpreter's lock: no Python code, and no Python signal handler, runs any more."""
    pause = ctypes.PyDLL(None).usleep
    while True:
        pause(30_000_000)  # ends: times_out_in_c


def times_out_with_threads(event, context):
    threading.Thread(target=_waits_too, name="second", daemon=True).start()
    time.sleep(60)  # ends: times_out_with_threads


def _waits_too():
    time.sleep(60)  # ends: second


def segfaults(event, context):
    ctypes.string_at(0)  # ends: segfaults


def aborts(event, context):
    os.abort()  # ends: aborts


def exits(event, context):
    os._exit(3)


def system_exit(event, context):
    sys.exit(4)


def kills_itself(event, context):
    os.kill(os.getpid(), signal.SIGKILL)


def eats_memory(event, context):
    while True:
        kept.append(bytearray(4 * MIB))
        time.sleep(0.005)


def fills_memory_and_is_killed(event, context):
    """What the kernel does to a process that has filled its memory, done by hand."""
    _fill(event)  # ends: fills_memory_and_is_killed
    os.kill(os.getpid(), signal.SIGKILL)


def fills_memory_and_times_out(event, context):
    _fill(event)
    time.sleep(60)  # ends: fills_memory_and_times_out


def _fill(event):
    kept.extend(bytearray(b"x") * MIB for _ in range(event["mb"]))
    time.sleep(0.3)


def answers(event, context):
    return "x" * event["bytes"]


def measures(event, context):
    return len(event["text"])


def writes_to_tmp(event, context):
    try:
        with open("/tmp/afterglow-test", "w") as file:
            file.write("x" * 100_000)
    except OSError as error:
        return error.strerror


def sleeps(event, context):
    time.sleep(event["ms"] / 1000)
    return "slept"


def says_so_and_sleeps(event, context):
    print("sleeping", flush=True)
    time.sleep(event.get("s", 60))


def by_name(event, context):
    """Run the function that the event names, so that one environment can come to several ends."""
    return globals()[event["do"]](event, context)


def _import_something_missing():
    import no_such_module  # noqa: F401  # ends: import-error


def _raise():
    raise ValueError("secret")  # ends: raise


AT_IMPORT = {
    "import-error": _import_something_missing,
    "raise": _raise,
    "exit": lambda: os._exit(5),
    "system-exit": lambda: sys.exit(6),  # ends: system-exit
    "segfault": lambda: ctypes.string_at(0),  # ends: segfault
    "sleep": lambda: time.sleep(60),  # ends: sleep
    "pause": lambda: time.sleep(0.4),
}

if "AT_IMPORT" in os.environ:
    AT_IMPORT[os.environ["AT_IMPORT"]]()
