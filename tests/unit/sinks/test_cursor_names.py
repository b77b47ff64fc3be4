"""No two sinks share a cursor's file, whatever they are called, and what an earlier version has named is found."""

from pathlib import Path

import pytest

from afterglow_collector.sinks.cursor import read_cursor, write_cursor
from afterglow_collector.sinks.runner import cursor_name, cursor_path, kind_of

ALIKE = [
    ["file /data/x/y", "file /data/x_y", "file /data/x y", "file_/data/x/y", "file /data/x:y"],
    ["cloudwatch-logs /a/b", "cloudwatch-logs /a_b", "cloudwatch-logs _a_b"],
    ["file " + "x" * 1000, "file " + "x" * 1001],
    ["file /ä", "file /ö", "file /\udcff"],
]


@pytest.mark.parametrize("names", ALIKE, ids=lambda names: names[0][:20])
def test_names_that_look_alike_have_files_of_their_own(tmp_path: Path, names: list[str]) -> None:
    for number, name in enumerate(names):
        write_cursor(cursor_path(tmp_path, name), number)

    assert list(range(len(names))) == [read_cursor(cursor_path(tmp_path, name)) for name in names]
    assert all(len(cursor_name(name)) < 200 for name in names)


def test_a_cursor_of_an_earlier_version_is_gone_on_with(tmp_path: Path) -> None:
    write_cursor(tmp_path / "file__data_x_y.cursor", 7)

    assert [7, 0] == [read_cursor(cursor_path(tmp_path, name)) for name in ("file /data/x/y", "file /data/x_y")]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("otlp metrics http://10.0.0.1:4318", "otlp metrics"),
        ("xray daemon 127.0.0.1:2000", "xray daemon"),
        ("xray PutTraceSegments", "xray PutTraceSegments"),
        ("cloudwatch-logs /afterglow/metrics/host", "cloudwatch-logs"),
        ("file /var/log/a b/c", "file"),
        ("stdout", "stdout"),
        ("/odd", "/odd"),
    ],
)
def test_what_everybody_may_read_names_the_kind_of_sink_alone(name: str, kind: str) -> None:
    assert kind == kind_of(name)
