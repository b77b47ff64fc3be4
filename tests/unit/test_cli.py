"""The `afterglow` command: what it prints, what it refuses, how it exits."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

from afterglow.version import __version__
from afterglow_collector.facts import Call, RunFacts
from afterglow_layer.cli import main
from afterglow_layer.commands.run import exit_status
from afterglow_layer.failure import Failure
from afterglow_layer.local import environment, events, planning
from afterglow_layer.local.session import Run

OK = Call(1, "id", 0.0, 1.0, 200, "ok", None, "null", 0.0)
FACTS = RunFacts("app.handler", "/f", "python", 128, 30, "managed", "none", "rie", None, 0.0, [OK], [], None)
LINGERING = {"findings": [{"kind": "lingering"}]}


def done(calls: list[Call], problem: str | None = None, *, interrupted: bool = False) -> Run:
    return Run([], FACTS._replace(calls=calls, problem=problem), [], [], interrupted)


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["run", "--help"], ["layer", "--help"], ["layer", "build", "--help"], ["collect", "--help"]],
)
def test_help_is_there_for_every_verb(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(arguments)

    assert "usage: afterglow" in capsys.readouterr().out


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])

    assert capsys.readouterr().out == f"afterglow {__version__}\n"


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; import afterglow_layer.cli as cli; cli.build_parser(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    heavy = {"rich", "http.client", "subprocess", "msgspec", "numpy", "uvloop", "boto3", "afterglow_collector.report"}

    assert heavy & set(loaded) == set()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["app"], "'app' is no handler's name"),
        (["app.py"], "as in app.handler"),
        (["app.handler", "--dir", "/nowhere"], "--dir /nowhere: no such folder"),
        (["app.handler", "--event", "{nope"], "no such file, and not JSON either"),
        (["app.handler", "--event", "/etc/passwd"], "--event /etc/passwd: not JSON"),
        (["app.handler", "--env", "NOPE"], "--env 'NOPE': write NAME=VALUE"),
        (["app.handler", "--json", "/nowhere/run.json"], "--json /nowhere/run.json: its folder does not exist"),
        (["app.handler", "--python", "/nowhere"], "--python /nowhere: no such file"),
        (["app.handler", "--rie", "/nowhere"], "--rie /nowhere: no such file"),
        (["app.handler", "--rie", "/etc/passwd"], "--rie /etc/passwd: not executable"),
        (["app.handler", "--rie", "/bin/true", "--layer", "/nowhere"], "/nowhere: no such file"),
        (["app.handler", "--rie", "/bin/true", "--layer", "/etc/passwd"], "/etc/passwd: not a zip file"),
    ],
)
def test_wrong_usage_is_said_and_exits_with_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *arguments]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["run", "app.handler", "--repeat", "0"],
        ["run", "app.handler", "--gap", "-1"],
        ["run", "app.handler", "--gap", "nan"],
        ["run", "app.handler", "--timeout", "1.5"],
        ["run", "app.handler", "--layer", "x", "--no-layer"],
        ["layer", "build", "--arch", "sparc"],
        ["sing"],
        [],
    ],
)
def test_wrong_options_exit_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (done([OK]), 0),
        (done([OK, OK._replace(outcome="error")]), 1),
        (done([OK._replace(outcome="timeout")]), 1),
        (done([OK], "RIE ended"), 1),
        (done([OK], interrupted=True), 130),
        (done([OK._replace(outcome="error")], interrupted=True), 130),
    ],
)
def test_the_exit_status_tells_how_the_run_went(run: Run, expected: int) -> None:
    assert exit_status(run, {"findings": []}, ["lingering"]) == expected


def test_findings_set_the_exit_status_only_when_asked() -> None:
    assert exit_status(done([OK]), LINGERING, []) == 0
    assert exit_status(done([OK]), LINGERING, ["lingering"]) == 3


def test_a_failed_run_fails_as_such_even_with_findings() -> None:
    assert exit_status(done([OK._replace(outcome="error")]), LINGERING, ["lingering"]) == 1


def test_an_event_is_a_file_or_json_or_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "event.json"
    path.write_text('{"from": "file"}')
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"from": "stdin"}')))

    assert events.read_event(str(path)) == b'{"from": "file"}'
    assert events.read_event('{"from": "text"}') == b'{"from": "text"}'
    assert events.read_event("-") == b'{"from": "stdin"}'


@pytest.mark.parametrize("text", ["x" * 5000, "[" * 100_000, "a\0b", ""])
def test_strange_events_are_refused_and_nothing_worse(text: str) -> None:
    with pytest.raises(Failure) as refused:
        events.read_event(text)

    assert refused.value.status == 2


def test_an_event_has_6_mb_at_most(tmp_path: Path) -> None:
    path = tmp_path / "event.json"
    path.write_text(f'"{"x" * (events.MOST_BYTES - 2)}"')
    assert events.MOST_BYTES == len(events.read_event(str(path)))
    path.write_text(f'"{"x" * (events.MOST_BYTES - 1)}"')

    with pytest.raises(Failure, match="6,291,457 bytes, and Lambda takes 6,291,456") as refused:
        events.read_event(str(path))
    assert 2 == refused.value.status


@pytest.mark.parametrize(
    "content", [b"NaN", b'{"a": [Infinity]}', b"-Infinity", b'"\xff"', b"\xef\xbb\xbf{}", '"x"'.encode("utf-16")]
)
def test_an_event_is_json_as_lambda_takes_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "event.json").write_bytes(content)

    with pytest.raises(Failure, match="not JSON"):
        events.read_event(str(tmp_path / "event.json"))


def test_the_callers_workshop_stays_outside() -> None:
    caller = {"PATH": "/bin", "HOME": "/root", "VIRTUAL_ENV": "/v", "PYTHONPATH": "/p", "PIP_INDEX_URL": "u"}

    assert environment.cleaned(caller) == {"PATH": "/bin", "HOME": "/root"}


def test_what_was_asked_for_wins_over_everything() -> None:
    stage = environment.Stage("app.handler", "/f", 128, 30, "eu-west-1", "python3.11", "/python", "/records")
    env = environment.build({"TZ": "CET", "A": "caller"}, stage, {"TZ": "UTC", "PYTHONPATH": "/mine"})

    assert {"TZ": "UTC", "PYTHONPATH": "/mine", "A": "caller", "AWS_REGION": "eu-west-1"}.items() <= env.items()


@pytest.mark.parametrize(
    ("arguments", "pairs"),
    [([], {}), (["A=1", "B=x=y"], {"A": "1", "B": "x=y"}), (["A="], {"A": ""}), (["A=1", "A=2"], {"A": "2"})],
)
def test_env_arguments_are_split_at_the_first_sign(arguments: list[str], pairs: dict[str, str]) -> None:
    assert environment.parse_pairs(arguments) == pairs


def test_the_region_is_the_callers_or_lambdas_first() -> None:
    assert planning.region_of({"AWS_REGION": "a", "AWS_DEFAULT_REGION": "b"}) == "a"
    assert planning.region_of({"AWS_DEFAULT_REGION": "b"}) == "b"
    assert planning.region_of({}) == "us-east-1"


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    command = f"{sys.executable} -m afterglow_layer run --help | head -1"
    finished = subprocess.run(["/bin/bash", "-c", command], capture_output=True, text=True, check=True)

    assert "Traceback" not in finished.stderr
