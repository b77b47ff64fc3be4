"""The function's environment variables. In: the caller's, and what the run is about. Out: one dict for RIE.

RIE hands it to the runtime and, less the names that begin with ``_``, to extensions.
"""

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import NamedTuple

from afterglow_layer.failure import usage

FUNCTION_NAME = "local"

NOISE = {
    "VIRTUAL_ENV",
    "VIRTUAL_ENV_PROMPT",
    "CONDA_PREFIX",
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "_",
    "PWD",
    "OLDPWD",
}
"""The caller's own workshop: a function that leans on it would not find it on Lambda."""

NOISE_PREFIXES = ("PYTHON", "PIP_", "COVERAGE_", "PYTEST_", "AWS_LAMBDA_")

NOT_THERE = {"HOME", "USER", "LOGNAME", "SHELL", "MAIL", "TERM", "DISPLAY", "TMPDIR", "TMP", "TEMP", "LANGUAGE"}
NOT_THERE_PREFIXES = ("XDG_", "SSH_", "LC_")
"""A login's: what the caller's tools may need, but no function has on Lambda."""

PATH = "/usr/local/bin:/usr/bin:/bin:/opt/bin"
"""Lambda's, less its first folder, /var/lang/bin: there, the runtime's Python is; here, the function's own."""

COMMAND_PREFIXES = ("AFTERGLOW_CONFIG", "AFTERGLOW_RUN_", "AFTERGLOW_COLLECT_", "AFTERGLOW_LAYER_")
"""Settings of the command line, tokens among them: the function has others."""


class Stage(NamedTuple):
    """What the run tells the function about itself."""

    handler: str
    directory: str
    memory_mb: int
    timeout_s: int
    region: str
    runtime: str  # python3.11
    agent_python: str
    records_file: str
    init_type: str = "on-demand"
    python_folder: str = ""  # where the function's interpreter lies: in place of /var/lang/bin


def cleaned(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the caller's environment without NOISE."""
    return {
        name: value
        for name, value in environ.items()
        if name not in NOISE and not name.startswith((*NOISE_PREFIXES, *COMMAND_PREFIXES))
    }


def build(environ: Mapping[str, str], stage: Stage, asked: Mapping[str, str]) -> dict[str, str]:
    """Return the environment to start RIE with; what was asked for with ``--env`` wins."""
    return {
        **_without_login(cleaned(environ)),
        **_as_managed(stage),
        # RIE's own setting: it times the function out by it.
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(stage.timeout_s),
        "AFTERGLOW_PYTHON": stage.agent_python,
        "AFTERGLOW_RECORDS_FILE": stage.records_file,
        **asked,
    }


def _without_login(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environ.items()
        if name not in NOT_THERE and not name.startswith(NOT_THERE_PREFIXES)
    }


def _as_managed(stage: Stage) -> dict[str, str]:
    """Return what the managed runtimes set (Lambda developer guide, "Defined runtime environment variables")."""
    task = stage.directory
    return {
        "_HANDLER": stage.handler,
        "LAMBDA_TASK_ROOT": task,
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{stage.runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": FUNCTION_NAME,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(stage.memory_mb),
        "AWS_LAMBDA_INITIALIZATION_TYPE": stage.init_type,
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{FUNCTION_NAME}",
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream(),
        "AWS_REGION": stage.region,
        "AWS_DEFAULT_REGION": stage.region,
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        # Where the X-Ray SDK looks anyhow: nobody need listen there.
        "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000",
        "_AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1",
        "_AWS_XRAY_DAEMON_PORT": "2000",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PATH": f"{stage.python_folder}:{PATH}" if stage.python_folder else PATH,
        # Lambda's, less /var/lang/lib, /lib64 and /usr/lib64: they belong to its interpreter, not to ours.
        "LD_LIBRARY_PATH": f"/var/runtime:/var/runtime/lib:{task}:{task}/lib:/opt/lib",
    }


def log_stream(now: dt.datetime | None = None) -> str:
    """Return a log stream's name of Lambda's form: ``2026/11/28/[$LATEST]`` and 32 hexadecimal digits."""
    day = now or dt.datetime.now(dt.timezone.utc)
    return f"{day:%Y/%m/%d}/[$LATEST]{uuid.uuid4().hex}"


def parse_pairs(arguments: list[str]) -> dict[str, str]:
    """Return ``--env K=V`` arguments as a dict; Failure (usage) for one without a name or ``=``."""
    pairs = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not name or not equals:
            raise usage(f"--env {argument!r}: write NAME=VALUE")
        pairs[name] = value
    return pairs
