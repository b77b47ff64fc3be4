"""The strict check refuses what CloudWatch's rules forbid, much of which AWS' own schema lets pass."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from afterglow_collector.emf_check import check

AWS_SCHEMA = Draft202012Validator(
    json.loads((Path(__file__).parents[1] / "data" / "emf-schema.json").read_text(encoding="utf-8"))
)
NOW_MS = 1_763_700_000_000
DISTRIBUTION = {"Values": [1, 2.5], "Counts": [3, 1], "Max": 2.5, "Min": 1, "Count": 4, "Sum": 5.5}
DIRECTIVE = {
    "Namespace": "Afterglow",
    "Dimensions": [["FunctionName"]],
    "Metrics": [
        {"Name": "Errors", "Unit": "Count"},
        {"Name": "DurationMs", "Unit": "Milliseconds", "StorageResolution": 60},
        {"Name": "WaitMs"},
    ],
}
GOOD = {
    "_aws": {"Timestamp": NOW_MS, "CloudWatchMetrics": [DIRECTIVE]},
    "FunctionName": "checkout",
    "Errors": 0,
    "DurationMs": DISTRIBUTION,
    "WaitMs": [1, 2],
    "requestId": {"what": ["else", "stands", "here", None], "is": "free"},
}
DIRECTIVES = "$._aws.CloudWatchMetrics"
METRICS = f"{DIRECTIVES}[0].Metrics"
DIMENSIONS = f"{DIRECTIVES}[0].Dimensions"

Edit = Callable[[dict[str, Any]], object]


def edited(edit: Edit) -> dict[str, Any]:
    document = copy.deepcopy(GOOD)
    edit(document)
    return document


def directive(document: dict[str, Any]) -> dict[str, Any]:
    (only,) = document["_aws"]["CloudWatchMetrics"]
    assert isinstance(only, dict)
    return only


def put(name: str, value: Any) -> Edit:
    return lambda document: document.update({name: value})


def put_in_directive(name: str, value: Any) -> Edit:
    return lambda document: directive(document).update({name: value})


def put_in_metric(name: str, value: Any) -> Edit:
    return lambda document: directive(document)["Metrics"][0].update({name: value})


def put_in_metadata(name: str, value: Any) -> Edit:
    return lambda document: document["_aws"].update({name: value})


def put_in_distribution(**members: Any) -> Edit:
    return put("DurationMs", {**DISTRIBUTION, **members})


def with_metrics(number: int) -> Edit:
    def edit(document: dict[str, Any]) -> None:
        directive(document)["Metrics"] = [{"Name": f"m{index}"} for index in range(number)]
        document.update({f"m{index}": 1 for index in range(number)})

    return edit


def with_dimension(name: str, value: Any) -> Edit:
    def edit(document: dict[str, Any]) -> None:
        directive(document)["Dimensions"] = [[name]]
        document[name] = value

    return edit


@pytest.mark.parametrize("form", [copy.deepcopy, json.dumps, lambda good: json.dumps(good).encode()])
def test_a_good_document_has_no_problem_in_any_form(form: Callable[[Any], Any]) -> None:
    assert check(form(GOOD), now_ms=NOW_MS) == []


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(with_metrics(100), id="100 metrics"),
        pytest.param(put("WaitMs", [1] * 100), id="100 values"),
        pytest.param(put_in_directive("Dimensions", [[]]), id="an empty dimension set"),
        pytest.param(with_dimension("d" * 250, "v" * 1024), id="the longest dimension"),
        pytest.param(with_dimension("Topic", ":colon"), id="a dimension value may start with a colon"),
        pytest.param(put("WaitMs", -(2.0**360)), id="the lowest value"),
        pytest.param(put_in_metadata("LogGroupName", "/aws/lambda/checkout"), id="the agent's log group"),
    ],
)
def test_what_is_at_the_limit_is_good(edit: Edit) -> None:
    assert check(edited(edit), now_ms=NOW_MS) == []


LET_PASS_BY_AWS = {
    "101 metrics": (with_metrics(101), f"{METRICS}: 101 metrics; an array of 1 to 100 metric definitions"),
    "no metric": (with_metrics(0), f"{METRICS}: 0 metrics; an array of 1 to 100"),
    "no directive": (put_in_metadata("CloudWatchMetrics", []), f"{DIRECTIVES}: list '[]'; an array of at least one"),
    "metric without target": (lambda doc: doc.pop("Errors"), f"$.Errors: missing; {METRICS}[0] names it"),
    "dimension without target": (lambda doc: doc.pop("FunctionName"), f"$.FunctionName: missing; {DIMENSIONS}[0][0]"),
    "500 values": (put("WaitMs", [1] * 500), "$.WaitMs: 500 values; 1 to 100"),
    "no values": (put("WaitMs", []), "$.WaitMs: 0 values; 1 to 100"),
    "StorageResolution 7": (put_in_metric("StorageResolution", 7), f"{METRICS}[0].StorageResolution: 7; 1 or 60"),
    "metric defined twice": (put_in_metric("Name", "WaitMs"), f"{METRICS}[2].Name: 'WaitMs' is defined twice"),
    "text for a number": (put("Errors", "0"), "$.Errors: str '0'; a number"),
    "null for a number": (put("Errors", None), "$.Errors: missing or null; a number"),
    "true for a number": (put("Errors", True), "$.Errors: bool 'True'; a number"),
    "infinity": (put("Errors", float("inf")), "$.Errors: inf; a finite number"),
    "beyond 2^360": (put("Errors", 2.0**361), "$.Errors: 4.697"),
    "text in an array": (put("WaitMs", [1, "2"]), "$.WaitMs[1]: str '2'; a number"),
    "number for a dimension": (put("FunctionName", 7), "$.FunctionName: int '7'; a string"),
    "empty dimension": (put("FunctionName", ""), "$.FunctionName: 0 characters; 1 to 1024"),
    "long dimension": (put("FunctionName", "x" * 1025), "$.FunctionName: 1025 characters; 1 to 1024"),
    "blank dimension": (put("FunctionName", "  "), "$.FunctionName: blank; at least one character"),
    "dimension not in ASCII": (put("FunctionName", "für"), "$.FunctionName: 'für'; printable ASCII"),
    "colon before a name": (with_dimension(":d", "v"), f"{DIMENSIONS}[0][0]: ':d'; no colon at the start"),
    "dimension twice": (
        put_in_directive("Dimensions", [["FunctionName", "FunctionName"]]),
        f"{DIMENSIONS}[0][1]: 'FunctionName' stands in this set twice",
    ),
    "dimension set twice": (put_in_directive("Dimensions", [[], []]), f"{DIMENSIONS}[1]: the same dimension set"),
    "long namespace": (put_in_directive("Namespace", "n" * 256), "Namespace: 256 characters; 1 to 255"),
    "AWS' own namespace": (put_in_directive("Namespace", "AWS/Lambda"), "Namespace: 'AWS/Lambda'; AWS/ is reserved"),
    "long metric name": (put_in_metric("Name", "n" * 256), f"{METRICS}[0].Name: 256 characters; 1 to 255"),
    "member of another make": (put_in_metric("Type", "c"), f"{METRICS}[0].Type: no member that EMF knows"),
    "timestamp in seconds": (put_in_metadata("Timestamp", NOW_MS // 1000), f"Timestamp: {NOW_MS // 1000} (seconds?)"),
    "timestamp of last month": (put_in_metadata("Timestamp", NOW_MS - 15 * 86_400_000), "two weeks before"),
    "timestamp of tonight": (put_in_metadata("Timestamp", NOW_MS + 3 * 3_600_000), "two hours after now"),
    "half a distribution": (put("DurationMs", {"Values": [1], "Counts": [1]}), "$.DurationMs: members Counts, Values;"),
    "values without counts": (put_in_distribution(Counts=[4]), "$.DurationMs.Counts: 1 for 2 Values; one count"),
    "a count of zero": (put_in_distribution(Counts=[4, 0]), "$.DurationMs.Counts: 0; above zero"),
    "a wrong count": (put_in_distribution(Count=5), "$.DurationMs.Count: 5; the sum of Counts, 4"),
    "min above max": (put_in_distribution(Min=3), "$.DurationMs.Min: 3; at most Max, 2.5"),
    "101 bins": (put_in_distribution(Values=[1] * 101, Counts=[1] * 101), "$.DurationMs.Values: 101 values; 1 to 100"),
    "text for a sum": (put_in_distribution(Sum="5"), "$.DurationMs.Sum: str '5'; a number"),
    "number for values": (put_in_distribution(Values=5), "$.DurationMs.Values: int '5'; an array of numbers"),
}  # fmt: skip


@pytest.mark.parametrize("case", LET_PASS_BY_AWS)
def test_what_aws_schema_lets_pass_is_refused_with_place_and_remedy(case: str) -> None:
    edit, complaint = LET_PASS_BY_AWS[case]
    document = edited(edit)

    assert [error.message for error in AWS_SCHEMA.iter_errors(document)] == []
    assert complaint in "\n".join(check(document, now_ms=NOW_MS))


REFUSED_BY_AWS_TOO = {
    "no metadata": (lambda doc: doc.pop("_aws"), "$._aws: missing or null; an object with Timestamp"),
    "no timestamp": (lambda doc: doc["_aws"].pop("Timestamp"), "$._aws.Timestamp: missing or null; a whole number"),
    "timestamp as text": (put_in_metadata("Timestamp", "now"), "$._aws.Timestamp: str 'now'; a whole number"),
    "a directive of text": (put_in_metadata("CloudWatchMetrics", ["x"]), f"{DIRECTIVES}[0]: str 'x'; an object"),
    "no namespace": (lambda doc: directive(doc).pop("Namespace"), "[0].Namespace: missing or null; a string"),
    "no dimension set": (put_in_directive("Dimensions", []), f"{DIMENSIONS}: list '[]'; an array of at least one"),
    "a flat dimension set": (put_in_directive("Dimensions", ["FunctionName"]), f"{DIMENSIONS}[0]: str 'F"),
    "31 dimensions": (put_in_directive("Dimensions", [["d"] * 31]), f"{DIMENSIONS}[0]: 31 dimensions; at most 30"),
    "long dimension name": (with_dimension("d" * 251, "v"), f"{DIMENSIONS}[0][0]: 251 characters; 1 to 250"),
    "metric without name": (lambda doc: directive(doc)["Metrics"][0].pop("Name"), "[0].Name: missing or null; a str"),
    "a metric of text": (put_in_directive("Metrics", ["Errors"]), f"{METRICS}[0]: str 'Errors'; an object with Name"),
    "unknown unit": (put_in_metric("Unit", "ms"), f"{METRICS}[0].Unit: 'ms'; one of Bits, Bits/Second"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED_BY_AWS_TOO)
def test_what_aws_schema_refuses_is_refused(case: str) -> None:
    edit, complaint = REFUSED_BY_AWS_TOO[case]
    document = edited(edit)

    assert [error.message for error in AWS_SCHEMA.iter_errors(document)]
    assert complaint in "\n".join(check(document, now_ms=NOW_MS))


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("", "$: not JSON"),
        ("START RequestId: 1", "$: not JSON"),
        (json.dumps(GOOD) + json.dumps(GOOD), "$: not JSON (Extra data"),
        ('{"_aws": NaN}', "$: not JSON (NaN is no JSON number)"),
        (b"\xff\xfe\xfd", "$: not JSON"),
        ("[" * 100_000, "$: not JSON"),
        ("[]", "$: list '[]'; an EMF line is one JSON object"),
        ('{"_aws": {}, "_aws": {}}', "$: member '_aws' stands there twice"),
        (json.dumps({**GOOD, "padding": "x" * 1_048_576}), "a log event has at most 1048576"),
        ('{"\ud800": 1}', "$._aws: missing"),
    ],
    ids=["empty", "a log line", "two documents", "NaN", "bytes", "nesting", "array", "twice", "1 MB", "surrogate"],
)
def test_a_line_that_is_no_document_is_refused(line: str | bytes, complaint: str) -> None:
    assert complaint in "\n".join(check(line))


def test_all_problems_are_told_at_once() -> None:
    def edit(document: dict[str, Any]) -> None:
        put("Errors", None)(document)
        put("FunctionName", "")(document)
        put_in_metric("Unit", "ms")(document)

    assert len(check(edited(edit))) == 3


def test_without_the_time_every_timestamp_is_good() -> None:
    assert check(edited(put_in_metadata("Timestamp", 0))) == []
