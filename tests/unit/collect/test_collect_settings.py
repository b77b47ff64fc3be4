"""Options, tokens, addresses: what is taken, what is refused, and in which words."""

import os
import re
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from afterglow_collector.collect.listening import (
    Address,
    ListenError,
    check_access,
    open_socket,
    parse_address,
    tls_context,
)
from afterglow_collector.collect.options import PREFIX, TABLE, OptionError, Options, flag_of, resolve
from afterglow_collector.collect.tokens import TokenError, Tokens
from afterglow_layer.cli import main

TOKEN = "0123456789abcdef"
OTHER = "fedcba9876543210"


def test_without_a_word_there_are_the_defaults() -> None:
    assert Options() == resolve({}, {}, {})


def test_every_option_is_in_the_table_and_its_default_is_one_that_it_takes() -> None:
    assert set(TABLE) == set(Options._fields) - {"tokens"}
    for name in ("grace_s", "max_ratio", "drain_s", "listen", "durability", "emf_values"):
        default = getattr(Options(), name)
        assert default == getattr(resolve({name: str(default)}, {}, {}), name)


def test_a_flag_wins_over_the_environment_and_that_over_the_file() -> None:
    file, environ = {"grace-s": 1, "max-ratio": 5, "drain-s": 9}, {PREFIX + "GRACE_S": "2", PREFIX + "MAX_RATIO": "6"}
    options = resolve({"grace_s": "3"}, environ, file)

    assert (3, 6, 9) == (options.grace_s, options.max_ratio, options.drain_s)


def test_sinks_are_several_flags_words_or_an_array() -> None:
    expected = ("stdout", "file:/x?keep=2")

    assert expected == resolve({"sink": ["stdout", "file:/x?keep=2"]}, {}, {}).sink
    assert expected == resolve({}, {PREFIX + "SINK": "stdout file:/x?keep=2"}, {}).sink
    assert expected == resolve({}, {}, {"sink": ["stdout", "file:/x?keep=2"]}).sink


@pytest.mark.parametrize(
    ("flags", "environ", "file", "said"),
    [
        ({"grace_s": "soon"}, {}, {}, "--grace-s 'soon' is not a whole number from 0 to 3600"),
        ({}, {PREFIX + "GRACE_S": "-1"}, {}, "AFTERGLOW_COLLECT_GRACE_S '-1' is not"),
        ({}, {}, {"grace-s": 1.5}, "config file: collect.grace-s '1.5' is not"),
        ({}, {}, {"grace_s": 1}, "config file: no setting is called 'grace_s'; known: checkpoint-mb"),
        ({"durability": "maybe"}, {}, {}, "is not disk or none"),
        ({"insecure": "perhaps"}, {}, {}, "is not on or off"),
        ({"metrics": "Nope"}, {}, {}, "--metrics 'Nope' is not"),
        ({"listen": ""}, {}, {}, "--listen '' is not HOST:PORT"),
    ],
)
def test_what_makes_no_sense_is_named_with_its_place(
    flags: dict[str, str], environ: dict[str, str], file: dict[str, Any], said: str
) -> None:
    with pytest.raises(OptionError) as refused:
        resolve(flags, environ, file)

    assert said in str(refused.value)


