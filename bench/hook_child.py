"""The process in which ``measures/hook.py`` times the hook: the runtime client's own call, bare and hooked.

In, as arguments: the folder with the handler, rounds, calls per round, pause between calls in ms. Out, on stdout:
``{"bare": [[ns, …], …], "hooked": […]}``, a list per round. The pairing is as close as can be: same process, same
threads, same handler, in turns.
"""

import importlib
import json
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

from awslambdaric import bootstrap
from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller

import afterglow_hook


class Client:
    """Stands where the runtime client has its connection: takes the answer, and sends it nowhere."""

    marshaller = LambdaMarshaller()

    def post_invocation_result(self, *_: object) -> None:
        """Take an answer."""


def time_calls(handle: Callable[..., Any], handler: Callable[..., Any], calls: int, pause_s: float) -> list[int]:
    """Return how long each call of ``handle_event_request`` took, in ns."""
    took = []
    client = Client()
    for _ in range(calls):
        request_id = str(uuid.uuid4())
        time.sleep(pause_s)
        began_ns = time.perf_counter_ns()
        handle(client, handler, request_id, b"{}", "application/json", None, None, "arn:x", "0", None, None)
        took.append(time.perf_counter_ns() - began_ns)
    return took


def main() -> None:
    """Time both, in turns."""
    folder, rounds, calls, pause_ms = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    bare = bootstrap.handle_event_request
    afterglow_hook.install()
    hooked = bootstrap.handle_event_request
    if hooked is bare:
        sys.exit("the hook has not attached itself to awslambdaric")
    sys.path.insert(0, folder)
    handler = importlib.import_module("app").handler
    arms = {"bare": bare, "hooked": hooked}
    found: dict[str, list[list[int]]] = {name: [] for name in arms}
    for handle in arms.values():
        time_calls(handle, handler, calls, 0)  # does not count
    for turn in range(rounds):
        for name in list(arms) if turn % 2 else reversed(arms):
            found[name].append(time_calls(arms[name], handler, calls, pause_ms / 1000))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
