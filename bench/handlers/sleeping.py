"""A function that lasts as long as its event says: asleep, or busy."""

import time
from typing import Any


def handler(event: dict[str, Any], context: object) -> int:  # noqa: ARG001 - as Lambda calls it
    until_ns = time.monotonic_ns() + int(event["ms"] * 1e6)
    if event["busy"]:
        while time.monotonic_ns() < until_ns:
            pass
    else:
        time.sleep(event["ms"] / 1000)
    return 1
