"""An extension's source that subscribes to telemetry and says what it gets, and helpers to read that in a test."""

import json
from collections.abc import Callable
from typing import Any

from afterglow_layer.emulator import Lambda, Seen

Said = dict[str, Any]

_LISTENER = """
import http.server, threading

class Listener(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            events = json.loads(body)
        except ValueError:
            say(said="malformed", bytes=len(body))
            events = []
        if len(body) < int(self.headers["Content-Length"]):
            say(said="cut")
            return
        say(said="batch", types=[event["type"] for event in events], id=self.headers["Sequence-Id"], bytes=len(body))
        for event in events:
            if len(body) < 100_000:
                say(said="telemetry", type=event["type"], record=event["record"])
        self.send_response(STATUS)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("0.0.0.0", 0), Listener)
threading.Thread(target=server.serve_forever, daemon=True).start()

def subscribe():
    document = {
        "schemaVersion": SCHEMA,
        "types": TYPES,
        "buffering": {"maxItems": 1000, "maxBytes": 262144, "timeoutMs": 25},
        "destination": {"protocol": "HTTP", "URI": f"http://sandbox.localdomain:{server.server_port}/telemetry"},
    }
    status, _, body = call("PUT", "/2022-07-01/telemetry", document, me())
    say(said="subscribed", status=status, body=body)
"""


def listens(
    *,
    schema: str = "2022-12-13",
    types: tuple[str, ...] = ("platform",),
    status: int = 200,
    then: str = "register(['INVOKE', 'SHUTDOWN']); subscribe(); loop()",
) -> str:
    """Return the source; `then` is what it does with its functions."""
    return f"SCHEMA, TYPES, STATUS = {schema!r}, {list(types)!r}, {status}\n{_LISTENER}\n{then}\n"


def said_in(seen: Seen) -> Said | None:
    """Return what an extension said with this event, if it did."""
    line = seen.detail.get("line", "") if seen.kind == "output" else ""
    return json.loads(line) if line.startswith('{"probe"') else None


def all_said(function: Lambda, said: str) -> list[Said]:
    """Return everything of this kind that extensions have said."""
    return [each for seen in function.events if (each := said_in(seen)) and each["said"] == said]


def wait_said(function: Lambda, said: str, wanted: Callable[[Said], bool] = lambda _: True) -> Said:
    """Return the first thing of this kind that `wanted` accepts."""

    def found(seen: Seen) -> bool:
        each = said_in(seen)
        return each is not None and each["said"] == said and wanted(each)

    result = said_in(function.wait_for(found))
    assert result is not None
    return result


def wait_telemetry(function: Lambda, event_type: str, *, of: str | None = None) -> dict[str, Any]:
    """Return the record of the first such event that reached the listener, of request `of` if given."""
    said = wait_said(
        function,
        "telemetry",
        lambda each: each["type"] == event_type and (of is None or each["record"].get("requestId") == of),
    )
    record: dict[str, Any] = said["record"]
    return record


def types_got(function: Lambda) -> list[str]:
    """Return the types of all events that reached the listener, in order."""
    return [each["type"] for each in all_said(function, "telemetry")]
