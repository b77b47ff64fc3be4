"""The quota is lifted when the kernel has killed for memory, and comes back."""

import queue
from pathlib import Path

import pytest

from afterglow_layer.local import oom_relief
from afterglow_layer.local.cgroups import V1, V2, Home
from afterglow_layer.local.oom_relief import OomRelief, kills_file, read_kills

V1_TEXT = "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n"
V2_TEXT = "low 0\nhigh 0\nmax 41\noom 1\noom_kill {}\noom_group_kill 0\n"
LIMIT_S = 10.0


@pytest.mark.parametrize(("kind", "text"), [(V1, V1_TEXT), (V2, V2_TEXT)])
def test_a_kill_lifts_the_quota_once_and_for_a_moment(
    kind: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oom_relief, "RELIEF_S", 0.01)
    said: queue.Queue[bool] = queue.Queue()
    home = Home(kind, tmp_path)
    write(home, text.format(1))  # from before our time
    relief = OomRelief(home, said.put)
    try:
        write(home, text.format(2))
        first = [said.get(timeout=LIMIT_S), said.get(timeout=LIMIT_S)]
        write(home, text.format(4))  # two at once
        second = [said.get(timeout=LIMIT_S), said.get(timeout=LIMIT_S)]
    finally:
        relief.close()

    assert [True, False] == first
    assert [True, False] == second
    assert said.empty(), "each growth of the count lifts the quota once"


def test_the_quota_is_put_back_though_the_run_ends_meanwhile(tmp_path: Path) -> None:
    said: queue.Queue[bool] = queue.Queue()
    home = Home(V1, tmp_path)
    write(home, V1_TEXT.format(0))
    relief = OomRelief(home, said.put)
    write(home, V1_TEXT.format(1))
    lifted = said.get(timeout=LIMIT_S)
    relief.close()

    assert lifted
    assert said.get_nowait() is False


@pytest.mark.parametrize("text", ["", "oom_kill_disable 0\nunder_oom 0\n"])
def test_a_kernel_that_does_not_count_kills_has_none(text: str, tmp_path: Path) -> None:
    file = tmp_path / "memory.oom_control"
    file.write_text(text)

    assert 0 == read_kills(file)


def test_a_group_that_is_gone_has_no_kills(tmp_path: Path) -> None:
    assert 0 == read_kills(tmp_path / "gone" / "memory.events")


def write(home: Home, text: str) -> None:
    """Replace the file in one step, as the kernel's reads are whole."""
    new = home.path / "new"
    new.write_text(text)
    new.replace(kills_file(home))
