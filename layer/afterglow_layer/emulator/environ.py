"""Which environment variables the runtime and the extensions are given.

In: settings and the Runtime API's address. Out: two dicts. Pure, but for the few variables of our own that a
process needs to run at all, which are an argument.
"""

import os
from collections.abc import Mapping

from afterglow_layer.emulator.settings import InitType, LambdaSettings

OURS = ("PATH", "HOME", "LANG", "TZ")
"""What passes through from our own environment; RIE passes everything."""

RUNTIME_ONLY = (
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_XRAY_CONTEXT_MISSING",
    "AWS_XRAY_DAEMON_ADDRESS",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
)
"""Lambda docs, Extensions API, and RIE source, rapidcore/env: extensions are not given these."""


def runtime_environ(
    settings: LambdaSettings, runtime_api: str, ours: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return what the runtime sees (Lambda docs, defined runtime environment variables)."""
    ours = os.environ if ours is None else ours
    passed = {key: ours[key] for key in OURS if key in ours}
    xray = {"AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR", "AWS_XRAY_DAEMON_ADDRESS": "169.254.79.129:2000"}
    return {
        **passed,
        **settings.env,
        **(xray if settings.xray else {}),
        **_concurrency(settings),
        "_HANDLER": settings.handler,
        "AWS_ACCESS_KEY_ID": settings.env.get("AWS_ACCESS_KEY_ID", ""),  # Empty where there are none, as RIE has it.
        "AWS_SECRET_ACCESS_KEY": settings.env.get("AWS_SECRET_ACCESS_KEY", ""),
        "AWS_SESSION_TOKEN": settings.env.get("AWS_SESSION_TOKEN", ""),
        "AWS_REGION": settings.region,
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_EXECUTION_ENV": settings.execution_env,
        "AWS_LAMBDA_FUNCTION_NAME": settings.function_name,
        "AWS_LAMBDA_FUNCTION_VERSION": settings.function_version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(settings.memory_mb),
        "AWS_LAMBDA_INITIALIZATION_TYPE": settings.init_type.value,
        "AWS_LAMBDA_LOG_FORMAT": settings.log_format,
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{settings.function_name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream(settings),
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        "LAMBDA_TASK_ROOT": str(settings.cwd or "/var/task"),
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
    }


def extension_environ(
    settings: LambdaSettings, runtime_api: str, ours: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return what an extension sees: less RUNTIME_ONLY and every key that starts with ``_`` (RIE source)."""
    everything = runtime_environ(settings, runtime_api, ours)
    return {key: value for key, value in everything.items() if not key.startswith("_") and key not in RUNTIME_ONLY}


def log_stream(settings: LambdaSettings) -> str:
    """Return the log stream's name, which telemetry also gives as the instance's id: the one given, if one is."""
    return settings.env.get("AWS_LAMBDA_LOG_STREAM_NAME") or f"emulated/[{settings.function_version}]"


def _concurrency(settings: LambdaSettings) -> dict[str, str]:
    # RIE goes into Managed Instances mode by this variable, and so does awslambdaric.
    managed = settings.init_type is InitType.MANAGED
    return {"AWS_LAMBDA_MAX_CONCURRENCY": str(settings.max_concurrency)} if managed else {}
