"""Makes sinks from words. In: a specification such as ``file:/var/log/afterglow.ndjson?keep=3``. Out: sinks.

    stdout
    file:PATH?max-mb=100&keep=5
    cloudwatch-logs:GROUP?stream=NAME&retention=14&region=REGION
    cloudwatch-agent:HOST:PORT?protocol=tcp&group=GROUP
    xray:HOST:PORT                the daemon's address
    xray:?region=REGION           PutTraceSegments
    otlp:http://HOST:4318?metrics=on&traces=on

    …?queue-mb=500&queue-hours=24 what may wait for a sink that one can do without, of any kind

Headers for OTLP come from OTEL_EXPORTER_OTLP_HEADERS, as everywhere; all that AWS needs, by boto3's own chain.
"""

import re
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from afterglow_collector.sinks.allowance import HOUR_MS, Allowance
from afterglow_collector.sinks.contract import Sink
from afterglow_collector.sinks.extras import missing

MB = 1024 * 1024
AGENT_GROUP = "afterglow"
ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.%\w-]+)\]|([^\s:\[\]]*))(?::([0-9]{1,5}))?\Z")
"""``HOST``, ``HOST:PORT``, ``[IPV6]:PORT``: without brackets, nobody knows where IPv6 ends and the port begins."""
MOST = 10_000_000
GROUP_NAME = re.compile(r"[.\-_/#A-Za-z0-9]{1,512}\Z")
STREAM_NAME = re.compile(r"[^:*]{1,512}\Z")
"""What CreateLogGroup and CreateLogStream take (their API references)."""


class SpecError(ValueError):
    """A specification that names no sink: says what would be right."""


class Spec(NamedTuple):
    """A specification, taken apart."""

    kind: str
    target: str
    options: dict[str, str]
    environ: Mapping[str, str]

    def option(self, name: str, default: str = "") -> str:
        """Return an option, and mark it as known by taking it out."""
        return self.options.pop(name, default)

    def number(self, name: str, default: int) -> int:
        """Return an option that is a whole number."""
        text = self.option(name, str(default))
        if not text.isdecimal():
            raise SpecError(f"{self.kind}: {name}={text!r} is not a whole number")
        return int(text)

    def switch(self, name: str, default: str = "on") -> bool:
        """Return an option that is on or off."""
        text = self.option(name, default)
        if text not in {"on", "off"}:
            raise SpecError(f"{self.kind}: {name}={text!r} is neither on nor off")
        return text == "on"


def make_sinks(text: str, environ: Mapping[str, str], host: str | None = None) -> list[Sink]:
    """Return the sinks that the specification asks for: one, or two for OTLP. SpecError if it makes no sense."""
    head, _, query = text.partition("?")
    kind, _, target = head.partition(":")
    if kind not in MAKERS:
        raise SpecError(f"{text!r}: no sink is called {kind!r}; known: {', '.join(MAKERS)}")
    environ = {"HOSTNAME": host or socket.gethostname(), **environ}
    spec = Spec(kind, unquote(target), dict(parse_qsl(query, keep_blank_values=True)), environ)
    _need(kind)
    _allowance(spec)
    sinks = MAKERS[kind](spec)
    if spec.options:
        raise SpecError(f"{kind}: no option is called {sorted(spec.options)[0]!r}")
    return sinks


def allowance_of(text: str) -> Allowance:
    """Return what may wait for the sinks of a specification that makes sense."""
    kind, _, query = text.partition("?")
    return _allowance(Spec(kind.partition(":")[0], "", dict(parse_qsl(query, keep_blank_values=True)), {}))


def _allowance(spec: Spec) -> Allowance:
    size, hours = (spec.number(name, 0) if name in spec.options else None for name in ("queue-mb", "queue-hours"))
    for name, value in (("queue-mb", size), ("queue-hours", hours)):
        if value is not None and not 0 < value < MOST:
            raise SpecError(f"{spec.kind}: {name}={value}; from 1 to {MOST - 1}")
    return Allowance(None if size is None else size * MB, None if hours is None else hours * HOUR_MS)


def _need(kind: str) -> None:
    """Say now what is not installed: later, it would be a bug of the sink's in the log."""
    words = missing(kind)
    if words is not None:
        raise SpecError(words)


def _stdout(spec: Spec) -> list[Sink]:
    from afterglow_collector.sinks.stdout import Stdout  # noqa: PLC0415 - each sink's imports are its own

    if spec.target:
        raise SpecError(f"stdout: {spec.target!r} is too much; stdout is all there is to say")
    return [Stdout()]


def _file(spec: Spec) -> list[Sink]:
    from afterglow_collector.sinks.file import RotatingFile  # noqa: PLC0415 - as above

    if not spec.target:
        raise SpecError("file: a path is missing; file:/var/log/afterglow.ndjson")
    return [RotatingFile(Path(spec.target), spec.number("max-mb", 100) * MB, spec.number("keep", 5))]


