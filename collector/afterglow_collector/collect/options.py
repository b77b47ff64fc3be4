"""The settings of ``afterglow collect``: one table for flags, environment and TOML file.

In: what each of the three says, as text. Out: ``Options``, or an OptionError that names the setting, where it
was set and what would be right. A flag wins over the environment, the environment over the file.

``--grace-s`` is AFTERGLOW_COLLECT_GRACE_S in the environment, and ``grace-s`` in the file's table ``[collect]``.
"""

# ruff: noqa: E501 - the settings are a table: one setting, one row

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from afterglow.metrics import DEFAULT_METRICS
from afterglow.settings import TABLE as SANDBOX_SETTINGS

PREFIX = "AFTERGLOW_COLLECT_"
TOKENS_VARIABLE = PREFIX + "TOKENS"
"""Comes from the environment or a file alone: a flag would show it to everybody who can list processes."""


class Options(NamedTuple):
    """All settings, with their defaults."""

    listen: str = "127.0.0.1:9477"
    data: Path = Path("afterglow-data")
    sink: tuple[str, ...] = ("stdout",)
    token_file: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    insecure: bool = False
    namespace: str = "Afterglow"
    dimensions: tuple[tuple[str, ...], ...] = (("FunctionName",),)
    metrics: frozenset[str] = DEFAULT_METRICS
    emf_values: str = "distribution"
    grace_s: int = 30
    max_ahead_s: int = 600
    durability: str = "disk"
    max_body_kb: int = 1024
    max_unpacked_kb: int = 8192
    max_ratio: int = 100
    max_line_kb: int = 64
    max_queue_mb: int = 64
    max_connections: int = 4096
    max_windows: int = 200_000
    max_environments: int = 1_000_000
    ids_kept_h: int = 24
    request_timeout_s: int = 30
    idle_timeout_s: int = 75
    checkpoint_mb: int = 256
    drain_s: int = 10
    tokens: tuple[str, ...] = ()  # from TOKENS_VARIABLE


class Option(NamedTuple):
    """One setting: how its text becomes a value, what is right, what it means."""

    parse: Callable[[str], Any]
    allowed: str
    meaning: str
    topic: str
    many: bool = False
    switch: bool = False


class OptionError(ValueError):
    """A setting that makes no sense: says which, where it stands, and what would be right."""


def _whole(low: int, high: int) -> tuple[Callable[[str], int], str]:
    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return parse, f"a whole number from {low} to {high}"


