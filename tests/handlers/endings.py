"""Functions that come to an end other than their own."""

import ctypes
import os
import signal
import sys
import threading
import time


def times_out(event, context):
    threading.Thread(target=_waits_too, name="second", daemon=True).start()
    _waits()


def _waits():
    time.sleep(60)


def _waits_too():
    time.sleep(60)


def times_out_busy(event, context):
    while True:
        pass


def segfaults(event, context):
    ctypes.string_at(0)


def aborts(event, context):
    os.abort()


def exits(event, context):
    os._exit(3)


def system_exit(event, context):
    sys.exit(4)


def kills_itself(event, context):
    os.kill(os.getpid(), signal.SIGKILL)


def eats_memory(event, context):
    kept = []
    while True:
        kept.append(bytearray(4 * 1024 * 1024))
        time.sleep(0.005)


def raises(event, context):
    raise KeyError("secret")


def returns(event, context):
    return "fine"
