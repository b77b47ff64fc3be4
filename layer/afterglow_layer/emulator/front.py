"""The door for callers and the command line, both as RIE has them: so one can stand in for the other.

In: ``POST /2015-03-31/functions/function/invocations``. Out: the function's answer. ``command`` builds the
argument vector that replaces RIE's in ``afterglow run --emulator builtin``.
"""

import base64
import binascii
import sys
from collections.abc import Sequence
from pathlib import Path

import afterglow_layer
from afterglow_layer.emulator.commanded import Lambda
from afterglow_layer.emulator.settings import InitType
from afterglow_layer.emulator.wire import Reply, Request

INVOKE_PATH = "/2015-03-31/functions/function/invocations"

BOOT = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from afterglow_layer.emulator.__main__ import main; sys.exit(main())"
)
"""Run with ``-I -S``: the folder we are started in is the function's, and its modules are none of ours."""


def command(
    runtime_cmd: Sequence[str],
    *,
    front: str,
    runtime_api: str,
    extensions: Path = Path("/opt/extensions"),
    init_type: InitType = InitType.ON_DEMAND,
    freeze: bool = False,
) -> list[str]:
    """Return the command that emulates Lambda for ``runtime_cmd``, to be run where RIE would be.

    ``front`` is where callers post their events, ``runtime_api`` what the processes are given, both
    ``host:port``. Name, version, memory and timeout come from the environment, as with RIE:
    AWS_LAMBDA_FUNCTION_NAME, _VERSION, _MEMORY_SIZE and _TIMEOUT (seconds); all of it passes through to the
    function. SIGTERM shuts the function's environment down, and ends this with status 0.

    Without ``freeze``, freezing is the caller's business as it is with RIE: so the answer comes when the
    extensions are ready, too. With it, Lambda's habits: the answer comes first, then the rest, then the
    freeze.
    """
    return [
        *[sys.executable, "-I", "-S", "-c", BOOT, str(Path(afterglow_layer.__file__).parent.parent)],
        *["--runtime-interface-emulator-address", front],
        *["--runtime-api-address", runtime_api],
        *["--extensions", str(extensions)],
        *["--init-type", init_type.value],
        *(["--freeze"] if freeze else []),
        "--",
        *runtime_cmd,
    ]


class Front:
    """Turns callers' requests into invocations."""

    def __init__(self, function: Lambda) -> None:
        self._function = function

    def __call__(self, request: Request) -> Reply:
        """Return the function's answer as RIE shows it: text/plain, the handler's error with status 200."""
        if request.path != INVOKE_PATH:
            return Reply(404, b"404 page not found\n")
        try:
            context = base64.b64decode(request.headers.get("X-Amz-Client-Context") or "", validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return Reply(500)  # RIE source, rie/handlers.go
        trace = request.headers.get("X-Amzn-Trace-Id")
        invocation = self._function.begin(request.body, trace=trace, client_context=context or None)
        answer = invocation.wait()
        if not self._function.settings.early_response:
            invocation.ended.wait()  # As RIE: END and REPORT stand in the log before the caller has the answer.
        return Reply(answer.status, answer.body, {"Content-Type": "text/plain; charset=utf-8"})
