"""What the tests of the sinks share: moto's server, and a front that can fail before it."""

import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from tests.integration.sinks.stage import Front, serving

from afterglow_collector.sinks.aws import MakeClient, client_maker

KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1"}


@pytest.fixture(scope="session")
def moto_address() -> Iterator[tuple[str, int]]:
    """Start moto's server once, on a port of its own."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield server.get_host_and_port()
    server.stop()


@pytest.fixture(scope="session", autouse=True)
def close_the_recorders_socket() -> Iterator[None]:
    """Close the socket that the X-Ray SDK opens for its global recorder when it is imported."""
    yield
    if "aws_xray_sdk.core" in sys.modules:
        sys.modules["aws_xray_sdk.core"].xray_recorder.emitter._socket.close()


@pytest.fixture
def front(moto_address: tuple[str, int]) -> Front:
    """Give a server that fails on demand, and otherwise is moto."""
    return Front(moto_address)


@pytest.fixture
def aws_url(front: Front, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve the front as AWS, with test credentials in the environment."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    with serving(front) as url:
        yield url


@pytest.fixture
def maker(aws_url: str) -> Any:
    """Give what makes a client maker for a service."""

    def make(service: str) -> MakeClient:
        return client_maker(service, endpoint_url=aws_url)

    return make
