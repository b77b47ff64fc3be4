"""A function with the bug that Afterglow looks for: each call leaves a thread behind, which goes on for a moment."""

import threading
import time

GOES_ON_S = 0.01


def handler(event: dict[str, float], context: object) -> int:  # noqa: ARG001 - as Lambda calls it
    for _ in range(int(event.get("threads", 1))):
        threading.Thread(target=time.sleep, args=(event.get("seconds", GOES_ON_S),), daemon=True).start()
    return 1
