"""The waist of the data flow: what the sandbox writes and everything else reads.

In: what the extension saw. Out: one JSON object per line, ``{"afterglow": <kind>, "v": 1, …fields}``.
A record is a NamedTuple of plain values; a field's annotation is its wire type, and ``None`` means
"not known here", never zero. The writer is ``encode``; the reader is ``decode``, which refuses what it does
not know with an error that names the field and what would have been right.

Records carry no identity of their own: ``Environment`` comes first in every stream and applies to what follows.
Every ``…_ms`` is a duration in milliseconds; ``at_ms`` is a point in time in Unix epoch milliseconds.
"""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple, Union, get_args, get_type_hints

SCHEMA_VERSION = 1

SOURCES = ("platform", "hook", "observed")
"""Where a figure comes from, best first: the Telemetry API, the hook in the runtime, /proc and our own clock."""

OUTCOMES = ("open", "done", "resumed", "lost")
FINDINGS = {
    "lingering": ("thread", "timer", "executor", "asyncio-task", "process", "alarm"),
    "state": ("threads-left", "fd-left", "tmp-left"),
    "ending": ("killed-child",),
}
"""Kinds of findings → what each can be about (docs/findings.md)."""


class Environment(NamedTuple):
    """One execution environment (sandbox): the identity of every record that follows it."""

    env_id: str
    function: str
    version: str
    memory_mb: int | None
    arch: str  # x86_64 or arm64
    init_type: str  # on-demand, provisioned-concurrency, snap-start, lambda-managed-instances
    runtime: str | None  # python3.11; None until a hook has said so
    region: str | None
    agent: str  # Afterglow's version
    started_at_ms: int


class Init(NamedTuple):
    """The cold start, phase by phase. ``sources`` maps a field to where its figure comes from (SOURCES)."""

    at_ms: int
    init_ms: float | None  # platform: initReport; observed: extension's first instruction → handler imported
    extension_ms: float | None  # extension's first instruction → register answered
    runtime_boot_ms: float | None  # runtime process started → hook installed (10 ms clock ticks)
    hook_ms: float | None  # the hook's own installation, a part of the line above and below
    import_ms: float | None  # the handler's module, with everything that it imports
    import_cpu_ms: float | None
    restore_ms: float | None  # SnapStart
    phase: str | None  # platform: init, or invoke for an Init that was run again inside an invocation
    error_type: str | None  # the import raised: the exception's class name
    sources: dict[str, str]


class Invocation(NamedTuple):
    """One invocation. ``None`` wherever the source (hook, /proc) was not there to say."""

    request_id: str
    index: int  # type: ignore[assignment]  # 1 for the environment's first; tuple.index is of no use to a record
    at_ms: int
    cold: bool
    status: str  # one of endings.ENDINGS
    error_type: str | None  # the exception's class name
    error_origin: str | None  # hook: "FILE:LINE in FUNCTION", the user's code that raised it
    error_message: str | None  # its first characters, where AFTERGLOW_ERROR_MESSAGES allows it; else None
    duration_ms: float | None  # handler entered → handler returned
    cpu_user_ms: float | None  # of the runtime's process, same interval
    cpu_system_ms: float | None
    wait_ms: float | None  # duration less CPU, not below 0
    rss_bytes: int | None  # the function's processes, at the return
    peak_rss_bytes: int | None  # the function's processes, highest during this invocation
    threads: int | None  # at the return
    fds: int | None  # open file descriptors, highest sample
    children: int | None  # living child processes at the return
    tmp_bytes: int | None  # used in /tmp
    frozen_before_ms: float | None  # how long the environment was frozen before this invocation
    response_latency_ms: float | None  # platform: runtime got the event → first byte of the response
    response_duration_ms: float | None  # platform: first → last byte of the response
    runtime_overhead_ms: float | None  # platform: response sent → runtime asked for the next event
    produced_bytes: float | None
    billed_ms: float | None
    max_memory_mb: float | None  # as Lambda reports it, for the whole environment
    trace: str | None  # X-Ray trace header, where the invocation is sampled
    hook_ms: float | None  # what the hook itself took of this invocation
    agent_cpu_ms: float | None  # what the extension burned from this INVOKE to the next event
    sources: dict[str, str]


