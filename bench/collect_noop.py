"""The baseline: an ASGI application that reads a body and answers 202, on uvicorn with uvloop and httptools."""

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

BEGIN = {"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]}
END = {"type": "http.response.body", "body": b""}


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Take the body, and do nothing with it."""
    del scope
    while (await receive())["more_body"]:
        pass
    await send(BEGIN)
    await send(END)


if __name__ == "__main__":
    uvicorn.run(
        app, port=int(sys.argv[1]), loop="uvloop", http="httptools", lifespan="off", access_log=False, log_level="error"
    )
