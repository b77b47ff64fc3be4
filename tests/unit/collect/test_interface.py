"""The routes, the OpenAPI document and the page for people tell the same."""

import json
from pathlib import Path

import jsonschema
import openapi_spec_validator
import pytest
from tests.unit.collect.samples import AT_MS, finding

from afterglow.version import __version__
from afterglow_collector.collect import answers
from afterglow_collector.collect.findings import Findings
from afterglow_collector.collect.refusals import Refusal
from afterglow_collector.collect.routes import ROUTES, openapi

DOCUMENT = openapi()
PAGE = (Path(__file__).parents[3] / "docs" / "collector.md").read_text()


def schema(name: str) -> dict[str, object]:
    return {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}


def test_the_document_is_openapi() -> None:
    openapi_spec_validator.validate(DOCUMENT)


def test_routes_and_document_name_the_same_paths_and_methods() -> None:
    documented = {path: {method.upper() for method in methods} for path, methods in DOCUMENT["paths"].items()}

    assert documented == {
        path.decode(): {method.decode() for method in route.methods} - {"HEAD"} for path, route in ROUTES.items()
    }


def test_public_paths_are_documented_as_such() -> None:
    for path, route in ROUTES.items():
        for operation in DOCUMENT["paths"][path.decode()].values():
            assert route.public is (operation.get("security") == []), path


def test_the_document_has_this_version() -> None:
    assert __version__ == DOCUMENT["info"]["version"]


@pytest.mark.parametrize("path", [path.decode() for path in ROUTES])
def test_the_page_names_every_path(path: str) -> None:
    assert f"`{path}`" in PAGE or f" {path}`" in PAGE


@pytest.mark.parametrize("status", sorted(DOCUMENT["paths"]["/v1/records"]["post"]["responses"]))
def test_the_page_explains_every_status(status: str) -> None:
    assert f"| {status} |" in PAGE


@pytest.mark.parametrize(
    "answer",
    [
        answers.accepted(3, []),
        answers.accepted(0, [Refusal(2, "at_ms", "too old"), Refusal(3, None, "not JSON")]),
        answers.accepted(0, [Refusal(line, None, "x") for line in range(2, 102)]),
        answers.DUPLICATE,
    ],
)
def test_what_is_taken_is_told_as_documented(answer: answers.Answer) -> None:
    jsonschema.validate(json.loads(answer.body), schema("Taken"))


@pytest.mark.parametrize("answer", [answers.problem(400, "no", line=1, field=None), answers.try_again(503, "later")])
def test_problems_are_told_as_documented(answer: answers.Answer) -> None:
    jsonschema.validate(json.loads(answer.body), schema("Problem"))
    assert answers.PROBLEM == answer.content_type


def test_findings_are_told_as_documented() -> None:
    findings = Findings()
    findings.add("checkout", finding(), AT_MS)

    jsonschema.validate({"sites": 1, "findings": list(findings.summaries())}, schema("Findings"))