class Report(NamedTuple):
    """What the platform said of an invocation whose record was out already: figures to be put in that one's place.

    No metric depends on it. With AFTERGLOW_FLUSH=end the rule, since the report comes after the freeze; else rare.
    """

    at_ms: int
    request_id: str
    duration_ms: float | None
    response_latency_ms: float | None
    response_duration_ms: float | None
    runtime_overhead_ms: float | None
    produced_bytes: float | None
    billed_ms: float | None
    max_memory_mb: float | None


class Finding(NamedTuple):
    """One piece of work that went on after its handler had returned; sent again when its outcome changes.

    Or, of another kind, something that crosses invocations or explains one; then it is sent once, and counts nothing.
    ``changes`` names what this line adds to the counts (lingering, resumed, lost, ended), so that lines
    add up whatever their order; the line with the highest ``revision`` is the finding as last known.
    """

    finding_id: str
    revision: int
    kind: str  # FINDINGS
    what: str  # FINDINGS
    name: str  # the thread's name, the task's coroutine, the job's function, the program
    file: str | None  # the call site in the user's code that started it
    line: int | None
    function: str | None
    request_id: str | None  # who started it; None: started during Init
    request_index: int | None
    state: str  # what it was doing when the handler returned
    outcome: str  # OUTCOMES
    reason: str | None  # why it was lost: SHUTDOWN's reason, crash, cancelled…
    resumed_in: str | None  # the first later request it went on in
    resumed_index: int | None
    frozen_ms: float | None  # how long it lay frozen in all
    cpu_ms: float | None  # its CPU after the return
    wall_ms: float | None  # return → its end (or the last look), less the frozen time
    jobs: int  # 1, or the number of jobs in an executor from this call site
    at_ms: int
    changes: list[str]
    returned_at_ms: float | None  # when the handler had returned, and it was found
    trace: str | None  # X-Ray trace header of who started it, where that is sampled
    worker: str | None = (
        None  # the module of a thread that lives on, and did this among other work; None: it ends with this
    )


class Ending(NamedTuple):
    """What there is to say of an invocation, or an Init, that did not come to its own end."""

    at_ms: int
    request_id: str | None  # None: Init
    index: int | None  # type: ignore[assignment]  # as in Invocation
    status: str  # one of endings.ENDINGS
    source: str
    detail: str | None  # the fatal signal's words, the platform's error type, SHUTDOWN's reason
    error_message: str | None  # of an import that raised; as in Invocation
    stacks: list[list[str]]  # per thread, innermost first: "FILE:LINE in FUNCTION"
    memory_mb: int | None  # configured
    peak_rss_bytes: int | None
    memory_curve: list[list[float]]  # [ms before the end, RSS in MB], oldest first
    oom_kills: int | None  # by the kernel, during this environment
    own: list[list[int]] | None = None  # per stack: the places of the function's own frames; None: nobody has told
    cause: str | None = (
        None  # what the hook saw that led to it: ``$.items[3].at: datetime``, ``os._exit`` (docs/endings.md)
    )


class Sample(NamedTuple):
    """One look at the processes. Kept for the local report; not shipped by the embedded collector."""

    at_ms: float
    request_index: int | None  # None: between invocations
    function_rss_bytes: int | None
    function_cpu_ms: float | None  # since the process started
    agent_rss_bytes: int | None
    agent_cpu_ms: float | None
    threads: int | None
    children: int | None


class Footprint(NamedTuple):
    """Who owns the environment's memory, as PSS (shared pages split fairly): at least once per environment."""

    at_ms: int
    function_pss_bytes: int | None
    agent_pss_bytes: int | None
    others_pss_bytes: int | None  # other extensions
    processes: int


class Shutdown(NamedTuple):
    """The end of the environment."""

    at_ms: int
    reason: str  # as Lambda or RIE gave it
    left_running: int  # findings still open
    took_ms: float  # SHUTDOWN received → everything printed


class Overhead(NamedTuple):
    """What Afterglow itself took since the last such record: deltas, so that they add up."""

    at_ms: int
    agent_cpu_ms: float
    agent_rss_bytes: int | None
    hook_ms: float
    bytes_out: int


class Loss(NamedTuple):
    """The ledger for one kind of record or fact: seen = emitted + the sum of dropped. Deltas."""

    at_ms: int
    of: str
    seen: int
    emitted: int
    dropped: dict[str, int]  # reason → count


