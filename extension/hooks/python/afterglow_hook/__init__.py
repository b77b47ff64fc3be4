"""Afterglow's hook: the part that lives in the user's process, and sees who left work behind.

``install`` is called from ``/opt/python/afterglow.pth`` (or by the exec wrapper) before the handler's module
is imported. In: the runtime's process. Out: facts, as messages to the extension (``wire``).

Two rules hold for every line in this package. It observes beside the user's calls, never around them, so that
no frame of ours appears in a stack trace (docs/decisions/0003-observe-beside.md). And whatever fails in here
is caught here, said once on stderr, and switches the hook off: the function goes on as if it were not there.
"""

import os
import time

_installed = False


def install() -> bool:
    """Install the hook if this is a Lambda runtime's process. True: installed by this call. Never raises."""
    global _installed  # noqa: PLW0603 - .pth files can be read twice in one process
    # Lambda hands keys that start with "_" to the runtime only, so _HANDLER means: this is the runtime.
    if _installed or "_HANDLER" not in os.environ or "AWS_LAMBDA_RUNTIME_API" not in os.environ:
        return False
    if any(
        os.environ.get(name, "").lower() in {"0", "off", "false"} for name in ("AFTERGLOW_ENABLED", "AFTERGLOW_HOOK")
    ):
        return False
    _installed = True
    began_ns = time.monotonic_ns()
    try:
        from afterglow_hook import exits, observers, stacks, wire  # noqa: PLC0415 - nothing is loaded where it is not needed

        connected = wire.connect()
        observers.install()
        exits.install()
        wire.say_hello(began_ns, stacks.arm() if connected else None)
    except Exception as error:
        _say_why(error)
        return False
    return True


def _say_why(error: Exception) -> None:
    try:
        from afterglow_hook import aloud  # noqa: PLC0415 - as above

        aloud.say(f"hook not installed: {type(error).__name__}: {error}")
    except Exception:  # noqa: S110 - a hook of which not even this can be read, or an error that cannot be spelled
        pass
