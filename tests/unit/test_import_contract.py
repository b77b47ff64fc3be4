"""What the sandbox may load: imports are the customer's cold start and the customer's memory.

import-linter reads the source (`make lint`); here interpreters say what they have really loaded.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.hook.runtime import find_pythons, link_runtime_client

import afterglow
import afterglow_hook

ROOT = Path(__file__).parents[2]
EXTENSION = Path(afterglow.__file__).parent
HOOK = Path(afterglow_hook.__file__).parent
PYTHONS = find_pythons()

LOADED = "import sys; sys.path[:0] = {path}; before = set(sys.modules)\n{first}\nbefore = set(sys.modules)\n{then}\n"
SHOW = "print(*sorted(set(sys.modules) - before))"


@pytest.fixture(params=["3.10", "3.11", "3.12", "3.13"])
def python(request: pytest.FixtureRequest) -> str:
    if request.param not in PYTHONS:
        pytest.skip(f"there is no Python {request.param} on this machine")
    return PYTHONS[request.param]


def loaded(python: str, then: str, *paths: Path, first: str = "") -> set[str]:
    """Return what a bare interpreter, as the layer starts it, loads for ``then`` on top of ``first``."""
    program = LOADED.format(path=[str(path) for path in paths], first=first, then=then) + SHOW
    done = subprocess.run([python, "-I", "-S", "-c", program], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def every_module_of(package: Path) -> str:
    names = [path.stem for path in package.glob("*.py") if path.stem != "__init__"]
    return "import " + ", ".join(f"{package.name}.{name}" for name in sorted(names))


def test_boot_loads_a_socket_and_nothing_else(python: str) -> None:
    """`gc` is built into the interpreter; so are posix, sys and time, which every interpreter has loaded."""
    expected = {"_socket", "gc", "afterglow", "afterglow.boot", "afterglow.runtime_api"}

    assert expected == loaded(python, "import afterglow.boot", EXTENSION.parent)


HEAVY = {
    "asyncio": "52 ms",
    "boto3": "160 ms",
    "concurrent": "with logging and threading",
    "dataclasses": "with inspect",
    "datetime": "time.time() will do",
    "email": "only http.client wants it",
    "hashlib": "with OpenSSL",
    "http": "31 ms",
    "inspect": "with dis and ast",
    "logging": "with threading and traceback",
    "multiprocessing": "with everything",
    "pathlib": "4 ms",
    "psutil": "25 ms, and not in the layer",
    "random": "with hashlib",
    "requests": "102 ms",
    "socket": "9 ms over _socket",
    "ssl": "only for an https collector",
    "subprocess": "with threading and signal",
    "tempfile": "with random",
    "threading": "there is one thread",
    "traceback": "with ast's tokens",
    "urllib": "with http and email",
}
"""What must not be loaded in the extension, and what it costs or brings with it."""


def test_the_whole_extension_loads_nothing_heavy(python: str) -> None:
    modules = loaded(python, every_module_of(EXTENSION), EXTENSION.parent)

    assert {} == {name: HEAVY[name] for name in HEAVY if name in modules}
    assert "afterglow.agent" in modules


def test_the_extension_loads_only_the_standard_library_and_itself(python: str) -> None:
    modules = {name.partition(".")[0] for name in loaded(python, every_module_of(EXTENSION), EXTENSION.parent)}
    stdlib = set(
        subprocess.check_output([python, "-c", "import sys; print(*sys.stdlib_module_names)"]).decode().split()
    )

    assert {"afterglow"} == modules - stdlib


HOOK_MAY_LOAD = {"_contextvars", "_socket", "faulthandler", "gc", "resource"}
"""What awslambdaric has not loaded already: modules of the interpreter's own, without a file of Python."""


def test_the_hook_loads_nothing_that_the_runtime_has_not_loaded(python: str, tmp_path: Path) -> None:
    link_runtime_client(tmp_path)
    first = "import awslambdaric.bootstrap"
    modules = loaded(python, every_module_of(HOOK), HOOK.parent, tmp_path, first=first)
    others = {name for name in modules if not name.startswith("afterglow_hook")}

    assert others <= HOOK_MAY_LOAD, others - HOOK_MAY_LOAD


def test_the_hook_reads_no_file_of_python_but_its_own(python: str, tmp_path: Path) -> None:
    link_runtime_client(tmp_path)
    show = "\nfiles = [getattr(sys.modules[name], '__file__', None) or '' for name in set(sys.modules) - before]"
    show += "\nimport json; print(json.dumps([f for f in files if f.endswith('.py') and 'afterglow_hook' not in f]))"
    program = LOADED.format(
        path=[str(HOOK.parent), str(tmp_path)], first="import awslambdaric.bootstrap", then=every_module_of(HOOK) + show
    )
    done = subprocess.run([python, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)

    assert [] == json.loads(done.stdout)


def test_importing_the_hook_changes_nothing(python: str) -> None:
    """Only ``install`` does; a .pth line is read in every Python process of the environment."""
    assert {"afterglow_hook"} == loaded(python, "import afterglow_hook", HOOK.parent, first="import os, time")


def test_lint_holds_the_contract() -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not here")
    planned = subprocess.run(["make", "--dry-run", "lint"], cwd=ROOT, capture_output=True, text=True, check=True)

    assert "lint-imports" in planned.stdout


def test_the_sources_keep_the_contract() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    if not linter.exists():
        pytest.skip("import-linter is not installed")
    done = subprocess.run([str(linter), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
