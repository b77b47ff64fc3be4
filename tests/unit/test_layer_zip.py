"""The layer zip: reproducible, small, complete; and what `afterglow layer inspect` says about a bad one."""

import marshal
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from afterglow_layer import archive, inspection, native
from afterglow_layer.cli import main
from afterglow_layer.contents import ARCHITECTURES, Entry, collect
from afterglow_layer.failure import Failure

LIMIT_BYTES = 650_000


@pytest.fixture(scope="module", params=ARCHITECTURES)
def layer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return archive.build(request.param, tmp_path_factory.mktemp("dist"))


def test_the_same_sources_give_the_same_bytes_in_another_process(layer: Path, tmp_path: Path) -> None:
    arch = layer.stem.removeprefix("afterglow-layer-")
    command = [sys.executable, "-m", "afterglow_layer", "layer", "build", "--arch", arch, "--out", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": "7"}, umask=0o077)

    assert (tmp_path / layer.name).read_bytes() == layer.read_bytes()


def test_it_is_built_without_a_network_and_leaves_nothing_in_the_cache(tmp_path: Path) -> None:
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:1", "PIP_RETRIES": "0", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "afterglow_layer", "layer", "build", "--out", str(tmp_path / "dist")]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **nowhere})

    assert ["afterglow-layer-arm64.zip", "afterglow-layer-x86_64.zip"] == sorted(os.listdir(tmp_path / "dist"))
    assert not (tmp_path / "cache").exists()


def test_nobody_elses_package_is_in_it(layer: Path) -> None:
    """What the function's process and the extension load is the standard library's, or ours."""
    folders = {entry.path.rpartition("/")[0].removesuffix("/__pycache__") for entry in archive.read_zip(layer)}
    ours = {"", "afterglow", "afterglow/afterglow", "afterglow/wrap", "extensions", "python", "python/afterglow_hook"}

    assert ours == folders


def test_it_is_small(layer: Path) -> None:
    assert layer.stat().st_size <= LIMIT_BYTES


def test_there_is_nothing_wrong_with_it(layer: Path) -> None:
    assert inspection.wrong(archive.read_zip(layer)) == []


def test_it_is_for_its_own_architecture(layer: Path) -> None:
    assert [layer.stem.removeprefix("afterglow-layer-")] == inspection.architectures(archive.read_zip(layer))


def test_it_has_bytecode_for_the_python_that_built_it(layer: Path) -> None:
    assert [f"3.{sys.version_info[1]}"] == inspection.python_versions(archive.read_zip(layer))


def test_the_bytecode_tells_lines_but_no_columns(layer: Path) -> None:
    (proc,) = [
        entry for entry in archive.read_zip(layer) if entry.path.startswith("afterglow/afterglow/__pycache__/proc.")
    ]
    module = marshal.loads(proc.data[16:])
    (function,) = [constant for constant in module.co_consts if getattr(constant, "co_name", "") == "parse_stat"]

    assert len({line for *_, line in function.co_lines()}) > 10
    if sys.version_info >= (3, 11):
        assert {(None, None)} == {(first, last) for _, _, first, last in function.co_positions()}


def test_the_interpreter_takes_the_bytecode_without_a_look_at_the_source(layer: Path, tmp_path: Path) -> None:
    archive.write_folder(archive.read_zip(layer), tmp_path)
    package = tmp_path / "afterglow" / "afterglow"
    (package / "version.py").write_text("raise RuntimeError('compiled from source')")
    command = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        "import sys; sys.path.insert(0, sys.argv[1]); import afterglow.version",
    ]

    subprocess.run([*command, str(package.parent)], check=True)


def test_the_folder_that_lambda_runs_everything_in_holds_the_launcher_alone(layer: Path) -> None:
    with zipfile.ZipFile(layer) as opened:
        found = [(info.filename, info.external_attr >> 16 & 0o777) for info in opened.infolist()]

    assert [entry for entry in found if entry[0].startswith("extensions/")] == [("extensions/afterglow", 0o755)]


def test_the_launcher_is_what_its_source_makes() -> None:
    """Every change of the C, or of a binary, takes a `make native`."""
    assert native.SUMS.read_text() == native.sums(), "run `make native`"


