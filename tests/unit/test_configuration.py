"""A flag wins over the environment, the environment over the file, the file over the default."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from afterglow_layer.cli import build_parser
from afterglow_layer.commands import configuration
from afterglow_layer.failure import Failure
from afterglow_layer.local.environment import cleaned

Ask = Callable[..., argparse.Namespace]
RUN = ("run", "app.handler")


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Give `ask(*arguments, file=…, **environment)`."""

    def asked(*arguments: str, file: str = "", **environment: str) -> argparse.Namespace:
        path = tmp_path / "afterglow.toml"
        path.write_text(file)
        parser = build_parser()
        namespace = parser.parse_args(arguments)
        configuration.complete(namespace, parser, arguments, {"AFTERGLOW_CONFIG": str(path), **environment})
        return namespace

    return asked


FILE = "[run]\nmemory = 512\n"


@pytest.mark.parametrize(
    ("flags", "environment", "file", "memory_mb"),
    [
        (["--memory", "2048"], {"AFTERGLOW_RUN_MEMORY": "1024"}, FILE, 2048),
        ([], {"AFTERGLOW_RUN_MEMORY": "1024"}, FILE, 1024),
        ([], {}, FILE, 512),
        ([], {"AFTERGLOW_RUN_MEMORY": ""}, FILE, 512),
        ([], {}, "", 128),
        (["--memory", "128"], {}, FILE, 128),
    ],
    ids=["flag", "environment", "file", "an empty variable is none", "default", "a flag that says the default"],
)
def test_who_says_it_first_is_heard(
    ask: Ask, flags: list[str], environment: dict[str, str], file: str, memory_mb: int
) -> None:
    assert memory_mb == ask(*RUN, *flags, file=file, **environment).memory


@pytest.mark.parametrize(
    ("file", "environment", "name", "value"),
    [
        ("[run]\nprovisioned = true", {}, "provisioned", True),
        ("[run]\nprovisioned = false", {}, "provisioned", False),
        ("", {"AFTERGLOW_RUN_PROVISIONED": "on"}, "provisioned", True),
        ("[run]\ngap = 2", {}, "gap", 2.0),
        ('[run]\nevent = ["a.json", "{}"]', {}, "event", ["a.json", "{}"]),
        ('[run]\nevent = "a.json"', {}, "event", ["a.json"]),
        ("", {"AFTERGLOW_RUN_EVENT": '{"id": 1}\n{"id": 2}'}, "event", ['{"id": 1}', '{"id": 2}']),
        ("[run]\ncold-every = 2", {}, "cold_every", 2),
    ],
)
def test_values_become_what_a_flag_would_make_of_them(
    ask: Ask, file: str, environment: dict[str, str], name: str, value: Any
) -> None:
    assert value == getattr(ask(*RUN, file=file, **environment), name)


def test_flags_that_may_be_repeated_replace_what_stands_elsewhere(ask: Ask) -> None:
    assert ["b.json"] == ask(*RUN, "--event", "b.json", file='[run]\nevent = ["a.json"]').event


def test_one_file_serves_all_verbs(ask: Ask) -> None:
    file = '[run]\nmemory = 512\n[layer.build]\nout = "zips"\n[collect]\ngrace-s = 7\nfrom = "logs"\nsince = "2d"\n'
    logs = ask("collect", file=file)

    assert Path("zips") == ask("layer", "build", file=file).out
    assert 512 == ask(*RUN, file=file).memory
    assert ("logs", "2d", 7) == (logs.source, logs.since, logs.settings["grace-s"])


@pytest.mark.parametrize(
    ("file", "environment", "said"),
    [
        ("[run]\nmemory = 64", {}, "config file: run.memory: '64' is not from 128 to 10240"),
        ("[run]\nmemory = [128]", {}, "config file: run.memory: write one value, not list"),
        ("[run]\nmemroy = 64", {}, "no setting of [run] is called 'memroy'; known: cold-every, collector"),
        ("run = 3", {}, "run is no table; write [run]"),
        ("[run", {}, "not TOML"),
        ("", {"AFTERGLOW_RUN_CPU": "half"}, "AFTERGLOW_RUN_CPU 'half' is not share or full"),
        ("", {"AFTERGLOW_RUN_PROVISIONED": "perhaps"}, "AFTERGLOW_RUN_PROVISIONED 'perhaps' is neither on nor off"),
        ("", {"AFTERGLOW_RUN_MEMROY": "1"}, "AFTERGLOW_RUN_MEMROY is no setting; known: AFTERGLOW_RUN_COLD_EVERY"),
        ("", {"AFTERGLOW_CONFIG": "/nowhere.toml"}, "AFTERGLOW_CONFIG /nowhere.toml: No such file"),
    ],
)
def test_what_makes_no_sense_is_named_with_its_place(
    ask: Ask, file: str, environment: dict[str, str], said: str
) -> None:
    with pytest.raises(Failure) as failure:
        ask(*RUN, file=file, **environment)

    assert 2 == failure.value.status
    assert said in str(failure.value)


def test_variables_of_other_verbs_and_of_the_sandbox_are_no_concern_of_this_one(ask: Ask) -> None:
    others = {"AFTERGLOW_COLLECT_TOKENS": "t", "AFTERGLOW_COLLECTOR": "embedded", "AFTERGLOW_LAYER_BUILD_OUT": "x"}

    assert 128 == ask(*RUN, **others).memory


def test_the_function_does_not_see_the_command_lines_own_settings() -> None:
    own = {"AFTERGLOW_COLLECT_TOKENS": "secret", "AFTERGLOW_RUN_MEMORY": "512", "AFTERGLOW_CONFIG": "a.toml"}

    assert {"AFTERGLOW_COLLECTOR": "records"} == cleaned({**own, "AFTERGLOW_COLLECTOR": "records"})
