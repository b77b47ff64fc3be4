"""The HTTP of the Extensions API, against a real server that says exactly the bytes that a test wants."""

import select

import pytest
from tests.unit.sandbox.api_server import INVOKE, REGISTERED, SHUTDOWN, Api, Peer, answer

from afterglow.runtime_api import ApiError, RuntimeApi, parse_answer


def connected(api: Api) -> tuple[RuntimeApi, Peer]:
    extension = RuntimeApi(api.address)
    api.at_the_end.append(lambda: extension.sock.close())  # noqa: PLW0108 - the socket of then, it may have reconnected
    return extension, api.accept()


def waiting(api: Api) -> tuple[RuntimeApi, Peer]:
    """Return both ends of a connection with a /next on the wire."""
    extension, peer = connected(api)
    extension.extension_id = b"id-1"
    extension.send_next()
    peer.expect("/event/next")
    return extension, peer


def readable(extension: RuntimeApi) -> None:
    assert select.select([extension.sock.fileno()], [], [], 20)[0], "nothing arrived"


def test_register_names_the_extension_its_events_and_the_account_feature(api: Api) -> None:
    extension, peer = connected(api)
    peer.say(REGISTERED)
    extension.register(b"afterglow", b'["INVOKE","SHUTDOWN"]')
    request = peer.expect("/register")

    assert "POST /2020-01-01/extension/register HTTP/1.1" == request.line
    assert "afterglow" == request.headers["lambda-extension-name"]
    assert "accountId" == request.headers["lambda-extension-accept-feature"]
    assert api.address == request.headers["host"]
    assert b'{"events":["INVOKE","SHUTDOWN"]}' == request.body


def test_the_identifier_goes_with_every_later_call(api: Api) -> None:
    extension, peer = connected(api)
    peer.say(REGISTERED)
    extension.register(b"afterglow", b"[]")
    peer.expect("/register")
    extension.send_next()
    request = peer.expect("/next")

    assert "GET /2020-01-01/extension/event/next HTTP/1.1" == request.line
    assert "id-1" == request.headers["lambda-extension-identifier"]
    assert extension.pending


def test_an_event_may_come_byte_by_byte(api: Api) -> None:
    extension, peer = waiting(api)
    for byte in INVOKE[:-1]:
        peer.say(bytes([byte]))
        readable(extension)
        assert extension.take_now() is None
    peer.say(INVOKE[-1:])
    readable(extension)
    event = extension.take_now()

    assert event is not None
    assert (200, True) == (event.status, b'"INVOKE"' in event.body)
    assert not extension.pending


def test_an_event_may_come_in_chunks(api: Api) -> None:
    extension, peer = waiting(api)
    peer.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n")
    peer.say(b'5\r\n{"eve\r\n', b"1;note=x\r\nn\r\n", b'4\r\nts":\r\n', b"3\r\n[]}\r\n", b"0\r\n\r\n")

    assert b'{"events":[]}' == extension.receive().body


def test_answers_that_come_together_are_taken_one_by_one(api: Api) -> None:
    extension, peer = waiting(api)
    peer.say(INVOKE + SHUTDOWN)
    first, second = extension.receive(), extension.take()

    assert b'"INVOKE"' in first.body
    assert second is not None
    assert b'"SHUTDOWN"' in second.body


def test_nothing_has_arrived_yet(api: Api) -> None:
    extension, _ = waiting(api)

    assert extension.take_now() is None
    assert extension.pending


def test_an_answer_without_a_body_has_an_empty_one(api: Api) -> None:
    extension, peer = waiting(api)
    peer.say(b"HTTP/1.1 204 No Content\r\n\r\n")
    event = extension.receive()

    assert (204, b"") == (event.status, event.body)


def test_header_names_are_lower_case_and_values_are_trimmed(api: Api) -> None:
    extension, peer = waiting(api)
    peer.say(b"HTTP/1.1 200 OK\r\nLAMBDA-Thing:   a: b  \r\nContent-Length:0\r\n\r\n")

    assert b"a: b" == extension.receive().headers[b"lambda-thing"]


def test_after_connection_close_the_next_call_goes_over_a_new_connection(api: Api) -> None:
    extension, peer = waiting(api)
    peer.say(answer(b"{}", headers=b"Connection: close\r\n"))
    extension.receive()
    extension.send_next()

    assert api.accept().expect("/next").headers["lambda-extension-identifier"] == "id-1"


def test_connection_close_with_the_last_event_of_all_needs_no_new_connection(api: Api) -> None:
    extension, peer = waiting(api)
    api.listener.close()
    peer.say(SHUTDOWN.replace(b"\r\n\r\n", b"\r\nConnection: Close\r\n\r\n"))

    assert b'"SHUTDOWN"' in extension.receive().body


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 200 OK\r\nContent-Len", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"]
)
def test_a_peer_that_hangs_up_is_an_error(api: Api, said: bytes) -> None:
    extension, peer = waiting(api)
    peer.say(said)
    peer.close()

    with pytest.raises(ApiError, match="closed the connection"):
        extension.receive()


def test_a_peer_that_hung_up_is_an_error_for_the_one_who_does_not_wait_too(api: Api) -> None:
    extension, peer = waiting(api)
    peer.close()
    readable(extension)

    with pytest.raises(ApiError, match="closed the connection"):
        extension.take_now()


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 two-hundred OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: nine\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n",
    ],
    ids=lambda said: said.decode().strip()[:60],
)
def test_what_is_no_http_is_an_error(api: Api, said: bytes) -> None:
    extension, peer = waiting(api)
    peer.say(said)

    with pytest.raises(ApiError):
        extension.receive()


def test_headers_without_an_end_are_an_error() -> None:
    with pytest.raises(ApiError, match="without an end"):
        parse_answer(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 2_000_000)


def test_after_garbage_a_new_connection_starts_clean(api: Api) -> None:
    extension, peer = waiting(api)
    peer.say(b"garbage\r\n\r\n")
    with pytest.raises(ApiError):
        extension.receive()
    extension.reconnect()
    extension.send_next()
    again = api.accept()
    again.expect("/next")
    again.say(INVOKE)

    assert b'"INVOKE"' in extension.receive().body


@pytest.mark.parametrize("address", ["", "nowhere", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:99999", "127.0.0.1:-1"])
def test_an_address_that_is_none_is_quoted(address: str) -> None:
    with pytest.raises(ApiError, match=f"AWS_LAMBDA_RUNTIME_API={address!r}"):
        RuntimeApi(address)


def test_an_address_where_nobody_listens_is_quoted(api: Api) -> None:
    address = api.address
    api.listener.close()

    with pytest.raises(ApiError, match=f"AWS_LAMBDA_RUNTIME_API='{address}'.*refused"):
        RuntimeApi(address)
