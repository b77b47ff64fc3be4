"""`afterglow run --collector`: what is published is what the embedded mode would print, to the last count."""

import json
from pathlib import Path

import pytest
from tests.integration.collect.conftest import Start
from tests.unit.collect.samples import now_ms

from afterglow.aggregate import Aggregate
from afterglow.emf import Emitter, encode
from afterglow.records import Environment
from afterglow_layer.cli import build_parser
from afterglow_layer.local import planning, session

HANDLER = """
import threading, time

def handler(event, context):
    threading.Thread(target=time.sleep, args=(30,), name="left").start()
    return "ok"
"""


@pytest.mark.usefixtures("namespaces")
def test_a_run_adds_up_to_the_same_in_the_collector_and_in_the_sandbox(collector: Start, tmp_path: Path) -> None:
    function = tmp_path / "function"
    function.mkdir()
    (function / "app.py").write_text(HANDLER)
    server = collector()
    words = ["run", "app.handler", "--dir", str(function), "--repeat", "4", "--gap", "0.1"]
    done = session.run(planning.make_plan(build_parser().parse_args([*words, "--collector", f"unix:{server.socket}"])))
    assert 0 == server.stop()

    aggregate, environment = Aggregate(), None
    for record in done.records:
        if isinstance(record, Environment):
            environment = record
        elif environment is not None:
            aggregate.add(environment, record)
    expected = encode(aggregate.take_all(), Emitter(), now_ms()).lines

    assert sorted(expected) == sorted(json.dumps(one, separators=(",", ":")) for one in server.published())
    assert 4 == server.totals("Invocations") == server.totals("LingeringCount")
    assert [4] == [summary["counts"]["lingering"] for summary in server.published("finding")]
