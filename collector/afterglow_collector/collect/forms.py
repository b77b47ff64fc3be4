"""The forms in which a line may say a record, as types that msgspec checks while it parses.

In: the records of ``afterglow.records``, from which they are made, so that they cannot drift apart, and the limits of
their values. Out: ``FORMS``, and what a decoded line stands for.

A number that cannot be is refused here, where its sender still hears of it: behind this door all that reads numbers
(sums, spans, dollars) may rely on them. The bounds are far beyond anything that Lambda knows, and far below what any
arithmetic of ours, or nanoseconds in 64 bits, would mind. ``sources`` is not checked: no figure depends on
it. Where a sink gets the lines as they came, ``all_sources_fit`` looks at it.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_type_hints

import msgspec

from afterglow.records import KINDS, SCHEMA_VERSION, SOURCES, Environment, Record

MAX_WHOLE = 1 << 53
"""Whole numbers are exact up to here in every reader of JSON; nothing that we count comes near."""

MAX_TEXT = 1024  # characters; the longest ARN, path or X-Ray header that Lambda knows is shorter
MAX_NAME = 256
"""Characters of an Environment's texts, which are kept for as long as it is known. A function's name in an ARN has at
most 140, an alias 128."""

MAX_KEYS = 256  # members of one object or array

LAST_MS = 4_102_444_800_000
"""The year 2100: no moment lies behind it, nor before 1970."""

MAX_DURATION_MS = 1_000_000_000
"""Eleven days and a half. An invocation has 15 minutes, an environment lives for hours; frozen time counts, too."""

MAX_MEMORY_MB = 1_000_000
"""A hundred times what a function can have."""

MAX_BYTES = 1 << 40  # the same, in bytes, and some; an answer has 20 MB at most, /tmp 10 GB

_Range = tuple[int, int]
_MOMENT, _DURATION, _MEMORY = (0, LAST_MS), (0, MAX_DURATION_MS), (1, MAX_MEMORY_MB)
_BYTES, _COUNT, _ANY = (0, MAX_BYTES), (0, MAX_WHOLE), (-MAX_WHOLE, MAX_WHOLE)
_RANGES: dict[str, _Range] = {"memory_mb": _MEMORY, "max_memory_mb": (0, MAX_MEMORY_MB)}
_SUFFIXES: dict[str, _Range] = {"at_ms": _MOMENT, "_ms": _DURATION, "_bytes": _BYTES}


def _range_of(name: str, wanted: Any) -> _Range:
    """Return the least and the greatest value of a field, by what its name says that it is."""
    if list in (wanted, getattr(wanted, "__origin__", None)):
        return _ANY  # columns: places may be -1
    ends = (limits for suffix, limits in _SUFFIXES.items() if name.endswith(suffix))
    return _RANGES.get(name) or next(ends, _COUNT)


def _limited(wanted: Any, limits: _Range, max_text: int = MAX_TEXT) -> Any:
    """Return the wire type with our limits: numbers that can be, texts and lists that end."""
    if wanted in (int, float):
        return Annotated[wanted, msgspec.Meta(ge=limits[0], le=limits[1])]
    if wanted is str:
        return Annotated[str, msgspec.Meta(max_length=max_text)]
    options = get_args(wanted)
    origin = getattr(wanted, "__origin__", None)
    if origin is list:
        return Annotated[list[_limited(options[0], limits)], msgspec.Meta(max_length=MAX_KEYS)]  # type: ignore[misc]  # made at run time
    if origin is dict:
        member, text = _limited(options[1], limits), _limited(str, limits)
        return Annotated[dict[text, member], msgspec.Meta(max_length=MAX_KEYS)]  # type: ignore[valid-type]
    return any_of(_limited(option, limits, max_text) for option in options) if options else wanted


def any_of(options: Iterable[Any]) -> Any:
    """Return the union of types that are known at run time."""
    return Union[tuple(options)]  # noqa: UP007 - made at run time


class Forms(NamedTuple):
    """The forms in which a line may say a record: same fields, same limits.

    ``lettered`` is a row whose ``sources`` are letters, as the sandbox writes it: to read them takes less than to skip
    over them, or to look at them later. What is no such row may be a ``row`` still.
    """

    named: Any
    row: Any
    lettered: Any


def _forms(kind: str, cls: type[Record]) -> Forms:
    max_text = MAX_NAME if cls is Environment else MAX_TEXT
    hints = {name: _limited(wanted, _range_of(name, wanted), max_text) for name, wanted in get_type_hints(cls).items()}

    def form(name: str, sources: Any, **options: Any) -> Any:
        members = hints | {"sources": sources} if "sources" in hints else hints
        defaults = cls._field_defaults  # what an older layer does not tell
        told = [(name, kind, defaults[name]) if name in defaults else (name, kind) for name, kind in members.items()]
        fields: list[Any] = [("v", Literal[SCHEMA_VERSION]), *told]
        return msgspec.defstruct(name, fields, tag=kind, forbid_unknown_fields=True, gc=False, **options)

    return Forms(
        form(cls.__name__, msgspec.Raw, tag_field="afterglow"),
        form(f"{cls.__name__}Row", msgspec.Raw, array_like=True),
        form(f"{cls.__name__}LetteredRow", str, array_like=True),
    )


FORMS = {cls: _forms(kind, cls) for kind, cls in KINDS.items()}
CLASSES = {form: cls for cls, forms in FORMS.items() for form in forms}


def as_record(struct: Any) -> Any:
    """Return the record of ``afterglow.records`` that a decoded line stands for."""
    _, *values = msgspec.structs.astuple(struct)
    return CLASSES[type(struct)](*values)


_of_names: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_limited(dict[str, str], _ANY))
_of_rows: msgspec.json.Decoder[Any] = msgspec.json.Decoder(any_of((str, _limited(dict[str, str], _ANY))))
_LETTERS = "".join({"-", *(source[0] for source in SOURCES)})
_SOURCED = {cls: forms for cls, forms in FORMS.items() if "sources" in cls._fields}
_DECODERS: dict[type, msgspec.json.Decoder[Any]] = {
    form: decoder for forms in _SOURCED.values() for form, decoder in ((forms.named, _of_names), (forms.row, _of_rows))
}
_PLACES: dict[type, int] = {form: len(cls._fields) for cls, forms in _SOURCED.items() for form in forms}


def sources_fit(struct: Any) -> bool:
    """Say whether the ``sources`` that were skipped are what ``records.decode`` would take."""
    form = type(struct)
    if form not in _PLACES:
        return True
    sources = struct.sources
    if form in _DECODERS:
        try:
            sources = _DECODERS[form].decode(sources)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return False
    return not isinstance(sources, str) or _are_letters(sources, _PLACES[form])


def all_sources_fit(structs: list[Any]) -> bool:
    """Say so of all of them. Rows mostly have the same letters: one look at each text that differs is enough."""
    forms: set[type] = set(map(type, structs))
    if not forms.isdisjoint(_DECODERS):
        return all(map(sources_fit, structs))
    for form in forms.intersection(_PLACES):
        some: list[Any] = structs if len(forms) == 1 else [struct for struct in structs if type(struct) is form]
        if not all(_are_letters(sources, _PLACES[form]) for sources in {struct.sources for struct in some}):
            return False
    return True


def _are_letters(sources: str, places: int) -> bool:
    return len(sources) == places and not sources.strip(_LETTERS)
