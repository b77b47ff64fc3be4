"""docs/cli.md is true: its file is one that the commands take, and its example fails as it says."""

import re
from pathlib import Path

import pytest

from afterglow_layer.cli import build_parser, main
from afterglow_layer.commands import configuration

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()


@pytest.mark.parametrize("arguments", [("run", "app.handler"), ("collect",), ("layer", "build")])
def test_the_pages_file_is_taken_by_every_command(arguments: tuple[str, ...], tmp_path: Path) -> None:
    (toml,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    file = tmp_path / "afterglow.toml"
    file.write_text(toml)
    parser = build_parser()
    asked = parser.parse_args([*arguments, "--config", str(file)])
    configuration.complete(asked, parser, [*arguments, "--config", str(file)], {})

    assert asked.settings, f"the page's file says nothing of {arguments[0]}"


def test_the_pages_mistake_is_answered_as_on_the_page(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AFTERGLOW_RUN_CPU", "half")

    assert 2 == main(["run", "app.handler"])
    assert capsys.readouterr().err in PAGE


@pytest.mark.parametrize("verb", ["run", "collect", "layer", "completion"])
def test_the_page_and_the_help_of_each_command_have_their_word(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([verb, "--help"])
    told = capsys.readouterr().out

    assert f"`afterglow {verb}`" in PAGE
    assert "examples:" in told
    assert "exit status:" in told
