"""Sinks from words: each makes what it says, and what makes no sense is refused in a sentence."""

import subprocess
import sys
from pathlib import Path

import pytest

from afterglow_collector.sinks.allowance import HOUR_MS, MB, Allowance
from afterglow_collector.sinks.cloudwatch_agent import CloudWatchAgent
from afterglow_collector.sinks.cloudwatch_logs import CloudWatchLogs
from afterglow_collector.sinks.file import RotatingFile
from afterglow_collector.sinks.otlp import OtlpMetrics, OtlpTraces
from afterglow_collector.sinks.spec import MAKERS, SpecError, allowance_of, make_sinks
from afterglow_layer.commands.collect import KINDS


def test_a_file_with_its_options() -> None:
    (sink,) = make_sinks("file:/var/log/a%20b.ndjson?keep=2&max-mb=7", {})

    assert isinstance(sink, RotatingFile)
    assert (Path("/var/log/a b.ndjson"), 2, 7 * 2**20) == (sink.path, sink.keep, sink.max_bytes)


def test_a_log_group_gets_a_stream_of_the_hosts_name() -> None:
    (sink,) = make_sinks("cloudwatch-logs:/afterglow/metrics?retention=14", {}, host="collector-1")

    assert isinstance(sink, CloudWatchLogs)
    assert ("/afterglow/metrics", "collector-1", 14) == (sink.group, sink.stream, sink.retention_days)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("cloudwatch-agent:", ("127.0.0.1", 25888)),
        ("cloudwatch-agent:agent.local", ("agent.local", 25888)),
        ("cloudwatch-agent:10.0.0.1:1234?protocol=udp", ("10.0.0.1", 1234)),
        ("cloudwatch-agent:[::1]:1234", ("::1", 1234)),
        ("cloudwatch-agent:[::1]", ("::1", 25888)),
        ("cloudwatch-agent::1234", ("127.0.0.1", 1234)),
    ],
)
def test_the_agents_address_has_defaults(text: str, address: tuple[str, int]) -> None:
    (sink,) = make_sinks(text, {})

    assert isinstance(sink, CloudWatchAgent)
    assert address == sink.address


def test_x_ray_is_the_daemon_where_there_is_an_address_and_the_api_otherwise() -> None:
    texts = ("xray:127.0.0.1:2000", "xray:[::1]:2000", "xray", "xray:?region=eu-west-1")
    names = [make_sinks(text, {})[0].name for text in texts]

    assert [
        "xray daemon 127.0.0.1:2000",
        "xray daemon [::1]:2000",
        "xray PutTraceSegments",
        "xray PutTraceSegments",
    ] == names


@pytest.mark.parametrize(
    ("text", "allowance"),
    [
        ("stdout", Allowance()),
        ("otlp:http://h:1?queue-mb=500&traces=off", Allowance(500 * MB)),
        ("xray:?queue-hours=24", Allowance(None, 24 * HOUR_MS)),
        ("file:/x?queue-mb=1&queue-hours=2&keep=3", Allowance(MB, 2 * HOUR_MS)),
    ],
)
def test_every_sink_may_have_an_allowance(text: str, allowance: Allowance) -> None:
    assert make_sinks(text, {})
    assert allowance == allowance_of(text)


def test_what_a_sink_is_called_holds_no_password() -> None:
    metrics, traces = make_sinks("otlp:http://user:s3cret@127.0.0.1:4318", {})

    assert ["otlp metrics http://127.0.0.1:4318", "otlp traces http://127.0.0.1:4318"] == [metrics.name, traces.name]