def _cloudwatch_logs(spec: Spec) -> list[Sink]:
    from afterglow_collector.sinks.aws import client_maker  # noqa: PLC0415 - as above
    from afterglow_collector.sinks.cloudwatch_logs import RETENTION_DAYS, CloudWatchLogs  # noqa: PLC0415

    if not spec.target:
        raise SpecError("cloudwatch-logs: a log group is missing; cloudwatch-logs:/afterglow/metrics")
    retention = spec.number("retention", 0)
    if retention and retention not in RETENTION_DAYS:
        days = ", ".join(map(str, RETENTION_DAYS))
        raise SpecError(f"cloudwatch-logs: retention={retention}; CloudWatch takes {days} days")
    client = client_maker("logs", spec.option("region") or None)
    stream = spec.option("stream") or spec.environ["HOSTNAME"]
    for what, name, form in (("group", spec.target, GROUP_NAME), ("stream", stream, STREAM_NAME)):
        if not form.match(name):  # AWS would refuse each batch for it, for ever
            raise SpecError(f"cloudwatch-logs: no log {what} can be called {name!r}")
    return [CloudWatchLogs(client, spec.target, stream, retention or None)]


def _cloudwatch_agent(spec: Spec) -> list[Sink]:
    from afterglow_collector.sinks.cloudwatch_agent import PORT, CloudWatchAgent  # noqa: PLC0415 - as above

    protocol = spec.option("protocol", "tcp")
    if protocol not in {"tcp", "udp"}:
        raise SpecError(f"cloudwatch-agent: protocol={protocol!r} is neither tcp nor udp")
    host, port = _address(spec, PORT)
    return [CloudWatchAgent(protocol, host, port, spec.option("group", AGENT_GROUP))]


def _xray(spec: Spec) -> list[Sink]:
    from afterglow_collector.sinks.aws import client_maker  # noqa: PLC0415 - as above
    from afterglow_collector.sinks.xray import Daemon, PutTraceSegments, XRay  # noqa: PLC0415

    if spec.target:
        host, port = _address(spec, 2000)
        return [XRay(Daemon(f"[{host}]:{port}" if ":" in host else f"{host}:{port}"))]
    return [XRay(PutTraceSegments(client_maker("xray", spec.option("region") or None)))]


def _otlp(spec: Spec) -> list[Sink]:
    from afterglow_collector.sinks.otlp import OtlpClient, OtlpMetrics, OtlpTraces  # noqa: PLC0415 - as above
    from afterglow_collector.sinks.signing import Scope, SigV4, scope_of  # noqa: PLC0415

    parts = _url(spec.target)
    headers = _headers(spec.environ.get("OTEL_EXPORTER_OTLP_HEADERS", ""))
    aws = scope_of(parts.hostname or "")
    service, region = spec.option("sign", aws.service if aws else ""), spec.option("region")
    if service:
        _need("otlp, signed")
    scope = Scope(service, region or (aws.region if aws else None)) if service else None
    wanted: list[tuple[str, str, Callable[[OtlpClient], Sink]]] = [
        ("metrics", "xray", OtlpMetrics),
        ("traces", "monitoring", OtlpTraces),
    ]
    return [
        make(OtlpClient(spec.target, headers, SigV4(scope) if scope else None))
        for name, elsewhere, make in wanted
        if spec.switch(name, "off" if aws and aws.service == elsewhere else "on")
    ]


def _url(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
            return parts
    except ValueError:  # half a pair of brackets, a port that is none
        pass
    raise SpecError(f"otlp: {text!r} is no URL; otlp:http://127.0.0.1:4318")


def _headers(text: str) -> dict[str, str]:
    """Return headers from ``name=value,name=value``, values URL-encoded (specification, OTLP exporter)."""
    pairs = (pair.partition("=") for pair in text.split(",") if pair.strip())
    return {name.strip(): unquote(value.strip()) for name, _, value in pairs}


def _address(spec: Spec, default_port: int) -> tuple[str, int]:
    match = ADDRESS.match(spec.target)
    port = (match[3] or str(default_port)) if match else ""
    if match is None or not 0 < int(port) < 65536:
        raise SpecError(f"{spec.kind}: {spec.target!r} is no address; 127.0.0.1:{default_port}, [::1]:{default_port}")
    return match[1] or match[2] or "127.0.0.1", int(port)


MAKERS: dict[str, Callable[[Spec], list[Sink]]] = {
    "stdout": _stdout,
    "file": _file,
    "cloudwatch-logs": _cloudwatch_logs,
    "cloudwatch-agent": _cloudwatch_agent,
    "xray": _xray,
    "otlp": _otlp,
}
