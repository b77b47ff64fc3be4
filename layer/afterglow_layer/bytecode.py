"""Compiles the layer's modules ahead of time: /opt is read-only on Lambda, so no cold start keeps the work.

In: entries. Out: one unchecked-hash ``.pyc`` per module (PEP 552: the interpreter takes it without a look at
the source), for each Python asked for; other versions compile from source. Docstrings stay in the source:
without them the zip is a tenth smaller, and so is what the sandbox has to hold in memory. Columns (PEP 657)
are left out as well: a sixth of the zip, for carets in tracebacks of ours. Lines are there.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path, PurePosixPath

from afterglow_layer.contents import PLAIN, Entry
from afterglow_layer.failure import Failure

_COMPILE = """
import py_compile, sys
for line in sys.stdin:
    source, name = line.rstrip("\\n").split("\\t")
    py_compile.compile(
        source, cfile=source + "c", dfile=name, doraise=True, optimize=2,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
print(sys.implementation.cache_tag)
"""


def compiled(entries: list[Entry], python: str = sys.executable) -> list[Entry]:
    """Return the bytecode entries for every module among ``entries``, as ``python`` compiles them."""
    modules = [entry for entry in entries if entry.path.endswith(".py")]
    with tempfile.TemporaryDirectory(prefix="afterglow-") as folder:
        sources = [Path(folder) / f"{number}.py" for number in range(len(modules))]
        for source, module in zip(sources, modules, strict=True):
            source.write_bytes(module.data)
        cache_tag = _compile(sources, modules, python)
        return [
            Entry(pyc_path(module.path, cache_tag), PLAIN, source.with_suffix(".pyc").read_bytes())
            for source, module in zip(sources, modules, strict=True)
        ]


def pyc_path(module_path: str, cache_tag: str) -> str:
    """Return where the interpreter looks for a module's bytecode (PEP 3147)."""
    path = PurePosixPath(module_path)
    return str(path.parent / "__pycache__" / f"{path.stem}.{cache_tag}.pyc")


def _compile(sources: list[Path], modules: list[Entry], python: str) -> str:
    # In a fresh interpreter with a fixed hash seed: what this one has interned, and the order of its sets,
    # would show in the bytes.
    try:
        done = subprocess.run(
            [python, "-S", "-c", _COMPILE],
            input="".join(f"{src}\t/opt/{module.path}\n" for src, module in zip(sources, modules, strict=True)),
            env={"PATH": os.environ.get("PATH", ""), "PYTHONHASHSEED": "0", "PYTHONNODEBUGRANGES": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise Failure(f"{python} cannot be run: {error.strerror}") from None
    if done.returncode:
        raise Failure(f"the layer's modules do not compile under {python}:\n{done.stderr.strip()}")
    return done.stdout.strip()
