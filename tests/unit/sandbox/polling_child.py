"""A process that waits or works as the extension does, under its Poller; it tells what it took for a freeze.

Arguments: ``work`` or ``wait``, and the milliseconds to do so (of CPU; of the clock). Says "ready" first.
"""

import json
import sys
import time

from afterglow.poller import Poller

what, how_long_ns = sys.argv[1], int(float(sys.argv[2]) * 1e6)
poller = Poller(time.monotonic_ns(), time.process_time_ns())
poller.watch_work()
poller.wait([], 1)
sys.stdout.write("ready\n")
sys.stdout.flush()
poller.wait([], 1)
clock = time.process_time_ns if what == "work" else time.monotonic_ns
until_ns = clock() + how_long_ns
while clock() < until_ns:
    if what == "wait":
        poller.wait([], 1)
poller.look_back()
poller.close()
print(json.dumps([[window.from_ns, window.to_ns, window.frozen_ns] for window in poller.frozen.windows]))
