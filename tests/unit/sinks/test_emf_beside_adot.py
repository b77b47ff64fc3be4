"""Our EMF beside that of AWS' own exporter (AWS Distro for OpenTelemetry), on the same values.

Both write distributions, with bins of their own: Count, Sum, Min and Max must be the same, percentiles as near as
the two binnings allow. What the exporter wrote is recorded; and it is asked again, in an environment of its own that
`make test` makes. Both are held to AWS' published schema.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.unit.sinks.samples import NOW_MS

from afterglow.distribution import Distribution
from afterglow.emf import Emitter, encode
from afterglow.window import MINUTE_MS, Series, Window
from afterglow_collector.emf_check import check

DATA = Path(__file__).parents[2] / "data"
RECORDED: dict[str, Any] = json.loads((DATA / "adot-emf.json").read_text())
EXPORTERS_PYTHON = Path(__file__).parents[3] / ".venv" / "adot" / "bin" / "python"
SCHEMA: dict[str, Any] = json.loads((DATA / "emf-schema.json").read_text())
BIN_ERROR = 0.049 + 0.022
"""SEH1's worst, and theirs: 160 buckets over these values are an exponential histogram of scale 4, base 2**(1/16)."""

Case = dict[str, Any]


def ours(values: list[float]) -> Any:
    window = Window(NOW_MS // MINUTE_MS, Series("checkout", "1", "on-demand", 128, "x86_64"))
    for value in values:
        assert window.adder("DurationMs")(value)
    (line,) = encode([window], Emitter(), NOW_MS).lines
    assert [] == check(line)
    jsonschema.validate(json.loads(line), SCHEMA)
    return json.loads(line)["DurationMs"]


def theirs(case: Case) -> dict[str, Any]:
    document = case["document"]
    ((name, value),) = ((n, v) for n, v in document.items() if isinstance(v, dict) and n != "_aws")
    assert "durationms" == name.lower()
    assert isinstance(value, dict)
    return value


def percentile(value: dict[str, Any], fraction: float) -> float:
    """Return the nearest-rank percentile of Values and Counts, within Min and Max, as CloudWatch would have it."""
    seen = 0.0
    for point, count in sorted(zip(value["Values"], value["Counts"], strict=True)):
        seen += count
        if seen >= fraction * value["Count"]:
            return float(min(max(point, value["Min"]), value["Max"]))
    raise AssertionError("no values")


def compare(case: Case) -> None:
    mine, other = ours(case["values"]), theirs(case)
    if not isinstance(mine, dict):  # a single value is a number with us
        assert (1, mine) == (other["Count"], other["Sum"])
        return
    assert mine.keys() == other.keys()
    assert (mine["Count"], mine["Min"], mine["Max"]) == (other["Count"], other["Min"], other["Max"])
    assert pytest.approx(other["Sum"]) == mine["Sum"]
    for fraction in (0.5, 0.9, 0.99, 1.0):
        assert pytest.approx(percentile(other, fraction), rel=BIN_ERROR) == percentile(mine, fraction), fraction


@pytest.mark.parametrize("name", RECORDED["cases"])
def test_both_say_the_same_of_the_same_values(name: str) -> None:
    compare(RECORDED["cases"][name])


@pytest.mark.parametrize("name", RECORDED["cases"])
def test_our_check_takes_what_aws_writes_but_for_more_than_100_values(name: str) -> None:
    document = RECORDED["cases"][name]["document"]
    jsonschema.validate(document, SCHEMA)
    problems = check({**document, "_aws": {**document["_aws"], "Timestamp": NOW_MS}}, NOW_MS)

    assert [] == [problem for problem in problems if "1 to 100" not in problem]
    assert (len(theirs(RECORDED["cases"][name])["Values"]) > 100) == bool(problems), "the exporter does not split"


def test_the_exporter_still_writes_what_is_recorded() -> None:
    if not EXPORTERS_PYTHON.exists():
        pytest.skip(f"{EXPORTERS_PYTHON} is not there: make test makes it")
    command = [str(EXPORTERS_PYTHON), str(DATA / "make_adot_emf.py")]
    made = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert RECORDED == made
    for case in made["cases"].values():
        compare(case)


def test_the_oracle_itself_is_near_to_the_values() -> None:
    """Guard the comparison: both could be wrong in the same way."""
    values = RECORDED["cases"]["durations"]["values"]
    distribution = Distribution()
    for value in values:
        distribution.add(value)

    assert pytest.approx(sorted(values)[499], rel=0.05) == distribution.percentile(0.5)
