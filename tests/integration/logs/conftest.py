"""The servers that the tests of the sinks use, and the command that these tests run."""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from tests.integration.sinks.conftest import KEYS, aws_url, close_the_recorders_socket, front, maker, moto_address

__all__ = ["aws_url", "close_the_recorders_socket", "front", "maker", "moto_address"]


class Finished(NamedTuple):
    """An ``afterglow collect --from logs`` that has come to its end."""

    status: int
    output: str
    errors: str

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.output)
        return document

    def function(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(row for row in self.document["functions"] if row["function"] == name)
        return found


Collect = Callable[..., Finished]


@pytest.fixture
def collect(aws_url: str) -> Collect:
    """Give `collect(*arguments)`: the real command, in a process of its own."""

    def run(*arguments: str, **environment: str) -> Finished:
        where = [] if "--endpoint-url" in arguments else ["--endpoint-url", aws_url]
        done = subprocess.run(
            [sys.executable, "-m", "afterglow_layer", "collect", "--from", "logs", *arguments, *where],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, **KEYS, "COLUMNS": "160", **environment},
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    return run


class Logs:
    """A function's log group in moto."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.function = f"f-{uuid.uuid4().hex[:12]}"
        self.group = f"/aws/lambda/{self.function}"
        client.create_log_group(logGroupName=self.group)
        self.streams: set[str] = set()
        self.now_ms = time.time_ns() // 1_000_000

    def put(self, *messages: str, stream: str = "2026/11/21/[$LATEST]01", ago_ms: int = 3_600_000) -> None:
        """Write messages that are so old, one per millisecond."""
        if stream not in [
            s["logStreamName"] for s in self.client.describe_log_streams(logGroupName=self.group)["logStreams"]
        ]:
            self.client.create_log_stream(logGroupName=self.group, logStreamName=stream)
        at_ms = self.now_ms - ago_ms
        for start in range(0, len(messages), 5000):
            events = [
                {"timestamp": at_ms + number, "message": message}
                for number, message in enumerate(messages[start : start + 5000], start)
            ]
            self.client.put_log_events(logGroupName=self.group, logStreamName=stream, logEvents=events)


@pytest.fixture
def logs(maker: Any) -> Callable[[], Logs]:
    """Give what makes a function's log group."""
    return lambda: Logs(maker("logs")())
