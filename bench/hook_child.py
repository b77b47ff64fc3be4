"""The process in which ``measures/hook.py`` times the hook: the runtime client's own calls, bare and hooked.

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
from inspect import getattr_static
from types import FunctionType
from typing import Any

from awslambdaric import bootstrap
from awslambdaric.lambda_runtime_client import LambdaRuntimeClient

import afterglow_hook


class Hooked(LambdaRuntimeClient):
    """Has no connection: takes the answer, and sends it nowhere."""

    def post_invocation_result(self, *_: object) -> None:
        """Take an answer."""


class Bare(Hooked):
    """The same, for which the hook does not stand in."""

    wait_next_invocation = LambdaRuntimeClient.wait_next_invocation


def time_calls(client: LambdaRuntimeClient, handler: Callable[..., Any], calls: int, pause_s: float) -> list[int]:
    """Return how long each call of ``handle_event_request``, and getting hold of the next one, took, in ns."""
    took = []
    handle = bootstrap.handle_event_request
    client.wait_next_invocation  # noqa: B018 - it is looked up once before the first invocation
    for _ in range(calls):
        request_id = bootstrap._GLOBAL_AWS_REQUEST_ID = str(uuid.uuid4())
        time.sleep(pause_s)
        began_ns = time.perf_counter_ns()
        handle(client, handler, request_id, b"{}", "application/json", None, None, "arn:x", "0", None, None)
        client.wait_next_invocation  # noqa: B018 - as above
        took.append(time.perf_counter_ns() - began_ns)
    return took


def main() -> None:
    """Time both, in turns."""
    folder, rounds, calls, pause_ms = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    afterglow_hook.install()
    if isinstance(getattr_static(LambdaRuntimeClient, "wait_next_invocation"), FunctionType):
        sys.exit("the hook has not attached itself to awslambdaric")
    sys.path.insert(0, folder)
    handler = importlib.import_module("app").handler
    arms = {"bare": Bare("nobody"), "hooked": Hooked("nobody")}
    found: dict[str, list[list[int]]] = {name: [] for name in arms}
    for client in arms.values():
        time_calls(client, handler, calls, 0)  # does not count
    for turn in range(rounds):
        for name in list(arms) if turn % 2 else reversed(arms):
            found[name].append(time_calls(arms[name], handler, calls, pause_ms / 1000))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
