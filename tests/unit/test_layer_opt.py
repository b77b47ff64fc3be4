"""The layer's own files at work: the exec wrapper's sitecustomize, the .pth line, the bare loop."""

import http.server
import json
import os
import shutil
import site
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from tests.unit.sandbox.api_server import REGISTERED, SHUTDOWN, Api, answer, event
from tests.unit.sandbox.extension_process import LAUNCHER

import afterglow_layer
from afterglow.boot import hook_address

OPT = Path(afterglow_layer.__file__).parent / "opt"
WRAP = OPT / "afterglow" / "wrap"

SHOW = """
import json, os, sys
print(json.dumps({"PYTHONPATH": os.environ.get("PYTHONPATH"), "path": sys.path, "modules": sorted(sys.modules),
                  "sitecustomize": getattr(sys.modules.get("sitecustomize"), "__file__", None)}))
"""


def start(**variables: str) -> tuple[dict[str, object], str]:
    """Start a Python with the environment that afterglow-exec makes; return what it sees, and its stderr."""
    done = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True, env=variables, check=True)
    seen: dict[str, object] = json.loads(done.stdout)
    return seen, done.stderr


def test_pythonpath_is_unset_again_when_the_user_had_none() -> None:
    seen, _ = start(PYTHONPATH=str(WRAP))

    assert seen["PYTHONPATH"] is None
    assert str(WRAP) not in str(seen["path"])


def test_the_users_pythonpath_is_kept(tmp_path: Path) -> None:
    seen, _ = start(PYTHONPATH=f"{WRAP}:{tmp_path}:/nowhere")

    assert seen["PYTHONPATH"] == f"{tmp_path}:/nowhere"


def test_the_users_own_sitecustomize_is_loaded(tmp_path: Path) -> None:
    own = tmp_path / "sitecustomize.py"
    own.write_text("import sys; sys.modules['was_loaded'] = sys")
    seen, _ = start(PYTHONPATH=f"{WRAP}:{tmp_path}")

    assert "was_loaded" in str(seen["modules"])
    assert seen["sitecustomize"] == str(own)


def test_the_users_own_sitecustomize_fails_as_it_would_without_us(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("raise ValueError('mine')")
    _, with_us = start(PYTHONPATH=f"{WRAP}:{tmp_path}")
    _, without_us = start(PYTHONPATH=str(tmp_path))

    assert "ValueError: mine" in with_us
    assert without_us in with_us


def test_the_hook_is_installed(tmp_path: Path) -> None:
    package = tmp_path / "afterglow_hook"
    package.mkdir()
    (package / "__init__.py").write_text("import sys\ndef install(): sys.modules['was_installed'] = sys")
    seen, errors = start(PYTHONPATH=f"{WRAP}:{tmp_path}")

    assert "was_installed" in str(seen["modules"])
    assert errors == ""


@pytest.mark.parametrize("source", ["raise RuntimeError('no')", "def install(): raise RuntimeError('no')", "1 +"])
def test_a_broken_hook_costs_one_line_and_nothing_else(tmp_path: Path, source: str) -> None:
    package = tmp_path / "afterglow_hook"
    package.mkdir()
    (package / "__init__.py").write_text(source)
    _, errors = start(PYTHONPATH=f"{WRAP}:{tmp_path}")

    assert errors.startswith("afterglow: no hook in this process: ")
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def install(): pass", ""),
        ("def install(): raise RuntimeError('no')", "afterglow: no hook in this process: RuntimeError('no')\n"),
        ("raise RuntimeError('no')", "afterglow: no hook in this process: RuntimeError('no')\n"),
    ],
    ids=["works", "fails to install", "fails to import"],
)
def test_the_pth_line_prints_no_traceback(tmp_path: Path, source: str, said: str) -> None:
    package = tmp_path / "afterglow_hook"
    package.mkdir()
    (package / "__init__.py").write_text(source)
    shutil.copy(OPT / "python" / "afterglow.pth", tmp_path)
    command = [sys.executable, "-I", "-S", "-c", "import site, sys; site.addsitedir(sys.argv[1])", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stderr == said


def test_the_pth_file_is_one_line_that_site_executes() -> None:
    lines = (OPT / "python" / "afterglow.pth").read_text().splitlines()

    assert [line.startswith("import ") for line in lines] == [True]
    assert site.__file__  # The rule is site's: lines that begin with "import " are executed.


class Extensions(http.server.BaseHTTPRequestHandler):
    """Answers register, then keeps /next waiting, as Lambda does for an extension without events."""

    calls: ClassVar[list[tuple[str, str, str]]] = []
    waiting = threading.Event()
    done = threading.Event()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.calls.append((self.path, self.headers["Lambda-Extension-Name"], body))
        self.send_response(200)
        self.send_header("Lambda-Extension-Identifier", "id-1")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_GET(self) -> None:
        self.calls.append((self.path, self.headers["Lambda-Extension-Identifier"], ""))
        self.waiting.set()
        self.done.wait()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def api() -> Iterator[Api]:
    """A Runtime API that the test commands."""
    commanded = Api()
    yield commanded
    commanded.close()


@pytest.fixture
def lambda_api() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Extensions)
    Extensions.calls.clear()
    Extensions.waiting.clear()
    Extensions.done.clear()
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    yield f"127.0.0.1:{server.server_port}"
    Extensions.done.set()
    server.shutdown()
    serving.join()
    server.server_close()


