"""A listening socket when there is no descriptor left: nobody spins, and whoever called is heard later."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import afterglow

CHILD = Path(__file__).with_name("ear_child.py")
WITHOUT_MS = 300
FEW_TURNS = 20


@pytest.mark.parametrize("what", ["inbox", "listener"])
def test_without_a_free_descriptor_the_loop_rests_and_hears_the_caller_later(what: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            "/bin/sh",
            "-c",
            'ulimit -n 64; exec "$@"',
            "few",
            sys.executable,
            CHILD,
            what,
            tmp_path / "s",
            str(WITHOUT_MS),
        ],
        env={"PYTHONPATH": str(Path(afterglow.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "" == done.stderr
    turns, before, heard, no_room, freezes = json.loads(done.stdout)

    assert (0, 1, True) == (before, heard, no_room)
    assert turns <= FEW_TURNS, f"{turns} turns in {WITHOUT_MS} ms: it spins"
    assert 0 == freezes, "clocks that cannot be read any more stand still, and do not go back"