def _words(*words: str) -> tuple[Callable[[str], str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError
        return text

    return parse, " or ".join(words)


def _text(text: str) -> str:
    if not text:
        raise ValueError
    return text


def _switch(text: str) -> bool:
    return {"1": True, "true": True, "on": True, "0": False, "false": False, "off": False}[text.lower()]


def _as_in_sandbox(name: str) -> tuple[Callable[[str], Any], str]:
    return SANDBOX_SETTINGS[name].parse, SANDBOX_SETTINGS[name].allowed


# fmt: off
TABLE: dict[str, Option] = {
    "listen": Option(_text, "HOST:PORT, [IPV6]:PORT or unix:PATH", "where to listen; port 0 takes a free one", "the service"),
    "data": Option(Path, "a folder", "where journal, checkpoints and outbox lie; one collector each", "the service"),
    "sink": Option(_text, "a sink, see docs/sinks.md", "where finished metrics and findings go; may be repeated", "the service", many=True),
    "durability": Option(*_words("disk", "none"), "none: answer from memory, and lose that with the process", "the service"),
    "drain_s": Option(*_whole(0, 3600), "how long a stop waits for requests and sinks", "the service"),
    "token_file": Option(Path, "a file", f"bearer tokens, one a line; read again when it changes ({TOKENS_VARIABLE} is the other way)", "access"),
    "tls_cert": Option(Path, "a PEM file", "certificate chain; read again on SIGHUP", "access"),
    "tls_key": Option(Path, "a PEM file", "its private key (default: in the same file)", "access"),
    "insecure": Option(_switch, "on or off", "listen beyond this machine without tokens", "access", switch=True),
    "namespace": Option(*_as_in_sandbox("namespace"), "CloudWatch namespace", "the metrics"),
    "dimensions": Option(*_as_in_sandbox("dimensions"), "dimension sets", "the metrics"),
    "metrics": Option(*_as_in_sandbox("metrics"), "which metrics are published", "the metrics"),
    "emf_values": Option(*_as_in_sandbox("emf_values"), "how a distribution is written", "the metrics"),
    "grace_s": Option(*_whole(0, 3600), "how long after its end a minute stays open; what comes later becomes a delta", "the metrics"),
    "max_ahead_s": Option(*_whole(0, 7200), "how far ahead of our clock a record may be", "limits"),
    "max_body_kb": Option(*_whole(1, 16384), "size of a body as sent", "limits"),
    "max_unpacked_kb": Option(*_whole(1, 65536), "size of a body unpacked", "limits"),
    "max_ratio": Option(*_whole(2, 10_000), "how many times its size a body may unpack to", "limits"),
    "max_line_kb": Option(*_whole(1, 1024), "size of a record", "limits"),
    "max_queue_mb": Option(*_whole(1, 4096), "bodies that wait for the disk; beyond it senders get 429", "limits"),
    "max_connections": Option(*_whole(1, 100_000), "open connections; beyond it they get 503", "limits"),
    "max_windows": Option(*_whole(1, 10_000_000), "open windows (minute and series); beyond it senders get 503", "limits"),
    "max_environments": Option(*_whole(1, 100_000_000), "environments whose batches are remembered", "limits"),
    "ids_kept_h": Option(*_whole(1, 336), "how long a silent environment's batches are remembered", "limits"),
    "request_timeout_s": Option(*_whole(1, 600), "time for a request to come in", "limits"),
    "idle_timeout_s": Option(*_whole(1, 3600), "time between two requests", "limits"),
    "checkpoint_mb": Option(*_whole(1, 65536), "journal after which the state is saved anew", "limits"),
}
# fmt: on


def resolve(
    flags: Mapping[str, str | Sequence[str] | None], environ: Mapping[str, str], file: Mapping[str, Any]
) -> Options:
    """Return the settings: flags over environment over file over defaults."""
    known = {name.replace("_", "-") for name in TABLE}
    unknown = sorted(file.keys() - known)
    if unknown:
        raise OptionError(f"config file: no setting is called {unknown[0]!r}; known: {', '.join(sorted(known))}")
    chosen: dict[str, Any] = {}
    for name, option in TABLE.items():
        said = _said(name, flags, environ, file)
        if said is not None:
            chosen[name] = _value(option, *said)
    tokens = tuple(filter(None, (token.strip() for token in environ.get(TOKENS_VARIABLE, "").split(","))))
    return Options(**chosen, tokens=tokens)


def flag_of(name: str) -> str:
    """Return the setting's flag."""
    return "--" + name.replace("_", "-")


def _said(
    name: str, flags: Mapping[str, Any], environ: Mapping[str, str], file: Mapping[str, Any]
) -> tuple[str, Any] | None:
    """Return where the setting was made, and what was said there."""
    variable, key = PREFIX + name.upper(), name.replace("_", "-")
    if flags.get(name) is not None:
        return flag_of(name), flags[name]
    if environ.get(variable):
        return variable, environ[variable]
    return (f"config file: collect.{key}", file[key]) if key in file else None


def _value(option: Option, where: str, said: Any) -> Any:
    if not option.many:
        return _parsed(option, where, said)
    several = said.split() if isinstance(said, str) else said
    return tuple(_parsed(option, where, one) for one in several)


def _parsed(option: Option, where: str, said: Any) -> Any:
    text = str(said).lower() if isinstance(said, bool) else str(said)
    try:
        return option.parse(text)
    except (ValueError, KeyError):
        raise OptionError(f"{where} {text!r} is not {option.allowed}") from None