class Imports(NamedTuple):
    """What was imported in Init, or late in one invocation, and what it took: a tree in columns.

    The lists have one entry per module, in the order in which the imports began, so parents come first.
    total = self + the totals of its children + others. Listed are the modules with the highest totals.
    """

    at_ms: int
    request_id: str | None  # None: Init; else the invocation that imported these
    imported: int  # modules in all
    modules: list[str]
    parents: list[int]  # place of the module that imports it; -1: none does, the tree begins here
    total_ms: list[float]  # with everything that it imports
    self_ms: list[float]  # without
    others_ms: list[float]  # of the modules below it that are not listed
    others: list[int]  # how many these are
    files: list[str | None]  # where the function's own code imports it, or what imports it
    lines: list[int | None]
    failed: list[int]  # places of the imports that raised
    loose_ms: float  # unlisted modules that hang below no listed one
    loose: int


class Untouched(NamedTuple):
    """Heavy modules of which no function ran in the first invocations: candidates for a late import.

    Init may have used them; constants and classes without functions of their own leave no trace.
    """

    at_ms: int
    invocations: int  # that were watched
    unknown: str | None  # why it cannot be known here
    modules: list[str]
    saved_ms: list[float]  # wall time of Init, less what is needed anyway
    files: list[str | None]  # where the function's own code imports it
    lines: list[int | None]
    unjudged: list[str]  # heavy too, but with parts in C, whose calls leave no trace


class Package(NamedTuple):
    """What lies on disk: the function's deployment package, or its layers. Once per environment."""

    at_ms: int
    what: str  # function, layers
    root: str
    files: int
    size_bytes: int  # unpacked, as Lambda's limit of 250 MB counts it
    unreadable: int  # folders
    stopped: str | None  # why it was not counted to the end
    names: list[str]  # the biggest packages, biggest first
    sizes_bytes: list[int]


Record = Union[  # noqa: UP007 - get_args needs the runtime value on 3.10
    Environment,
    Init,
    Imports,
    Untouched,
    Package,
    Invocation,
    Report,
    Ending,
    Finding,
    Sample,
    Footprint,
    Shutdown,
    Overhead,
    Loss,
]

KINDS: dict[str, type[Record]] = {cls.__name__.lower(): cls for cls in get_args(Record)}
_NAMES: dict[type[Record], str] = {cls: kind for kind, cls in KINDS.items()}


class RecordError(ValueError):
    """A line that is no record: says which field is wrong and what would be right."""


def kind_of(record: Record) -> str:
    """Return the record's kind as it stands on the wire: ``invocation``, ``finding`` and so on."""
    return _NAMES[type(record)]


def as_document(record: Record) -> dict[str, Any]:
    """Return the record as the JSON object that goes on the wire."""
    return {"afterglow": kind_of(record), "v": SCHEMA_VERSION, **record._asdict()}


def encode(record: Record) -> str:
    """Return one line of ASCII JSON without its newline."""
    return json.dumps(as_document(record), separators=(",", ":"), allow_nan=False)


def encode_row(record: Record) -> str:
    """Return one line of ASCII JSON, the record as a row; ``sources`` is one letter per field, or - for none."""
    row = [kind_of(record), SCHEMA_VERSION, *record]
    if "sources" in record._fields:
        place = record._fields.index("sources") + 2
        row[place] = _lettered(record._fields, row[place])
    return json.dumps(row, separators=(",", ":"), allow_nan=False)


def decode(line: str | bytes) -> Record:
    """Return the record that one line holds; RecordError names the first thing that is wrong with it."""
    try:
        document = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"not JSON: {error}") from None
    return from_document(document)


def from_document(document: object) -> Record:
    """Return the record that a decoded JSON object stands for; strict about kind, version, fields and types."""
    if isinstance(document, list):
        document = _named_members(document)
    if not isinstance(document, dict):
        raise RecordError(f"a record is a JSON object or a row, not {_named(document)}")
    kind = document.get("afterglow")
    if not isinstance(kind, str) or kind not in KINDS:
        raise RecordError(f'field "afterglow": {kind!r} is no kind of record; known: {", ".join(KINDS)}')
    version = document.get("v")
    if type(version) is not int or version != SCHEMA_VERSION:  # true == 1 == 1.0 in Python
        raise RecordError(f'field "v": schema version {version!r} is not {SCHEMA_VERSION}')
    cls = KINDS[kind]
    return cls(**_checked_fields(kind, _wire_types(kind), document))


