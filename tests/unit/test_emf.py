"""The documents themselves. That they are always valid and lose nothing is in tests/property."""

import json
from itertools import pairwise
from typing import Any

import pytest

from afterglow.emf import DIMENSIONS, Emitter, Output, dimension_value, encode
from afterglow.emf_limits import MAX_AGE_MS, MAX_AHEAD_MS, MAX_DIMENSION_VALUE
from afterglow.metrics import METRICS
from afterglow.window import MINUTE_MS, Series, Window

MINUTE = 29_395_000
NOW_MS = MINUTE * MINUTE_MS
DEFAULT = Emitter()
SERIES = Series("checkout", "7", "on-demand", 512, "arm64")


def window_of(series: Series = SERIES, minute: int = MINUTE, **values: list[float]) -> Window:
    window = Window(minute, series)
    for name, of_metric in values.items():
        for value in of_metric:
            assert window.adder(name)(value)
    return window


def documents(*windows: Window, emitter: Emitter = DEFAULT) -> list[dict[str, Any]]:
    return [json.loads(line) for line in encode(windows, emitter, NOW_MS).lines]


def test_a_document_reads_as_the_specification_shows_it() -> None:
    window = window_of(Invocations=[1, 1, 1], Errors=[0], DurationMs=[10, 10, 21.5], InitMs=[212])

    assert documents(window) == [
        {
            "_aws": {
                "Timestamp": NOW_MS,
                "CloudWatchMetrics": [
                    {
                        "Namespace": "Afterglow",
                        "Dimensions": [["FunctionName"]],
                        "Metrics": [
                            {"Name": "Invocations", "Unit": "Count"},
                            {"Name": "Errors", "Unit": "Count"},
                            {"Name": "InitMs", "Unit": "Milliseconds"},
                            {"Name": "DurationMs", "Unit": "Milliseconds"},
                        ],
                    }
                ],
            },
            "FunctionName": "checkout",
            "Invocations": 3,
            "Errors": 0,
            "InitMs": 212,
            "DurationMs": {"Values": [10.33, 21.5], "Counts": [2, 1], "Max": 21.5, "Min": 10, "Count": 3, "Sum": 41.5},
        }
    ]  # fmt: skip


def test_a_line_is_ascii_without_newlines_or_spaces() -> None:
    (line,) = encode([window_of(SERIES._replace(function="Zahlung für\nalle"), Errors=[1])], Emitter(), NOW_MS).lines

    assert line.isascii()
    assert "\n" not in line
    assert '"FunctionName":"Zahlung f?r?alle"' in line


def test_nothing_to_tell_makes_no_document() -> None:
    window = window_of()
    window.adder("DurationMs")
    window.adder("Errors")

    assert documents() == []
    assert documents(window) == []


def test_plain_arrays_hold_every_value_near_to_what_it_was_and_the_extremes_exactly() -> None:
    (document,) = documents(window_of(DurationMs=[7, 10, 10, 21.5], Errors=[2]), emitter=Emitter(values="arrays"))

    assert document["DurationMs"] == [7, 10.33, 10.33, 21.5]
    assert document["Errors"] == 2


def test_more_than_100_bins_make_further_documents_that_add_up() -> None:
    values = [1.05 * 1.1**power for power in range(-20, 200)]  # one in each of 220 bins
    parts = [document["DurationMs"] for document in documents(window_of(DurationMs=values, Errors=[1]))]

    assert [len(part["Values"]) for part in parts] == [100, 100, 20]
    assert [part["Count"] for part in parts] == [100, 100, 20]
    assert [sum(round(value * 1000) for value in values) / 1000, 0, 0] == [part["Sum"] for part in parts]
    assert (round(values[0], 3), round(values[-1], 3)) == (parts[0]["Min"], parts[-1]["Max"])
    assert all(before["Max"] < after["Min"] for before, after in pairwise(parts))


def test_only_the_first_document_counts_what_is_no_distribution() -> None:
    values = [1.05 * 1.1**power for power in range(150)]
    first, second = documents(window_of(DurationMs=values, WaitMs=[1, 2], Errors=[1]))

    assert first.keys() == {"_aws", "FunctionName", "DurationMs", "WaitMs", "Errors"}
    assert second.keys() == {"_aws", "FunctionName", "DurationMs"}


