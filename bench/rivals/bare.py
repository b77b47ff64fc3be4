"""The least that an extension in Python can cost: register, ask for events, do nothing. Imports what is built in.

In: AWS_LAMBDA_RUNTIME_API. ``bench/arms.py`` puts ``#!… -IS`` on top of it.
"""

import _socket
import posix

API = posix.environ[b"AWS_LAMBDA_RUNTIME_API"]
BODY = b'{"events":["INVOKE","SHUTDOWN"]}'


def ask(connection: _socket.socket, request: bytes) -> bytes:
    """Send a request and return one answer, which has a Content-Length."""
    connection.sendall(request)
    answer = b""
    while True:
        answer += connection.recv(65_536)
        head, end, body = answer.partition(b"\r\n\r\n")
        if end and len(body) >= int(header(head, b"content-length") or b"0"):
            return answer


def header(head: bytes, name: bytes) -> bytes:
    """Return the value of a header, or nothing."""
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.lower() == name:
            return value.strip()
    return b""


host, _, port = API.rpartition(b":")
link = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
link.connect((host.decode(), int(port)))
identifier = header(
    ask(
        link,
        b"POST /2020-01-01/extension/register HTTP/1.1\r\nHost: %b\r\nLambda-Extension-Name: bare\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (API, len(BODY), BODY),
    ),
    b"lambda-extension-identifier",
)
NEXT = b"GET /2020-01-01/extension/event/next HTTP/1.1\r\nHost: %b\r\nLambda-Extension-Identifier: %b\r\n\r\n" % (
    API,
    identifier,
)
while b'"SHUTDOWN"' not in ask(link, NEXT):
    pass
