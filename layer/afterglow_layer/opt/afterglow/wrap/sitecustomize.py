"""Installs the hook in a process that afterglow-exec started, then steps aside as if it had not been there.

In: PYTHONPATH with this folder in front. Out: PYTHONPATH and ``sys.path`` as the user set them (a managed
runtime looks whether PYTHONPATH is set, and child processes inherit it), the hook installed, the user's own
sitecustomize loaded. A failure costs one line on stderr and nothing else.
"""
# ruff: noqa: INP001 - Python finds this file by its name, in a folder that is no package

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH120, PTH100 - pathlib costs 5 ms of the cold start
_LAYER = "/opt/python"


def _without_here(paths: "list[str]") -> "list[str]":
    return [path for path in paths if os.path.abspath(path or ".") != _HERE]  # noqa: PTH100 - as above


def _step_aside() -> None:
    sys.path[:] = _without_here(sys.path)
    rest = os.pathsep.join(_without_here(os.environ.get("PYTHONPATH", "").split(os.pathsep)))
    if rest:
        os.environ["PYTHONPATH"] = rest
    else:
        os.environ.pop("PYTHONPATH", None)


def _install_hook() -> None:
    if _LAYER not in sys.path:
        sys.path.append(_LAYER)
    try:
        import afterglow_hook  # noqa: PLC0415 - only now can it be found

        afterglow_hook.install()
    except Exception as error:  # noqa: BLE001 - the outer guard: whatever fails here, the function starts
        sys.stderr.write("afterglow: no hook in this process: %r\n" % (error,))  # noqa: UP031 - as above


def _load_the_users_own() -> None:
    ours = sys.modules.pop(__name__)
    try:
        import sitecustomize  # type: ignore[import-not-found]  # noqa: F401, PLC0415 - ours is off sys.path, so this is the user's
    except ImportError as error:
        if error.name != __name__:
            raise  # Theirs, and broken: site reports it as it would without us.
    finally:
        sys.modules.setdefault(__name__, ours)  # The import system takes this name out again when we are done.


_step_aside()
_install_hook()
_load_the_users_own()