@pytest.mark.parametrize(("arch", "machine"), [("x86_64", 62), ("arm64", 183)])
def test_the_launcher_is_a_static_program_for_the_layers_machine(arch: str, machine: int) -> None:
    (launcher,) = [entry for entry in collect(arch) if entry.path.startswith("afterglow/register-")]
    found = struct.unpack_from("<4sB11xHH", launcher.data)

    assert (f"afterglow/register-{arch}", 0o755) == (launcher.path, launcher.mode)
    assert (b"\x7fELF", 2, 2, machine) == found  # 64 bits, ET_EXEC: it needs no loader
    assert b"/ld-linux" not in launcher.data


GOOD = collect("x86_64")


def changed(which: str, **fields: Any) -> list[Entry]:
    return [entry._replace(**fields) if entry.path == which else entry for entry in GOOD]


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ([*GOOD, Entry("extensions/README.md", 0o644, b"read me")], "extensions/README.md: Lambda runs every file"),
        (changed("extensions/afterglow", mode=0o644), "extensions/afterglow has no run bit"),
        (changed("afterglow-exec", mode=0o644), "afterglow-exec has no run bit"),
        (changed("extensions/afterglow", data=b"\x7fELF"), "extensions/afterglow does not begin with #!/bin/sh"),
        (changed("afterglow/afterglow/boot.py", mode=0o600), "afterglow/afterglow/boot.py: mode 600"),
        (changed("afterglow/afterglow/boot.py", path="boot.py"), "afterglow/afterglow/boot.py is missing"),
        (changed("python/afterglow.pth", path="x.pth"), "python/afterglow.pth is missing"),
        (changed("python/afterglow_hook/__init__.py", path="x.py"), "python/afterglow_hook/__init__.py is missing"),
        (changed("afterglow/register-x86_64", data=b""), "no architecture"),
        ([*GOOD, *[entry for entry in collect("arm64") if "register" in entry.path]], "arm64 and x86_64, not for one"),
        ([*GOOD, Entry("x.so", 0o644, b"\x7fELF" + bytes(14) + b"\xf3\0")], "machine 243 and x86_64, not for one"),
        ([*GOOD, Entry("x/__pycache__/x.cpython-311.pyc", 0o644, b"\xa7\r\r\n" + bytes(12))], "not an unchecked-hash"),
        ([], "extensions/afterglow is missing"),
    ],
)
def test_what_is_wrong_with_a_layer_is_said(entries: list[Entry], complaint: str) -> None:
    assert any(complaint in sentence for sentence in inspection.wrong(entries)), inspection.wrong(entries)


def test_inspect_lists_the_entries_and_the_totals(layer: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["layer", "inspect", str(layer)])
    printed = capsys.readouterr().out

    assert status == 0
    assert "0755     " in printed
    assert "extensions/afterglow" in printed
    assert "zipped" in printed


def test_inspect_fails_on_a_bad_layer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.zip"
    archive.write_zip(changed("extensions/afterglow", mode=0o644), bad)

    assert main(["layer", "inspect", str(bad)]) == 1
    assert "wrong: extensions/afterglow has no run bit" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x03\x04 cut off"])
def test_a_file_that_is_no_zip_is_a_usage_error(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "layer.zip"
    path.write_bytes(content)

    assert main(["layer", "inspect", str(path)]) == 2
    assert "not a zip file" in capsys.readouterr().err


def test_a_truncated_zip_is_a_usage_error(layer: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.zip"
    cut.write_bytes(layer.read_bytes()[:-100])

    assert main(["layer", "inspect", str(cut)]) == 2


def test_a_zip_that_reaches_outside_its_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "layer.zip"
    archive.write_zip([Entry("../escape", 0o644, b"")], path)

    with pytest.raises(Failure, match="reaches outside"):
        archive.read_zip(path)


def test_the_same_contents_have_the_same_key_and_others_another() -> None:
    assert archive.content_key(GOOD) == archive.content_key(list(reversed(GOOD)))
    assert archive.content_key(GOOD) != archive.content_key(changed("afterglow-exec", mode=0o644))
    assert archive.content_key(GOOD, "3.11.7") != archive.content_key(GOOD, "3.12.1")
