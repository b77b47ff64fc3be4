"""OTLP to AWS' own endpoints: requests are signed so that a verifier of our own, made from AWS' description, agrees."""

from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler

import pytest
from tests.integration.sinks.signature import scope_signed_for
from tests.integration.sinks.stage import OtlpReceiver, reply, serving
from tests.integration.sinks.test_traces import emf_batch, traced

from afterglow_collector.sinks.contract import SinkRetry
from afterglow_collector.sinks.otlp import OtlpClient, OtlpMetrics, OtlpTraces
from afterglow_collector.sinks.signing import Scope, SigV4, scope_of
from afterglow_collector.sinks.spec import make_sinks

SECRETS = {"AKIDEXAMPLE": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "AKIDNEW": "another-secret"}


class Aws(OtlpReceiver):
    """An endpoint that takes what is signed with a key that is in force, for what it should be, just now."""

    def __init__(self) -> None:
        super().__init__()
        self.in_force = "AKIDEXAMPLE"
        self.scopes: list[tuple[str, str]] = []
        self.session_tokens: list[str | None] = []

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        key = handler.headers["Authorization"].partition("Credential=")[2].partition("/")[0]
        if key != self.in_force:
            reply(handler, 403, b"expired", {})
            return
        headers = dict(handler.headers)
        signed_at = datetime.strptime(headers["X-Amz-Date"] + "+0000", "%Y%m%dT%H%M%SZ%z")
        assert abs(datetime.now(timezone.utc) - signed_at) < timedelta(minutes=5), "AWS takes it for 5 minutes"
        self.scopes.append(scope_signed_for(SECRETS[key], handler.command, handler.path, headers, body))
        self.session_tokens.append(handler.headers.get("X-Amz-Security-Token"))
        reply(handler, 200, b"", {})


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRETS["AKIDEXAMPLE"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session")


def test_the_verifier_agrees_with_aws_own_example() -> None:
    """IAM's ListUsers of 30 August 2015, from the "Signature Version 4 test suite" and the user guide."""
    headers = {
        "Host": "iam.amazonaws.com",
        "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
        "X-Amz-Date": "20150830T123600Z",
        "Authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
    }
    target = "/?Action=ListUsers&Version=2010-05-08"

    assert ("iam", "us-east-1") == scope_signed_for(SECRETS["AKIDEXAMPLE"], "GET", target, headers, b"")
    with pytest.raises(AssertionError, match="the signature is not of"):
        scope_signed_for(SECRETS["AKIDEXAMPLE"], "GET", target, headers, b"another body")


@pytest.mark.usefixtures("key")
def test_metrics_and_traces_are_signed_for_their_services() -> None:
    aws = Aws()
    with serving(aws) as url:
        for service, sink_of, batch in (("monitoring", OtlpMetrics, emf_batch()), ("xray", OtlpTraces, traced())):
            client = OtlpClient(url, auth=SigV4(Scope(service, "eu-central-1")))
            assert {} == sink_of(client).send(batch)
            client.close()

    assert [("monitoring", "eu-central-1"), ("xray", "eu-central-1")] == aws.scopes
    assert ["session", "session"] == aws.session_tokens


@pytest.mark.usefixtures("key")
def test_credentials_that_were_refused_are_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    aws = Aws()
    aws.in_force = "AKIDNEW"
    with serving(aws) as url:
        (sink,) = make_sinks(f"otlp:{url}?sign=monitoring&region=eu-west-1&traces=off", {})
        with pytest.raises(SinkRetry, match="HTTP 403"):
            sink.send(emf_batch())
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDNEW")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRETS["AKIDNEW"])
        assert {} == sink.send(emf_batch())

    assert [("monitoring", "eu-west-1")] == aws.scopes


def test_without_credentials_it_waits_for_some(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    aws = Aws()
    with serving(aws) as url:
        sink = OtlpMetrics(OtlpClient(url, auth=SigV4(Scope("monitoring", "eu-west-1"))))
        with pytest.raises(SinkRetry, match="NoCredentialsError"):
            sink.send(emf_batch())
        sink.close()

    assert [] == aws.scopes


@pytest.mark.parametrize(
    ("host", "scope"),
    [
        ("monitoring.us-east-1.amazonaws.com", Scope("monitoring", "us-east-1")),
        ("xray.us-gov-west-1.amazonaws.com", Scope("xray", "us-gov-west-1")),
        ("monitoring.cn-north-1.amazonaws.com.cn", Scope("monitoring", "cn-north-1")),
        ("monitoring.us-east-1.amazonaws.com.evil.example", None),
        ("otel.internal", None),
    ],
)
def test_an_endpoint_of_aws_is_known_by_its_name(host: str, scope: Scope | None) -> None:
    assert scope == scope_of(host)


@pytest.mark.parametrize(("service", "signal"), [("monitoring", "metrics"), ("xray", "traces")])
def test_an_endpoint_of_aws_gets_what_it_takes(service: str, signal: str) -> None:
    (sink,) = make_sinks(f"otlp:https://{service}.eu-west-1.amazonaws.com", {})

    assert f"otlp {signal} https://{service}.eu-west-1.amazonaws.com" == sink.name