_LETTERS = {source: source[0] for source in SOURCES}
_SOURCES_OF = {letter: source for source, letter in _LETTERS.items()}


def _lettered(fields: tuple[str, ...], sources: Any) -> Any:
    """Return the letters for ``sources``, or itself where they could not say all of it."""
    if not _LETTERS.keys() >= set(sources.values()) or not sources.keys() <= set(fields):
        return sources
    return "".join([_LETTERS[sources[field]] if field in sources else "-" for field in fields])


def _named_members(row: list[Any]) -> dict[str, Any]:
    """Return the JSON object that a row stands for; what is wrong with its members is for others to say."""
    kind = row[0] if row else None
    if not isinstance(kind, str) or kind not in KINDS:
        return {"afterglow": kind}
    fields = KINDS[kind]._fields
    if not 2 + len(fields) - len(KINDS[kind]._field_defaults) <= len(row) <= 2 + len(fields):
        raise RecordError(f"{kind}: a row has {2 + len(fields)} members (kind, v, {', '.join(fields)}), not {len(row)}")
    document = {"afterglow": kind, "v": row[1], **dict(zip(fields, row[2:], strict=False))}  # the last may be left out
    if isinstance(document.get("sources"), str):
        document["sources"] = _unlettered(kind, fields, document["sources"])
    return document


def _unlettered(kind: str, fields: tuple[str, ...], letters: str) -> dict[str, str]:
    if len(letters) != len(fields) or not _SOURCES_OF.keys() | {"-"} >= set(letters):
        raise RecordError(f'{kind}: field "sources" in a row has {len(fields)} letters of {"".join(_SOURCES_OF)}-')
    return {field: _SOURCES_OF[letter] for field, letter in zip(fields, letters, strict=True) if letter != "-"}


def _checked_fields(kind: str, types: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    unknown = sorted(document.keys() - types.keys() - {"afterglow", "v"})
    if unknown:
        raise RecordError(f'{kind}: unknown field "{unknown[0]}"; known: {", ".join(types)}')
    defaults = KINDS[kind]._field_defaults
    missing = [name for name in types if name not in document and name not in defaults]
    if missing:
        raise RecordError(f'{kind}: field "{missing[0]}" is missing')
    for name, wanted in types.items():
        if name in document and not _fits(document[name], wanted):
            raise RecordError(f'{kind}: field "{name}" must be {_spelled(wanted)}, not {_named(document[name])}')
    return {name: document[name] for name in types if name in document}


_FINITE_LIMIT = float("inf")


def _fits(value: object, wanted: Any) -> bool:
    options = get_args(wanted)
    origin = getattr(wanted, "__origin__", None)
    if origin is list:
        return isinstance(value, list) and all(_fits(item, options[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(item, options[1]) for item in value.values())
    if options:
        return any(_fits(value, option) for option in options)
    if wanted is float:  # JSON has one number type; NaN and infinities are not JSON
        return type(value) in (int, float) and -_FINITE_LIMIT < value < _FINITE_LIMIT  # type: ignore[operator]  # narrowed by type() just before
    return type(value) is wanted  # bool is no int here


def _spelled(wanted: Any) -> str:
    names = (getattr(option, "__name__", str(option)) for option in _flat(wanted))
    return " or ".join("null" if name == "NoneType" else name for name in names)


def _flat(wanted: Any) -> Iterable[Any]:
    if getattr(wanted, "__origin__", None) in (list, dict) or not get_args(wanted):
        return [wanted]
    return list(get_args(wanted))


def _named(value: object) -> str:
    return "null" if value is None else f"{type(value).__name__} {str(value)[:40]!r}"


_known_types: dict[str, dict[str, Any]] = {}


def _wire_types(kind: str) -> dict[str, Any]:
    """Return a kind's fields and their types; worked out when they are asked for: the sandbox only writes."""
    if kind not in _known_types:
        _known_types[kind] = get_type_hints(KINDS[kind])
    return _known_types[kind]
