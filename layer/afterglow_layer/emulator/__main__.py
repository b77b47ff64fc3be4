"""``python -m afterglow_layer.emulator``: RIE's command line, with the built-in emulator behind it.

In: RIE's flags and the runtime's command. Out: log lines on stdout, when an Init begins and ends on stderr, answers
over HTTP, exit status 0 after SIGTERM or SIGINT, 2 on bad usage.
"""

import argparse
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from afterglow_layer.emulator.commanded import Lambda
from afterglow_layer.emulator.front import Front
from afterglow_layer.emulator.journal import Seen
from afterglow_layer.emulator.settings import InitType, LambdaSettings
from afterglow_layer.emulator.wire import Server


def main() -> int:
    """Serve until told to end."""
    options = _parser().parse_args()
    told_to_end = _told_to_end()
    function = Lambda(
        options.runtime_cmd,
        list_extensions(options.extensions),
        settings_from(os.environ, options),
        on_line=_print,
        address=options.runtime_api_address,
    )
    function.journal.listen(lambda seen: _tell_init(seen, options.init_type))
    with function:
        front = Server(Front(function), options.runtime_interface_emulator_address)
        front.start()
        os.read(told_to_end, 1)
        front.stop()
    return 0


def _told_to_end() -> int:
    """Return a descriptor that has a byte to read once SIGTERM or SIGINT has come.

    Python runs handlers in the main thread alone, and the kernel gives a signal to another one if the main thread
    has not been awake since a thaw (kernel/signal.c, wants_signal): an Event would wait on. The byte is written by
    whichever thread is hit.
    """
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    return heard


def settings_from(environ: Mapping[str, str], options: argparse.Namespace) -> LambdaSettings:
    """Return the settings that RIE would take from its environment (RIE source, rie/handlers.go)."""
    last = options.runtime_cmd[-1] if len(options.runtime_cmd) > 1 else ""
    return LambdaSettings(
        function_name=environ.get("AWS_LAMBDA_FUNCTION_NAME", "test_function"),
        function_version=environ.get("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        handler=environ.get("AWS_LAMBDA_FUNCTION_HANDLER") or environ.get("_HANDLER") or last,
        memory_mb=int(environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "3008")),
        timeout_ms=int(environ.get("AWS_LAMBDA_FUNCTION_TIMEOUT", "300")) * 1000,
        region=environ.get("AWS_REGION", "us-east-1"),
        execution_env=environ.get("AWS_EXECUTION_ENV", LambdaSettings.execution_env),
        log_format=environ.get("AWS_LAMBDA_LOG_FORMAT", "Text"),
        max_concurrency=int(environ.get("AWS_LAMBDA_MAX_CONCURRENCY", "1")),
        init_type=options.init_type,
        env=dict(environ),
        cwd=Path.cwd(),
        freeze=options.freeze,
        early_response=options.freeze,
        freezer="auto" if options.freeze else "sigstop",  # A cgroup would be left behind if we were killed.
    )


def list_extensions(folder: Path) -> list[Path]:
    """Return every regular file in the folder, by name: that is what Lambda starts."""
    return sorted(path for path in folder.iterdir() if not path.is_dir()) if folder.is_dir() else []


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m afterglow_layer.emulator", description=__doc__)
    parser.add_argument("--runtime-interface-emulator-address", type=_address, default=("127.0.0.1", 8080))
    parser.add_argument("--runtime-api-address", type=_address, default=("127.0.0.1", 0))
    parser.add_argument("--extensions", type=Path, default=Path("/opt/extensions"), metavar="DIR")
    parser.add_argument("--init-type", type=InitType, default=InitType.ON_DEMAND, choices=list(InitType))
    parser.add_argument("--freeze", action="store_true", help="answer early, and freeze between invocations")
    parser.add_argument("--log-level", help="taken for RIE's sake, and ignored")
    parser.add_argument("runtime_cmd", nargs="+", metavar="COMMAND", help="the runtime, after --")
    return parser


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


def _print(_who: str, line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _tell_init(seen: Seen, init_type: InitType) -> None:
    """Say on stderr, in RIE's words, when an Init begins and ends: the local run gives it the whole CPU."""
    if seen.kind == "init.start":
        sys.stderr.write(f"INIT START(type: {init_type.value}, phase: {seen.detail['phase']})\n")
    elif seen.kind == "init.done":
        sys.stderr.write(f"INIT RTDONE(status: {seen.detail['status']})\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