def test_more_than_100_plain_values_make_further_documents() -> None:
    parts = documents(window_of(DurationMs=[5] * 250), emitter=Emitter(values="arrays"))

    assert [len(part["DurationMs"]) for part in parts] == [100, 100, 50]


def test_a_document_over_its_size_is_cut_between_metrics() -> None:
    window = window_of()
    for name in METRICS:
        window.adder(name)(1)
    (whole,) = documents(window)
    cut = documents(window, emitter=Emitter(event_bytes=len(json.dumps(whole)) // 3))

    assert len(cut) > 2
    assert whole.keys() == {name for part in cut for name in part}
    assert sum(len(part["_aws"]["CloudWatchMetrics"][0]["Metrics"]) for part in cut) == len(METRICS)


def test_series_that_share_their_dimension_values_are_merged() -> None:
    windows = [
        window_of(SERIES._replace(version="7"), DurationMs=[10], Errors=[1]),
        window_of(SERIES._replace(version="8"), DurationMs=[30], Errors=[0]),
        window_of(SERIES._replace(function="other"), Errors=[5]),
    ]

    assert [(one["FunctionName"], one["Errors"]) for one in documents(*windows)] == [("checkout", 1), ("other", 5)]
    assert documents(*windows)[0]["DurationMs"]["Sum"] == 40


def test_all_dimension_sets_stand_in_one_document_once_each() -> None:
    sets = (("FunctionName",), ("FunctionName", "MemorySize", "FunctionName"), (), ("FunctionName",))
    (document,) = documents(window_of(Errors=[1]), emitter=Emitter(dimension_sets=sets))

    assert document["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [
        ["FunctionName"],
        ["FunctionName", "MemorySize"],
        [],
    ]
    assert (document["FunctionName"], document["MemorySize"]) == ("checkout", "512")


def test_without_dimension_sets_the_metrics_are_the_accounts() -> None:
    windows = [window_of(Errors=[1]), window_of(SERIES._replace(function="other"), Errors=[5])]
    (document,) = documents(*windows, emitter=Emitter(dimension_sets=()))

    assert document["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [[]]
    assert document["Errors"] == 6


def test_every_dimension_tells_its_part_of_the_series() -> None:
    (document,) = documents(window_of(Errors=[1]), emitter=Emitter(dimension_sets=(tuple(DIMENSIONS),)))

    assert [document[name] for name in DIMENSIONS] == ["checkout", "7", "on-demand", "512", "arm64"]
    (unknown,) = documents(
        window_of(SERIES._replace(memory_mb=None), Errors=[1]), emitter=Emitter(dimension_sets=(("MemorySize",),))
    )
    assert unknown["MemorySize"] == "unknown"


@pytest.mark.parametrize(
    ("text", "published"),
    [
        ("checkout", "checkout"),
        ("", "(empty)"),
        ("   ", "(empty)"),
        ("zurück\x00\U0001f525", "zur?ck??"),
        ("x" * MAX_DIMENSION_VALUE, "x" * MAX_DIMENSION_VALUE),
        ("x" * (MAX_DIMENSION_VALUE + 1), "x" * (MAX_DIMENSION_VALUE - 3) + "..."),
    ],
    ids=["good", "empty", "blank", "not ASCII", "longest", "too long"],
)
def test_a_dimension_value_is_mended_where_one_can_see_it(text: str, published: str) -> None:
    assert published == dimension_value(text)


def test_windows_that_cloudwatch_would_refuse_for_their_age_are_counted() -> None:
    oldest, newest = (NOW_MS - MAX_AGE_MS) // MINUTE_MS, (NOW_MS + MAX_AHEAD_MS) // MINUTE_MS
    windows = [window_of(minute=minute, Errors=[1]) for minute in (oldest - 1, oldest, newest, newest + 1)]
    output = encode(windows, Emitter(), NOW_MS)

    assert Output(output.lines, too_old=1, too_new=1) == output
    assert [oldest, newest] == [json.loads(line)["_aws"]["Timestamp"] // MINUTE_MS for line in output.lines]
