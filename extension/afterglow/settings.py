"""Settings from the environment. In: a mapping like ``os.environ``. Out: Settings, and one line per bad value.

A bad value never stops anything: it gets its default and a line that says what would have been right.
``docs/settings.md`` is the same table for people; a test holds the two together.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from afterglow.address import parse_address
from afterglow.metrics import CATALOGUE, DEFAULT_METRICS

DIMENSIONS = ("FunctionName", "FunctionVersion", "InitType", "MemorySize", "Architecture")


class Settings(NamedTuple):
    """What can be set, with its default. Names are those of the variables, lower case, less the prefix."""

    enabled: bool = True
    namespace: str = "Afterglow"
    dimensions: tuple[tuple[str, ...], ...] = (("FunctionName",),)
    metrics: frozenset[str] = DEFAULT_METRICS
    emf_values: str = "distribution"
    flush: str = "next"
    flush_seconds: int = 60
    findings: bool = True
    error_messages: bool = False
    sample_ms: int = 10
    sample_max_ms: int = 250
    collector: str = "embedded"
    collector_token: str = ""
    collector_ca: str = ""
    records_file: str = ""


class Setting(NamedTuple):
    """One variable: how its text becomes a value, and the sentence that says what is right."""

    variable: str
    parse: Callable[[str], Any]
    allowed: str
    meaning: str


def _switch(text: str) -> bool:
    return {"1": True, "true": True, "on": True, "0": False, "false": False, "off": False}[text.lower()]


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return parse


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError
        return text.lower()

    return parse


def _namespace(text: str) -> str:
    """CloudWatch's own rule: 1-255 characters of A-Z a-z 0-9 . - _ / # : and not AWS/."""
    if not 0 < len(text) <= 255 or text.startswith("AWS/") or set(text) - _NAMESPACE_CHARACTERS:
        raise ValueError
    return text


def _collector(text: str) -> str:
    if text not in ("embedded", "records"):
        parse_address(text)
    return text


_NAMESPACE_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_/#:")


def _dimension_sets(text: str) -> tuple[tuple[str, ...], ...]:
    sets = tuple(tuple(name.strip() for name in part.split(",")) for part in text.split(";"))
    if any(name not in DIMENSIONS for names in sets for name in names) or any(len({*s}) < len(s) for s in sets):
        raise ValueError
    return sets


def _metric_names(text: str) -> frozenset[str]:
    if text in ("default", "all"):
        return DEFAULT_METRICS if text == "default" else frozenset(metric.name for metric in CATALOGUE)
    names = frozenset(name.strip() for name in text.split(","))
    if names - {metric.name for metric in CATALOGUE}:
        raise ValueError
    return names


TABLE: dict[str, Setting] = {
    "enabled": Setting("AFTERGLOW_ENABLED", _switch, "on or off", "off: register and call /next, nothing else"),
    "namespace": Setting(
        "AFTERGLOW_NAMESPACE",
        _namespace,
        "1-255 characters of A-Z a-z 0-9 . - _ / # : not starting with AWS/",
        "the CloudWatch namespace",
    ),
    "dimensions": Setting(
        "AFTERGLOW_DIMENSIONS",
        _dimension_sets,
        f"dimension sets separated by ';', names by ',', out of {', '.join(DIMENSIONS)}",
        "the dimension sets; each further one multiplies the number of paid metrics",
    ),
    "metrics": Setting(
        "AFTERGLOW_METRICS",
        _metric_names,
        "default, all, or names from docs/metrics.md separated by ','",
        "which metrics are published; CloudWatch charges for each",
    ),
    "emf_values": Setting(
        "AFTERGLOW_EMF_VALUES",
        _one_of("distribution", "arrays"),
        "distribution or arrays",
        "how a distribution is written: Values and Counts, or a plain array of values",
    ),
    "flush": Setting(
        "AFTERGLOW_FLUSH",
        _one_of("next", "end", "interval"),
        "next, end or interval",
        "when records are printed: during the next invocation; at the end of each one, before the environment may "
        "freeze (billed time); or whenever AFTERGLOW_FLUSH_SECONDS have passed",
    ),
    "flush_seconds": Setting(
        "AFTERGLOW_FLUSH_SECONDS",
        _whole(1, 900),
        "a whole number of seconds, 1 to 900",
        "how long metrics are added up before they are printed",
    ),
    "findings": Setting("AFTERGLOW_FINDINGS", _switch, "on or off", "one log line per finding"),
    "error_messages": Setting(
        "AFTERGLOW_ERROR_MESSAGES",
        _switch,
        "on or off",
        "on: the first 256 characters of an exception's message leave the function with its class and line; "
        "off: they never do, since a message can hold anything",
    ),
    "sample_ms": Setting(
        "AFTERGLOW_SAMPLE_MS",
        _whole(1, 10_000),
        "a whole number of milliseconds, 1 to 10000",
        "first sampling interval",
    ),
    "sample_max_ms": Setting(
        "AFTERGLOW_SAMPLE_MAX_MS",
        _whole(1, 60_000),
        "a whole number of milliseconds, 1 to 60000",
        "longest sampling interval, reached while nothing changes",
    ),
    "collector": Setting(
        "AFTERGLOW_COLLECTOR",
        _collector,
        "embedded, records, http://HOST[:PORT][/PATH], https://HOST[:PORT][/PATH] or unix:/PATH",
        "who adds records up: the extension itself, a log subscription that reads record lines, or a collector",
    ),
    "collector_token": Setting("AFTERGLOW_COLLECTOR_TOKEN", str, "a bearer token", "what the collector asks for"),
    "collector_ca": Setting(
        "AFTERGLOW_COLLECTOR_CA",
        str,
        "the path of a PEM file",
        "certificate authorities to trust for https, instead of the system's; in the function's package or a layer",
    ),
    "records_file": Setting(
        "AFTERGLOW_RECORDS_FILE", str, "a path", "also append each record to this file; the local run uses it"
    ),
}

READ_ELSEWHERE = ("AFTERGLOW_TELEMETRY", "AFTERGLOW_HOOK", "AFTERGLOW_IMPORTS", "AFTERGLOW_PYTHON")
"""Variables that the hook and the launcher read; known here so that a typo can be told from them."""


def from_env(environ: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """Return the settings and one complaint per variable that is not as it should be."""
    values, complaints = {}, []
    for field, setting in TABLE.items():
        text = environ.get(setting.variable, "").strip()
        if not text:
            continue
        try:
            values[field] = setting.parse(text)
        except (ValueError, KeyError):
            default = environ_text(Settings._field_defaults[field])
            shown = text.rpartition("@")[2][:80]  # what stands before an @ in an address is a secret
            complaints.append(f"{setting.variable}={shown!r} is not {setting.allowed}; using {default}")
    known = {setting.variable for setting in TABLE.values()}.union(READ_ELSEWHERE)
    complaints += [
        f"{name} is no setting; known: {', '.join(sorted(known))}"
        for name in sorted(environ)
        if name.startswith("AFTERGLOW_") and name not in known
    ]
    return Settings(**values), complaints


def environ_text(value: Any) -> str:
    """Return a setting's value as one would write it into the variable."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, frozenset):
        return "default"
    if isinstance(value, tuple):
        return ";".join(",".join(names) for names in value)
    return str(value)
