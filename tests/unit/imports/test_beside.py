"""Timing imports changes nothing that a program can see: traces, specs, loaders, reload, namespaces, zips."""

import textwrap
import zipfile
from pathlib import Path

import pytest
from tests.unit.imports.runtimes import INTERPRETERS, TIMED, UNTIMED, run

EVERY_PYTHON = pytest.mark.parametrize("python", INTERPRETERS.values(), ids=INTERPRETERS)

FILES = {
    "raises.py": "import json\nraise ValueError('as it is imported')\n",
    "deep.py": "import deeper\n",
    "deeper.py": "from raises import nothing\n",
    "missing.py": "import there_is_no_such_module\n",
    "nameless.py": "from json import there_is_no_such_name\n",
    "broken.py": "def f(:\n",
    "circle_a.py": "from circle_b import b\na = 1\n",
    "circle_b.py": "from circle_a import a\nb = 1\n",
    "exits.py": "raise SystemExit(3)\n",
    "package/__init__.py": "from package import part\n",
    "package/part.py": "import json\nfrom . import nothing\n",
    "good/__init__.py": "from good.part import f\n",
    "good/part.py": "def f():\n    return 1\n",
    "namespace/inside.py": "HERE = 1\n",
}
FAILING = ["raises", "deep", "missing", "nameless", "broken", "circle_a", "exits", "package", "package.part", "gone"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, source in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(source)
    with zipfile.ZipFile(tmp_path / "zipped.zip", "w") as archive:
        archive.writestr("in_a_zip.py", "import json\nraise KeyError('zipped')\n")
        archive.writestr("fine_in_a_zip.py", "HERE = __file__\n")
    return tmp_path


def same(code: str, folder: Path, python: str) -> str:
    """Return what a script prints, once it is known to print the same with and without timing."""
    without, timed = (run(head + textwrap.dedent(code), folder, python) for head in (UNTIMED, TIMED))

    assert without.stderr == timed.stderr
    assert without.stdout == timed.stdout
    assert without.returncode == timed.returncode
    return timed.stdout + timed.stderr


@EVERY_PYTHON
@pytest.mark.parametrize("name", FAILING)
@pytest.mark.parametrize("how", ["import {}", "import importlib; importlib.import_module({!r})"])
def test_a_failing_import_has_the_trace_that_it_always_had(name: str, how: str, folder: Path, python: str) -> None:
    said = same("import sys; sys.path.insert(0, '')\n" + how.format(name), folder, python)

    assert "afterglow" not in said


@EVERY_PYTHON
def test_a_failing_import_from_a_zip_has_the_trace_that_it_always_had(folder: Path, python: str) -> None:
    said = same("import sys; sys.path.insert(0, 'zipped.zip')\nimport in_a_zip", folder, python)

    assert "KeyError: 'zipped'" in said


@EVERY_PYTHON
def test_tracebacks_have_the_frames_that_they_always_had(folder: Path, python: str) -> None:
    """Not only those that Python shows: it hides some of importlib's own."""
    code = """
    import importlib, sys, traceback
    sys.path.insert(0, '')
    for name in ("raises", "deep", "missing", "circle_a"):
        try:
            importlib.import_module(name)
        except Exception as error:
            frames = traceback.walk_tb(error.__traceback__)
            print([(frame.f_code.co_filename, frame.f_code.co_name, line) for frame, line in frames])
    """
    assert "_find_and_load" in same(code, folder, python)


@EVERY_PYTHON
def test_modules_have_the_specs_and_loaders_that_they_always_had(folder: Path, python: str) -> None:
    code = """
    import sys
    sys.path[:0] = ['', 'zipped.zip']
    import good, namespace.inside, fine_in_a_zip, json, _json, pkgutil, importlib, importlib.util
    for module in (good, good.part, namespace, namespace.inside, fine_in_a_zip, json, _json):
        spec = module.__spec__
        print(module.__name__, type(spec), spec.origin, spec.cached, spec.submodule_search_locations, spec.parent,
              type(spec.loader), type(module.__loader__), spec._initializing, spec.loader is module.__loader__)
    print([type(finder) for finder in sys.meta_path], [info.name for info in pkgutil.iter_modules([''])])
    good.part.f = None
    print(importlib.reload(good.part) is good.part, good.part.f())
    print(importlib.util.find_spec('namespace.inside').origin, importlib.import_module('.part', 'good').f())
    """
    assert "True 1" in same(code, folder, python)


@EVERY_PYTHON
def test_threads_that_import_the_same_module_get_the_same_module(folder: Path, python: str) -> None:
    code = """
    import sys, threading
    sys.path.insert(0, '')
    open('slow.py', 'w').write('import time; time.sleep(0.05); DONE = True')
    seen = []
    def work():
        import slow
        seen.append(slow.DONE)
    threads = [threading.Thread(target=work) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    print(seen)
    """
    assert "[True, True, True, True, True, True, True, True]" in same(code, folder, python)


@EVERY_PYTHON
def test_threads_that_import_each_other_in_a_circle_come_out_of_it(folder: Path, python: str) -> None:
    """importlib finds the deadlock and gives one of them the half-made module."""
    (folder / "one.py").write_text("import sys; sys.gate.wait(); import two\n")
    (folder / "two.py").write_text("import sys; sys.gate.wait(); import one\n")
    code = """
    import sys, threading
    sys.path.insert(0, '')
    sys.gate = threading.Barrier(2)
    threads = [threading.Thread(target=__import__, args=(name,)) for name in ('one', 'two')]
    [thread.start() for thread in threads]
    [thread.join(20) for thread in threads]
    print('one' in sys.modules, 'two' in sys.modules, any(thread.is_alive() for thread in threads))
    """
    assert "True True False" in same(code, folder, python)


@EVERY_PYTHON
def test_no_lock_outlives_its_import(folder: Path, python: str) -> None:
    code = """
    import sys, _frozen_importlib
    sys.path.insert(0, '')
    import good, json
    print(sorted(_frozen_importlib._module_locks))
    """
    assert "[]" in same(code, folder, python)
