"""RIE in its Managed Instances mode, the one place outside of AWS with AWS' own Telemetry API.

In: a handler, a folder for everything. Out: an RIE to post events to. That mode asks for a filesystem like Lambda's:
/var/task, /var/runtime/bootstrap, /opt, all readable by uid 993, which it becomes (seen on RIE 1.170). So the tree is
laid out in a mount namespace: /var/lang is this Python, as in Lambda's images, and the layer finds it there.
"""

import http.client
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import psutil
import pytest
from tests.integration.emulator.stage import own_ports
from tests.integration.platform.stages import HANDLERS, own_layer

from afterglow_layer.local import inside
from afterglow_layer.local.invoke import INVOKE_PATH
from afterglow_layer.rie import find_rie

START_LIMIT_S = 20.0
STOP_LIMIT_S = 10.0
NO_WORKER = b'{"errorType":"Runtime.Unavailable"}'

LAYOUT = """
set -e
mount -t tmpfs none /var
mkdir -p /var/task /var/runtime/site /var/lang
mount --bind "$FUNCTION" /var/task
mount --bind "$SITE" /var/runtime/site
mount --bind "$PREFIX" /var/lang
mount --bind "$LAYER" /opt
cp "$BOOTSTRAP" /var/runtime/runtime_bootstrap.py
printf '%s\\n' 'import runpy, sys' 'sys.path.append("/var/runtime/site")' \
    'runpy.run_path("/var/runtime/runtime_bootstrap.py", run_name="__main__")' > /var/runtime/bootstrap.py
printf '%s\\n' '#!/bin/sh' 'exec /var/lang/bin/python3 /var/runtime/bootstrap.py "$_HANDLER"' > /var/runtime/bootstrap
chmod -R a+rX /var/runtime/bootstrap.py /var/runtime/runtime_bootstrap.py
chmod 755 /var/runtime/bootstrap
exec env -i PATH="$PATH" "$@"
"""


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes


class ManagedRie:
    """An RIE that listens."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
        self._process = process
        self._port = port
        self._log = log

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def invoke(self, event: object, limit_s: float = 30.0) -> Answer:
        """Post one event; any number may be under way at once. Where no worker is free yet, try again."""
        give_up = time.monotonic() + limit_s
        while (answer := self._post(event, limit_s)).body == NO_WORKER and time.monotonic() < give_up:
            time.sleep(0.01)
        return answer

    def _post(self, event: object, limit_s: float) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=limit_s)
        headers = {"Content-Type": "application/json"}  # This mode refuses calls without.
        try:
            connection.request("POST", INVOKE_PATH, json.dumps(event).encode(), headers)
            with connection.getresponse() as response:
                return Answer(response.status, response.read())
        finally:
            connection.close()

    def wait_until_up(self) -> None:
        give_up = time.monotonic() + START_LIMIT_S
        while time.monotonic() < give_up:
            if self._process.poll() is not None:
                pytest.skip(f"RIE's Managed Instances mode cannot be set up here: {self.log()[-500:]}")
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=1)
                connection.connect()
                connection.close()
            except OSError:
                time.sleep(0.01)
            else:
                return
        pytest.fail(f"RIE did not listen within {START_LIMIT_S:g} s:\n{self.log()}")

    def stop(self) -> None:
        """Let it shut the environment down; unshare(1) waits for it, and passes no signal on."""
        for child in psutil.Process(self._process.pid).children():
            child.terminate()
        self._process.wait(STOP_LIMIT_S)


@contextmanager
def managed_rie(folder: Path, concurrency: int, env: Mapping[str, str]) -> Iterator[ManagedRie]:
    """Give an RIE with a function that serves `concurrency` invocations at once; skip where that cannot be."""
    if os.geteuid() != 0:
        pytest.skip("RIE's Managed Instances mode becomes another user: that takes root")
    layer, function = folder / "layer", folder / "function"
    shutil.copytree(own_layer(), layer)
    shutil.copytree(HANDLERS, function)
    subprocess.run(["chmod", "-R", "a+rX", str(layer), str(function)], check=True)
    for each in [folder, *folder.parents]:  # pytest's own folders are for their owner alone
        if each.stat().st_uid == os.geteuid() and each != Path("/") and each.stat().st_mode & 0o005 != 0o005:
            each.chmod(each.stat().st_mode | 0o005)
    ports = own_ports()
    log = folder / "rie.log"
    with log.open("wb") as output:
        process = _start(_command(ports.runtime_api, ports.invoke, concurrency, env), layer, function, output)
    rie = ManagedRie(process, ports.invoke, log)
    try:
        rie.wait_until_up()
        yield rie
        rie.stop()
    finally:
        process.kill()
        process.wait()


def _start(command: list[str], layer: Path, function: Path, output: IO[bytes]) -> "subprocess.Popen[bytes]":
    # The pid namespace's first process is RIE itself: when it goes, the kernel ends the rest.
    places = {
        "FUNCTION": str(function),
        "LAYER": str(layer),
        "PREFIX": sys.base_prefix,
        "SITE": sysconfig.get_paths()["purelib"],
        "BOOTSTRAP": str(Path(inside.__file__).with_name("runtime_bootstrap.py")),
        "PATH": os.environ["PATH"],
    }
    alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private"]
    return subprocess.Popen(
        [*alone, "sh", "-c", LAYOUT, "layout", *command], env=places, stdout=output, stderr=subprocess.STDOUT
    )


def _command(api_port: int, port: int, concurrency: int, env: Mapping[str, str]) -> list[str]:
    variables = {
        "_HANDLER": "endings.by_name",
        "AWS_LAMBDA_MAX_CONCURRENCY": str(concurrency),
        "AWS_LAMBDA_FUNCTION_TIMEOUT": "5",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "lambda-managed-instances",
        "LAMBDA_TASK_ROOT": "/var/task",
        **env,
    }
    flags = ["--runtime-api-address", f"127.0.0.1:{api_port}"]
    flags += ["--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
    return [*(f"{name}={value}" for name, value in variables.items()), str(find_rie(None)), *flags]
