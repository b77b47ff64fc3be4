"""The first lines of every extension in these tests: the Extensions API, call by call, and a way to tell the test.

A test writes an executable of these lines and its own; what it does with `say` ends up as a line of JSON in the log.
"""

import http.client
import json
import os
import sys
import time

NAME = os.path.basename(sys.argv[0])
API = os.environ["AWS_LAMBDA_RUNTIME_API"]
EXTENSION = "/2020-01-01/extension"
identifier = ""


def say(**facts):
    """Write one line for the test in one piece: extensions share the log."""
    os.write(1, (json.dumps({"probe": NAME, "at_mono_s": time.monotonic(), **facts}) + "\n").encode())


def call(method, path, body=None, headers=None):
    """Make one call; return status, headers, body."""
    connection = http.client.HTTPConnection(API)
    connection.request(method, path, body if isinstance(body, (str, bytes)) else json.dumps(body), headers or {})
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    return response.status, dict(response.headers), body


def register(events=("INVOKE", "SHUTDOWN"), name=NAME):
    """Register, and keep the identifier."""
    global identifier
    status, headers, body = call(
        "POST", f"{EXTENSION}/register", {"events": list(events)}, {"Lambda-Extension-Name": name}
    )
    identifier = headers.get("Lambda-Extension-Identifier", "")
    say(said="registered", status=status, body=body)
    return status, body


def me(**more):
    """Return the header that names this extension."""
    return {"Lambda-Extension-Identifier": identifier, **more}


def next_event():
    """Ask for the next event, and tell of it."""
    status, headers, body = call("GET", f"{EXTENSION}/event/next", headers=me())
    event = json.loads(body)
    say(said="event", status=status, content_type=headers.get("Content-Type"), event=event)
    return event


def loop():
    """Do as an extension should: ask until SHUTDOWN comes."""
    while next_event()["eventType"] != "SHUTDOWN":
        pass
