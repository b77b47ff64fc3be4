"""What can be asked for, and by whom. In: a path. Out: a Route, and the answers that need no body.

docs/collector.md describes the interface for people, ``openapi.json`` for machines; a test holds all three together.
"""

import json
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple, Protocol

from prometheus_client.exposition import CONTENT_TYPE_LATEST

from afterglow.version import __version__
from afterglow_collector.collect import answers
from afterglow_collector.collect.answers import JSON, TEXT, Answer
from afterglow_collector.collect.state import State

RECORDS = b"/v1/records"
MAX_FINDINGS_SHOWN = 1000


class Asked(Protocol):
    """What the answers ask of the service."""

    expose: Callable[[], bytes]
    troubles: Callable[[], list[str]]
    state: State

    def problem(self) -> str | None:
        """Return why the service is not ready; None when it is."""


class Route(NamedTuple):
    """One path. ``public``: asked without a token."""

    methods: tuple[bytes, ...]
    public: bool
    answer: Callable[[Asked], Answer]


def _healthy(_: Asked) -> Answer:
    """Tell a liveness probe that the process lives and its event loop turns."""
    return Answer(200, b"ok\n", TEXT)


def _ready(service: Asked) -> Answer:
    problem = service.problem()
    if problem is not None:
        return answers.try_again(503, problem, 5)
    lines = ["ready", *service.troubles()]  # what a sink does not take waits: the collector takes batches all the same
    return Answer(200, "".join(f"{line}\n" for line in lines).encode("utf-8", "replace"), TEXT)


def _metrics(service: Asked) -> Answer:
    return Answer(200, service.expose(), CONTENT_TYPE_LATEST.encode())


def _findings(service: Asked) -> Answer:
    shown = [summary for summary, _ in zip(service.state.findings.summaries(), range(MAX_FINDINGS_SHOWN), strict=False)]
    body = {"sites": len(service.state.findings), "findings": shown}
    return Answer(200, json.dumps(body, separators=(",", ":")).encode(), JSON)


def _openapi(_: Asked) -> Answer:
    return _described()


@cache
def _described() -> Answer:
    return Answer(200, json.dumps(openapi(), separators=(",", ":")).encode(), JSON)


def openapi() -> dict[str, Any]:
    """Return the OpenAPI document of this version."""
    document: dict[str, Any] = json.loads((files(__package__) / "openapi.json").read_text())
    document["info"]["version"] = __version__
    return document


def _no_batch(_: Asked) -> Answer:
    raise AssertionError("batches go to the intake")


_GET = (b"GET", b"HEAD")

ROUTES: dict[bytes, Route] = {
    RECORDS: Route((b"POST",), False, _no_batch),
    b"/v1/findings": Route(_GET, False, _findings),
    b"/metrics": Route(_GET, False, _metrics),
    b"/healthz": Route(_GET, True, _healthy),
    b"/readyz": Route(_GET, True, _ready),
    b"/openapi.json": Route(_GET, True, _openapi),
}


def known() -> str:
    """Return the paths that there are, for somebody who asked for another."""
    return "known: " + ", ".join(path.decode() for path in ROUTES)