def test_otlp_is_two_sinks_with_the_usual_headers() -> None:
    environ = {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20abc, x-team = shop"}
    metrics, traces = make_sinks("otlp:http://127.0.0.1:4318/", environ)

    assert isinstance(metrics, OtlpMetrics)
    assert isinstance(traces, OtlpTraces)
    assert ("Bearer abc", "shop") == (metrics.client.headers["authorization"], traces.client.headers["x-team"])
    assert [OtlpTraces] == [type(sink) for sink in make_sinks("otlp:http://h:1?metrics=off", {})]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no sink is called ''; known: stdout, file"),
        ("kafka:x", "no sink is called 'kafka'"),
        ("stdout:x", "is too much"),
        ("file:", "a path is missing"),
        ("file:/x?keep=many", "keep='many' is not a whole number"),
        ("file:/x?colour=red", "no option is called 'colour'"),
        ("cloudwatch-logs:", "a log group is missing"),
        ("cloudwatch-logs:/g?retention=2", "CloudWatch takes 1, 3, 5"),
        ("cloudwatch-agent:h:99999", "is no address"),
        ("cloudwatch-agent:::1:25888", "is no address; 127.0.0.1:25888, [::1]:25888"),
        ("xray:::1:2000", "is no address"),
        ("xray:2001:db8::1", "is no address"),
        ("xray:[::1:2000", "is no address"),
        ("xray:127.0.0.1:port", "is no address"),
        ("xray:127.0.0.1:\u0662\u0660\u0660\u0660", "is no address"),
        ("stdout?queue-mb=0", "queue-mb=0; from 1"),
        ("stdout?queue-mb=", "is not a whole number"),
        ("file:/x?queue-hours=soon", "queue-hours='soon' is not a whole number"),
        ("cloudwatch-agent:h:1?protocol=sctp", "neither tcp nor udp"),
        ("cloudwatch-logs:my group", "no log group can be called 'my group'"),
        ("cloudwatch-logs:/g*", "no log group"),
        ("cloudwatch-logs:/" + "x" * 512, "no log group"),
        ("cloudwatch-logs:/g?stream=a:b", "no log stream can be called 'a:b'"),
        ("otlp:127.0.0.1:4318", "is no URL"),
        ("otlp:http://[::1:4318", "is no URL"),
        ("otlp:http://h:99999", "is no URL"),
        ("otlp:http://h:port", "is no URL"),
        ("otlp:http://:4318", "is no URL"),
        ("otlp:http://h:1?traces=maybe", "neither on nor off"),
    ],
)
def test_what_makes_no_sense_is_said(text: str, said: str) -> None:
    with pytest.raises(SpecError) as refused:
        make_sinks(text, {})

    assert said in str(refused.value)


def test_completion_knows_every_kind() -> None:
    assert list(MAKERS) == [kind.rstrip(":") for kind in KINDS]


def test_a_light_sink_imports_no_heavy_one() -> None:
    code = (
        "import sys; import afterglow_collector.sinks; from afterglow_collector.sinks.spec import make_sinks;"
        "make_sinks('stdout', {}); make_sinks('file:/x', {}); make_sinks('cloudwatch-agent:', {}); print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert {"boto3", "botocore", "requests", "aws_xray_sdk", "opentelemetry", "google.protobuf"} & set(loaded) == set()


WITHOUT = """
import importlib.util, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name == {module!r} else find(name)
from afterglow_collector.sinks.spec import SpecError, make_sinks
try:
    make_sinks({text!r}, {{}})
except SpecError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("module", "text", "said"),
    [
        ("boto3", "cloudwatch-logs:/g", "cloudwatch-logs: boto3 is not installed; pip install 'afterglow[aws]'"),
        ("aws_xray_sdk", "xray:", "xray: aws_xray_sdk is not installed; pip install 'afterglow[aws]'"),
        ("requests", "otlp:http://h:1", "otlp: requests is not installed; pip install 'afterglow[otlp]'"),
        (
            "boto3",
            "otlp:https://xray.eu-west-1.amazonaws.com",
            "otlp, signed: boto3 is not installed; pip install 'afterglow[aws]'",
        ),
    ],
)
def test_what_is_not_installed_is_said_at_the_start(module: str, text: str, said: str) -> None:
    """In a process of its own, to which one module is hidden."""
    script = WITHOUT.format(module=module, text=text)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert said == done.stdout.strip()