def test_the_page_for_people_names_every_option_with_its_default() -> None:
    page = (Path(__file__).parents[3] / "docs" / "collector.md").read_text()
    for name in TABLE:
        assert f"`{flag_of(name)}`" in page, f"docs/collector.md does not name {flag_of(name)}"
        default = getattr(Options(), name)
        if isinstance(default, int) and not isinstance(default, bool):
            assert re.search(rf"`{flag_of(name)}` \| {default} \|", page), f"default of {flag_of(name)}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--grace-s", "x"], "--grace-s 'x' is not"),
        (["--config", "/nowhere.toml"], "--config /nowhere.toml: No such file"),
        (["--config", "/etc/passwd"], "--config /etc/passwd: not TOML"),
        (["group"], "'group' is too much; log groups go with --from logs"),
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["collect", *arguments]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--listen", "0.0.0.0:0"], "no tokens are set"),
        (["--token-file", "/nowhere"], "token file /nowhere"),
        (["--tls-cert", "/etc/passwd"], "--tls-cert /etc/passwd"),
        (["--data", "/proc/nowhere"], "--data /proc/nowhere"),
        (["--listen", "203.0.113.1:1", "--insecure"], "Cannot assign requested address"),
        (["--listen", "unix:/tmp/" + "x" * 200], "path too long"),
    ],
)
def test_what_keeps_it_from_starting_is_said_in_a_line_and_exits_with_1(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    _says_and_exits(1, arguments, said, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--listen", "nonsense"], "neither HOST:PORT nor unix:PATH"),
        (["--sink", "nowhere"], "no sink is called 'nowhere'"),
        (["--sink", "otlp:nowhere"], "otlp"),
        (["--sink", "stdout", "--sink", "stdout"], "two sinks are called"),
        (["--tls-key", "/nowhere"], "--tls-key needs --tls-cert"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage_and_exits_with_2(arguments: list[str], said: str, tmp_path: Path) -> None:
    _says_and_exits(2, arguments, said, tmp_path)


def _says_and_exits(status: int, arguments: list[str], said: str, tmp_path: Path) -> None:
    data = [] if "--data" in arguments else ["--data", str(tmp_path)]
    command = [sys.executable, "-m", "afterglow_layer", "collect", *data, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert (status, "") == (done.returncode, done.stdout)
    assert done.stderr.splitlines()[-1].startswith("afterglow: ")
    assert said in done.stderr.splitlines()[-1]


def test_without_tokens_everybody_may_send() -> None:
    assert not Tokens((), None)
    assert Tokens((), None).allow(b"")


@pytest.mark.parametrize(
    ("shown", "allowed"),
    [
        (f"Bearer {TOKEN}", True),
        (f"bearer  {OTHER} ", True),
        (f"Basic {TOKEN}", False),
        (f"Bearer {TOKEN}x", False),
        (f"Bearer {TOKEN[:-1]}", False),
        ("Bearer ", False),
        (TOKEN, False),
        ("", False),
        (f"Bearer {sha256(TOKEN.encode()).hexdigest()}", False),
    ],
)
def test_one_of_the_tokens_must_be_shown(shown: str, allowed: bool) -> None:
    assert allowed is Tokens((TOKEN, OTHER), None).allow(shown.encode())


def test_a_token_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"# ours\n{TOKEN}\n\n")
    tokens = Tokens((), file)
    replacement = tmp_path / "new"
    replacement.write_text(f"{OTHER}\n")
    replacement.rename(file)
    tokens.refresh()

    assert (False, True) == (tokens.allow(b"Bearer " + TOKEN.encode()), tokens.allow(b"Bearer " + OTHER.encode()))


@pytest.mark.parametrize("content", [None, b"", b"# none\n", b"short\n", b"\xff\xfe" * 20, b"has space in it here\n"])
def test_a_token_file_that_is_no_use_leaves_the_old_tokens_in_force(
    tmp_path: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "tokens"
    file.write_text(TOKEN)
    tokens = Tokens((), file)
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    tokens.refresh()

    assert tokens.allow(b"Bearer " + TOKEN.encode())
    assert "the tokens of before stay in force" in caplog.text
    assert TOKEN not in caplog.text


def test_a_start_with_a_useless_token_is_refused_and_the_token_not_shown() -> None:
    with pytest.raises(TokenError) as refused:
        Tokens(("s3cret",), None)

    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "address", "local"),
    [
        ("127.0.0.1:80", Address("127.0.0.1", 80, None), True),
        ("localhost:0", Address("localhost", 0, None), True),
        ("[::1]:9", Address("::1", 9, None), True),
        ("LOCALHOST:1", Address("LOCALHOST", 1, None), True),
        ("[::ffff:127.0.0.1]:9", Address("::ffff:127.0.0.1", 9, None), True),
        ("[::ffff:10.0.0.1]:9", Address("::ffff:10.0.0.1", 9, None), False),
        ("unix:/run/x.sock", Address("", 0, "/run/x.sock"), True),
        ("0.0.0.0:80", Address("0.0.0.0", 80, None), False),
        ("[::]:80", Address("::", 80, None), False),
        ("collector.internal:80", Address("collector.internal", 80, None), False),
    ],
)
def test_addresses(text: str, address: Address, local: bool) -> None:
    assert (address, local) == (parse_address(text), parse_address(text).local)


@pytest.mark.parametrize("text", ["", "80", ":80", "host:", "host:99999", "host:x", "unix:"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ListenError, match="neither HOST:PORT nor unix:PATH"):
        parse_address(text)


def test_beyond_this_machine_takes_tokens_or_a_word() -> None:
    everywhere = parse_address("0.0.0.0:80")
    check_access(everywhere, tokens=True, insecure=False)
    check_access(everywhere, tokens=False, insecure=True)
    check_access(parse_address("127.0.0.1:80"), tokens=False, insecure=False)
    with pytest.raises(ListenError, match="--insecure"):
        check_access(everywhere, tokens=False, insecure=False)


def test_an_abandoned_socket_is_replaced_and_one_in_use_or_another_file_is_not(tmp_path: Path) -> None:
    path = tmp_path / "sock"
    address = parse_address(f"unix:{path}")
    first, _ = open_socket(address)
    with pytest.raises(ListenError, match="in use"):
        open_socket(address)
    first.close()
    second, _ = open_socket(address)
    second.close()
    assert 0o600 == os.stat(path).st_mode & 0o777

    path.unlink()
    path.write_text("precious")
    with pytest.raises(ListenError, match="in use"):
        open_socket(address)
    assert "precious" == path.read_text()


def test_no_certificate_means_no_tls() -> None:
    assert tls_context(None, None) is None
