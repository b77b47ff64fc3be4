"""`collector(*options)` starts an `afterglow collect` of its own, and ends it after the test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.integration.collect.certificates import Certificate
from tests.integration.collect.running import Collector

Start = Callable[..., Collector]


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Start]:
    started: list[Collector] = []

    def start(*options: str, data: Path | None = None, environ: dict[str, str] | None = None) -> Collector:
        one = Collector(data or tmp_path / f"data{len(started)}", *options, environ=environ)
        started.append(one)
        return one.start()

    yield start
    for one in started:
        one.end()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """One collector for the tests that leave it as it was, with a socket of its own in each process of xdist."""
    one = Collector(tmp_path_factory.mktemp("shared") / "data").start()
    yield one
    bugs = one.metrics()["bugs_total"]
    one.end()
    assert bugs == 0, f"a request ran into a bug of the collector:\n{one.said()}"


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    """Give a certificate of the test's own."""
    return Certificate(tmp_path)
