"""What is compared: nothing, the two limits, and the layer. In: an interpreter. Out: arms, each a folder for /opt."""

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from afterglow_layer import archive
from afterglow_layer.contents import EXECUTABLE, Entry
from afterglow_layer.failure import Failure
from afterglow_layer.local.interpreter import Interpreter
from afterglow_layer.rie import host_arch

RIVALS = Path(__file__).parent / "rivals"

NONE, NATIVE, BARE, LAYER = "no layer", "native register-and-loop", "Python register-and-loop", "Afterglow"
NO_HOOK = "Afterglow, hook off"

DEFAULTS = {"AFTERGLOW_RECORDS_FILE": ""}  # The local run sets it; on Lambda nobody does.


class Arm(NamedTuple):
    """One thing to attach to the function."""

    name: str
    layer: Path | None
    env: dict[str, str]


def layer_arm(python: Interpreter) -> Arm:
    """Return the real layer, as built from this tree, with all its defaults."""
    return Arm(LAYER, archive.unpacked_layer(host_arch(), python), DEFAULTS)


def all_arms(python: Interpreter, scratch: Path) -> tuple[list[Arm], list[str]]:
    """Return the arms, the baseline first, and why one of them is missing."""
    ours = layer_arm(python)
    source = f"#!{python.base} -IS\n".encode() + (RIVALS / "bare.py").read_bytes()
    arms = [
        Arm(NONE, None, {}),
        Arm(BARE, _layer_of("bare", source, scratch), {}),
        ours,
        ours._replace(name=NO_HOOK, env={**DEFAULTS, "AFTERGLOW_HOOK": "off"}),
    ]
    compiler = shutil.which("gcc")
    if compiler is None:
        return arms, [f"Without {NATIVE}: there is no gcc here to compile it with."]
    arms.insert(1, Arm(NATIVE, _layer_of("native", compiled(compiler, scratch), scratch), {}))
    return arms, []


def compiled(compiler: str, scratch: Path) -> bytes:
    """Return the native rival as an executable; Failure says what the compiler had to say."""
    program = scratch / "native"
    command = [compiler, "-static", "-O2", "-s", "-D_GNU_SOURCE", "-o", str(program), str(RIVALS / "native.c")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure(f"bench/rivals/native.c does not compile:\n{done.stderr}")
    return program.read_bytes()


def _layer_of(name: str, program: bytes, scratch: Path) -> Path:
    folder = scratch / f"{name}-layer"
    archive.write_folder([Entry(f"extensions/{name}", EXECUTABLE, program)], folder)
    return folder
