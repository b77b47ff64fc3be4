"""The OpenAPI document holds for the running server: schemathesis makes requests of it, right and wrong ones."""

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance
from tests.integration.collect.running import LIMIT_S, Collector
from tests.unit.collect.samples import body, call, finding

from afterglow_collector.collect.routes import openapi

TOKEN = "token-of-the-tests-1"
DOCUMENT = openapi()
GOOD, BAD = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
OPERATIONS = [
    (path, method, mode)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
    for mode in (GOOD, BAD)
    if mode is GOOD or operation.get("security") != []  # about a public GET without parameters, nothing can be wrong
]


@schemathesis.serializer("application/x-ndjson")
def as_text(context: schemathesis.SerializationContext, value: object) -> bytes:
    """Send what was generated as it is: the document says no more of a body than that it is text."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A collector that asks for a token, with something in it to be told."""
    environ = {"AFTERGLOW_COLLECT_TOKENS": TOKEN}
    one = Collector(tmp_path_factory.mktemp("openapi") / "data", "--listen", "127.0.0.1:0", environ=environ).start()
    text = body(call(), finding())
    assert 202 == one.client().post(1, text, Authorization=f"Bearer {TOKEN}").status
    yield one
    bugs = one.metrics(Authorization=f"Bearer {TOKEN}")["bugs_total"]
    one.end()
    assert bugs == 0, f"a request ran into a bug of the collector:\n{one.said()}"


@pytest.mark.parametrize(("path", "method", "mode"), OPERATIONS)
def test_every_answer_is_as_documented(server: Collector, path: str, method: str, mode: GenerationMode) -> None:
    operation = schemathesis.openapi.from_dict(DOCUMENT)[path][method.upper()]

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        where = f"http://127.0.0.1:{server.port}"
        # That good requests are taken is for other tests to show: what a line may hold, the document does not say.
        answer = case.call_and_validate(
            base_url=where, headers=headers, timeout=LIMIT_S, excluded_checks=[positive_data_acceptance]
        )
        assert answer.status_code < 500

    ask()