@pytest.mark.parametrize("tools", [["bash"], ["curl", "tr", "grep"]], ids=["bash", "curl"])
def test_the_bare_loop_registers_and_waits(lambda_api: str, tmp_path: Path, tools: list[str]) -> None:
    """With bash alone, and with curl alone, on the PATH."""
    for tool in [*tools, "sleep"]:
        found = shutil.which(tool)
        if found is None:
            pytest.skip(f"{tool} is not here")
        (tmp_path / tool).symlink_to(found)
    command = ["/bin/sh", str(OPT / "afterglow" / "bare-loop.sh"), "there is no Python here"]
    variables = {"PATH": str(tmp_path), "AWS_LAMBDA_RUNTIME_API": lambda_api}
    with subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, start_new_session=True) as loop:
        assert Extensions.waiting.wait(20), "it did not ask for the next event"
        os.killpg(loop.pid, 9)
        assert loop.stderr
        said = loop.stderr.read().decode()

    assert Extensions.calls == [
        ("/2020-01-01/extension/register", "afterglow", '{"events":[]}'),
        ("/2020-01-01/extension/event/next", "id-1", ""),
    ]
    assert said == "afterglow: not profiling this function: there is no Python here\n"


def test_where_the_launcher_has_registered_its_child_answers_until_shutdown(api: Api) -> None:
    """Python cannot run the extension then, but bash and curl are not needed either."""
    loop = ["/bin/sh", str(OPT / "afterglow" / "bare-loop.sh"), "there is no Python here"]
    environ = {"PATH": "", "AWS_LAMBDA_RUNTIME_API": api.address, "AFTERGLOW_TELEMETRY": "off"}
    with subprocess.Popen([str(LAUNCHER), *loop], env=environ, stderr=subprocess.PIPE, text=True) as process:
        api.at_the_end.append(process.kill)
        peer = api.accept()
        peer.expect("/register")
        peer.say(REGISTERED)
        assert process.stderr
        said = process.stderr.readline()
        for _ in range(50):  # more than the child could keep for a Python that does not come
            peer.expect("/event/next")
            peer.say(answer(event("INVOKE", requestId="r", padding="y" * 10_000)))
        peer.expect("/event/next")
        peer.say(SHUTDOWN)

        assert process.wait(20) == 0
    assert said == "afterglow: not profiling this function: there is no Python here\n"


def test_where_nobody_takes_over_the_hook_and_lambdas_telemetry_find_nobody(api: Api) -> None:
    """A socket that nobody reads would let the hook work for nothing, and Lambda wait for each batch's answer."""
    loop = ["/bin/sh", str(OPT / "afterglow" / "bare-loop.sh"), "there is no Python here"]
    environ = {"PATH": "", "AWS_LAMBDA_RUNTIME_API": api.address}
    with subprocess.Popen([str(LAUNCHER), *loop], env=environ, stderr=subprocess.DEVNULL) as process:
        api.at_the_end.append(process.kill)
        peer = api.accept()
        peer.expect("/register")
        peer.say(REGISTERED)
        destination = json.loads(api.accept().expect("/telemetry").body)["destination"]["URI"]
        for _ in range(50):  # past what the child could keep: it has been told by then that nobody takes over
            peer.expect("/event/next")
            peer.say(answer(event("INVOKE", requestId="r", padding="y" * 10_000)))
        peer.expect("/event/next")
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as hook, pytest.raises(ConnectionRefusedError):
            hook.connect(hook_address(api.address))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", int(destination.rpartition(":")[2])))
        peer.say(SHUTDOWN)

        assert process.wait(20) == 0


def test_the_bare_loop_says_so_when_it_has_nothing_to_speak_http_with(tmp_path: Path) -> None:
    command = ["/bin/sh", str(OPT / "afterglow" / "bare-loop.sh"), "there is no Python here"]
    done = subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "take the layer off this function" in done.stderr


def test_the_launcher_is_valid_shell() -> None:
    for script in ("extensions/afterglow", "afterglow-exec", "afterglow/start.sh", "afterglow/bare-loop.sh"):
        subprocess.run(["/bin/sh", "-n", str(OPT / script)], check=True)


def test_the_wrapper_puts_its_folder_in_front_and_becomes_the_command() -> None:
    command = [str(OPT / "afterglow-exec"), "/bin/sh", "-c", 'echo "$PYTHONPATH"']
    done = subprocess.run(command, env={"PYTHONPATH": "/mine"}, capture_output=True, text=True, check=True)

    assert done.stdout == "/opt/afterglow/wrap:/mine\n"
