"""The function's environment variables. In: the caller's, and what the run is about. Out: one dict for RIE.

RIE hands it to the runtime and, less the names that begin with ``_``, to extensions.
"""

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
        **cleaned(environ),
        # As the managed runtimes set them (Lambda developer guide, "Defined runtime environment variables").
        "_HANDLER": stage.handler,
        "LAMBDA_TASK_ROOT": stage.directory,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{stage.runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": FUNCTION_NAME,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(stage.memory_mb),
        "AWS_LAMBDA_INITIALIZATION_TYPE": stage.init_type,
        "AWS_REGION": stage.region,
        "AWS_DEFAULT_REGION": stage.region,
        "TZ": ":UTC",
        # RIE's own setting: it times the function out by it.
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(stage.timeout_s),
        "AFTERGLOW_PYTHON": stage.agent_python,
        "AFTERGLOW_RECORDS_FILE": stage.records_file,
        **asked,
    }


def parse_pairs(arguments: list[str]) -> dict[str, str]:
    """Return ``--env K=V`` arguments as a dict; Failure (usage) for one without a name or ``=``."""
    pairs = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not name or not equals:
            raise usage(f"--env {argument!r}: write NAME=VALUE")
        pairs[name] = value
    return pairs
