"""A process that has no descriptor left for the connection that waits, then has some again.

Arguments: ``inbox`` or ``listener``, a path for the socket, and for how many ms there is none left. Prints the turns
that its loop made meanwhile, what was heard by then and in the end, whether it noticed, and the freezes that it saw.
"""

import json
import os
import socket
import sys
import time

from afterglow.inbox import Inbox
from afterglow.listener import Listener
from afterglow.poller import Poller

what, path, without_ms = sys.argv[1:]
kind = socket.SOCK_SEQPACKET if what == "inbox" else socket.SOCK_STREAM
listening = socket.socket(socket.AF_UNIX, kind)
listening.bind(path)
listening.listen()
listening.setblocking(False)
hearing = Inbox(listening) if what == "inbox" else Listener(listening)
poller = Poller(time.monotonic_ns(), time.process_time_ns())
poller.wait(hearing.descriptors(), 1)

caller = socket.socket(socket.AF_UNIX, kind)
caller.connect(path)
body = json.dumps([{"type": "platform.start"}])
request = f"POST / HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n{body}"
fact = json.dumps({"t": "ended", "w": 1, "at": 2, "cpu": None})
caller.send((fact if what == "inbox" else request).encode())

held = []
try:
    while True:
        held.append(os.open("/dev/null", os.O_RDONLY))
except OSError:  # EMFILE: that is the point
    heard: list[object] = []
turns, until_s = 0, time.monotonic() + float(without_ms) / 1000
while time.monotonic() < until_s:
    poller.wait(hearing.descriptors(), 50)
    heard += hearing.read()
    turns += 1
before = len(heard)
for descriptor in held:
    os.close(descriptor)
while not heard:
    poller.wait(hearing.descriptors(), 50)
    heard += hearing.read()
print(json.dumps([turns, before, len(heard), hearing.ear.no_room > 0, len(poller.frozen.windows)]))
