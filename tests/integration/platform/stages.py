"""One function on one platform, with Afterglow's own layer or without it, invoked with one event after the other.

In: a handler, events, settings. Out: a Story: what the caller got, and what the extension told. The platforms are
`builtin` (the emulator that tests can command) and `rie`.
"""

import json
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bench.arms import Arm
from bench.environment import plan_for, this_python
from tests.integration.emulator.stage import write_extension
from tests.integration.platform.told import Told, read_told

from afterglow_layer.archive import unpacked_layer
from afterglow_layer.emulator import Lambda, LambdaSettings, Misbehaviour, managed_python
from afterglow_layer.emulator.journal import Seen
from afterglow_layer.local import session
from afterglow_layer.local.invoke import invoke
from afterglow_layer.local.plan import Plan
from afterglow_layer.rie import host_arch

HANDLERS = Path(__file__).parents[2] / "handlers"
PATIENCE_S = 30.0
TIMEOUT_MS = {"builtin": 1_500, "rie": 2_000}
"""Long enough for an extension at the lowest priority on a busy machine. RIE knows whole seconds, and init counts."""

_REQUEST_ID = re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CLOCK = re.compile(rb"\d{4}-\d\d-\d\dT[0-9:.]+Z")


class Heard(NamedTuple):
    """What a caller got. Request ids and times of day, which no two runs have in common, are blotted out."""

    status: int | None
    body: bytes


class Story(NamedTuple):
    """What the caller got, and what Afterglow says of it, environment by environment."""

    heard: list[Heard]
    took_ms: list[float]
    told: list[Told]
    seen: tuple[Seen, ...] = ()  # the emulator's journal
    lines: tuple[str, ...] = ()  # what the extension printed

    def __str__(self) -> str:
        parts = [*map(str, self.told), *map(str, self.heard), *self.lines, *map(str, self.seen[-60:])]
        return "\n".join(parts)


class Scene(NamedTuple):
    """What is played, and where."""

    handler: str = "endings.by_name"
    platform: str = "builtin"
    env: Mapping[str, str] = {}
    settings: Mapping[str, Any] = {}  # LambdaSettings beyond the usual; the built-in emulator's alone
    misbehave: Misbehaviour | None = None
    layer: bool = True
    cwd: Path = HANDLERS
    beside: Mapping[
        str, str
    ] = {}  # other extensions, there with our layer or without: name → their code after probe.py
    prefix: Sequence[str] = ()  # what every process starts through: a program that spoils the surroundings
    records: Path | None = None  # where our records go, if a folder of the test's own is not to be had


def own_layer() -> Path:
    """Return Afterglow's layer, unpacked."""
    return unpacked_layer(host_arch(), this_python())


def masked(body: bytes) -> bytes:
    """Return the answer without what differs from run to run."""
    return _CLOCK.sub(b"<clock>", _REQUEST_ID.sub(b"<id>", body))


def play(scene: Scene, events: Sequence[object]) -> Story:
    """Invoke with each event in turn, shut down, and return what came of it."""
    players = {"builtin": _play_builtin, "rie": _play_rie}
    with tempfile.TemporaryDirectory(prefix="afterglow-test-", dir=scene.records) as scratch:
        return players[scene.platform](scene, events, Path(scratch, "records.ndjson"))


def layer_of(scene: Scene, scratch: Path) -> Path | None:
    """Return the folder that becomes /opt: our layer, the other extensions, both, or none."""
    if not scene.beside:
        return own_layer() if scene.layer else None
    folder = scratch / "layer"
    if scene.layer and not folder.exists():
        shutil.copytree(own_layer(), folder)
    for name, code in scene.beside.items():
        write_extension(folder / "extensions", name, code)
    return folder


def play_both(scene: Scene, events: Sequence[object]) -> tuple[Story, Story]:
    """Play the scene with the layer and, beside it, without; return both stories."""
    with ThreadPoolExecutor(2) as pool:
        with_layer = pool.submit(play, scene, events)
        without = pool.submit(play, scene._replace(layer=False), events)
        return with_layer.result(), without.result()


@contextmanager
def started(scene: Scene, records: Path) -> Iterator[Lambda]:
    """Give the emulated Lambda, to be commanded; `records` is where Afterglow's go."""
    settings = LambdaSettings(
        **{
            "cwd": scene.cwd,
            "timeout_ms": TIMEOUT_MS["builtin"],
            "env": {**_settings_of_ours(records), **scene.env},
            **({"launcher": scene.prefix} if scene.prefix else {}),
            **scene.settings,
        }
    )
    layer = layer_of(scene, records.parent)
    with Lambda(managed_python(scene.handler), settings=settings, misbehave=scene.misbehave, layer=layer) as function:
        yield function


def _play_builtin(scene: Scene, events: Sequence[object], records: Path) -> Story:
    heard, took_ms = [], []
    with started(scene, records) as function:
        for event in events:
            answer = function.invoke(event)
            heard.append(Heard(answer.status, masked(answer.body)))
            took_ms.append(answer.took_ms)
            function.settle()
    return Story(heard, took_ms, read_told(records), function.events, printed(function.events))


def printed(seen: Sequence[Seen]) -> tuple[str, ...]:
    """Return the lines that the extension printed for people: no records, no metrics."""
    lines = [each.detail["line"] for each in seen if each.kind == "output" and each.who == "afterglow"]
    return tuple(line for line in lines if not line.startswith("{"))


def _play_rie(scene: Scene, events: Sequence[object], records: Path) -> Story:
    heard, took_ms = [], []
    run_dir = Path(tempfile.mkdtemp(prefix="afterglow-test-"))
    sandbox, logs = session.start(_plan(scene, records.parent), run_dir, records)
    try:
        for event in events:
            answer = invoke(sandbox.invoke_port, json.dumps(event).encode(), PATIENCE_S)
            heard.append(Heard(answer.http_status, masked(answer.body)))
            took_ms.append(answer.took_ms)
        sandbox.stop()
    finally:
        sandbox.close()
        logs.finish()
    lines = tuple(line for line in logs.agent if not line.startswith("{"))
    return Story(heard, took_ms, read_told(records), (), lines)


def _plan(scene: Scene, scratch: Path) -> Plan:
    """RIE with our settings; nothing freezes, as nothing does under RIE."""
    plan = plan_for(Arm("layer", layer_of(scene, scratch), dict(scene.env)), scene.handler, scene.cwd)
    seconds = max(scene.settings.get("timeout_ms", 0), TIMEOUT_MS["rie"]) // 1000
    plan = plan._replace(timeout_s=seconds, memory_mb=scene.settings.get("memory_mb", 128))
    if not scene.prefix or plan.rie is None:
        return plan
    through = scratch / "rie"  # all that it starts inherits what the prefix has done
    through.write_text(f'#!/bin/sh\nexec {shlex.join([*scene.prefix, str(plan.rie)])} "$@"\n')
    through.chmod(0o755)
    return plan._replace(rie=through)


def _settings_of_ours(records: Path) -> dict[str, str]:
    return {"AFTERGLOW_PYTHON": this_python().base, "AFTERGLOW_RECORDS_FILE": str(records)}
