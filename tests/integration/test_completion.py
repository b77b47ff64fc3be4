"""Completion, as a real bash on a terminal of its own sees it."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

LIMIT_S = 30
COMMAND = Path(sys.executable).with_name("afterglow")


class Terminal:
    """An interactive bash."""

    def __init__(self, folder: Path) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            path = f"{COMMAND.parent}:{os.environ['PATH']}"
            os.execvpe(
                "bash", ["bash", "--norc", "-i"], {"PATH": path, "PS1": "$ ", "TERM": "dumb", "HOME": str(folder)}
            )
        self.wait_for(r"\$ $")

    def wait_for(self, pattern: str) -> str:
        """Read until what has come since the last call matches."""
        came = ""
        ends_s = time.monotonic() + LIMIT_S
        while not re.search(pattern, came):
            ready, _, _ = select.select([self.fd], [], [], max(0.0, ends_s - time.monotonic()))
            assert ready, f"bash did not show {pattern!r}, but {came!r}"
            came += os.read(self.fd, 65536).decode()
        return came

    def run(self, line: str) -> str:
        os.write(self.fd, f"{line}; echo 'do''ne'\n".encode())
        return self.wait_for(r"done\r?\n\$ $")

    def complete(self, line: str, expected: str) -> str:
        """Press tab after the line, and wait for what it becomes; then give the line up."""
        os.write(self.fd, line.encode() + b"\t")
        came = self.wait_for(re.escape(expected))
        os.write(self.fd, b"\x15\n")  # ^U
        self.wait_for(r"\$ $")
        return came

    def close(self) -> None:
        os.close(self.fd)
        os.waitpid(self.pid, 0)


@pytest.fixture
def bash(tmp_path: Path) -> Iterator[Terminal]:
    if shutil.which("bash") is None or not COMMAND.exists():
        pytest.skip("there is no bash, or afterglow is not installed")
    terminal = Terminal(tmp_path)
    terminal.run("source <(afterglow completion bash)")
    yield terminal
    terminal.close()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("afterglow coll", "afterglow collect "),
        ("afterglow run --cold", "afterglow run --cold-every "),
        ("afterglow run app.handler --freezer cgroup-v2 --emu", "--emulator "),
        ("afterglow run app.handler --emulator b", "--emulator builtin "),
        ("afterglow layer ins", "afterglow layer inspect "),
        ("afterglow collect --from l", "--from logs "),
        ("afterglow collect --sink cloudwatch-l", "cloudwatch-logs:"),
        ("afterglow collect --metr", "--metrics "),
        ("afterglow collect --durability n", "--durability none "),
    ],
)
def test_tab_completes(bash: Terminal, line: str, expected: str) -> None:
    bash.complete(line, expected)


def test_tab_completes_files_where_files_belong(bash: Terminal, tmp_path: Path) -> None:
    (tmp_path / "settings.toml").touch()

    bash.complete("afterglow collect --config sett", "--config settings.toml")


@pytest.mark.parametrize(
    ("shell", "words"),
    [("bash", "complete -o nospace"), ("zsh", "#compdef afterglow"), ("fish", "complete --command afterglow")],
)
def test_every_shell_gets_a_script_of_its_own(shell: str, words: str) -> None:
    command = [sys.executable, "-m", "afterglow_layer", "completion", shell]
    script = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert words in script


def test_other_shells_are_refused() -> None:
    command = [sys.executable, "-m", "afterglow_layer", "completion", "cmd.exe"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (2, True) == (done.returncode, "'bash', 'zsh', 'fish'" in done.stderr)
