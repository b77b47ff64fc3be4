"""`afterglow layer` on the command line: tables for people, documents for programs, and exit statuses."""

import json
import zipfile
from pathlib import Path

import pytest

from afterglow_layer.cli import main


@pytest.fixture
def strange_zip(tmp_path: Path) -> Path:
    """Give a zip that is no layer of ours."""
    path = tmp_path / "layer.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("extensions/README", "no program")
    return path


def test_what_is_wrong_with_a_layer_is_told_in_both_forms_and_is_the_exit_status(
    strange_zip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 1 == main(["layer", "inspect", str(strange_zip), "--output", "json"])
    told = capsys.readouterr()
    document = json.loads(told.out)
    assert 1 == main(["layer", "inspect", str(strange_zip)])
    table = capsys.readouterr()

    assert ["extensions/README"] == [file["path"] for file in document["files"]]
    assert strange_zip.stat().st_size == document["zipped_bytes"]
    assert document["wrong"]
    assert told.err == table.err == "".join(f"wrong: {complaint}\n" for complaint in document["wrong"])
    assert "extensions/README" in table.out


@pytest.mark.parametrize(
    ("path", "said"), [("/nowhere.zip", "/nowhere.zip: no such file"), ("/etc/passwd", "/etc/passwd: not a zip file")]
)
def test_what_is_no_zip_is_wrong_usage(path: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == main(["layer", "inspect", path])
    assert said in capsys.readouterr().err
