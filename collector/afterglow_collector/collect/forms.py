"""The two forms in which a line may say a record, as types that msgspec checks while it parses.

In: the records of ``afterglow.records``, from which they are made, so that they cannot drift apart, and the limits of
their values. Out: ``FORMS``, and what a decoded line stands for. One field is skipped over rather than read:
``sources``, which no figure depends on.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_type_hints

import msgspec

from afterglow.records import KINDS, SCHEMA_VERSION, Record

MAX_WHOLE = 1 << 53
"""Whole numbers are exact up to here in every reader of JSON; nothing that we count comes near."""

MAX_TEXT = 1024  # characters; the longest ARN, path or X-Ray header that Lambda knows is shorter
MAX_KEYS = 256  # members of one object or array

_WHOLE = Annotated[int, msgspec.Meta(ge=-MAX_WHOLE, le=MAX_WHOLE)]
_TEXT = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]


def _limited(wanted: Any) -> Any:
    """Return the wire type with our limits: numbers that are exact, texts and lists that end."""
    if wanted in (int, str):
        return _WHOLE if wanted is int else _TEXT
    options = get_args(wanted)
    origin = getattr(wanted, "__origin__", None)
    if origin is list:
        return Annotated[list[_limited(options[0])], msgspec.Meta(max_length=MAX_KEYS)]  # type: ignore[misc]  # made at run time
    if origin is dict:
        return Annotated[dict[_TEXT, _limited(options[1])], msgspec.Meta(max_length=MAX_KEYS)]  # type: ignore[misc]
    return any_of(_limited(option) for option in options) if options else wanted


def any_of(options: Iterable[Any]) -> Any:
    """Return the union of types that are known at run time."""
    return Union[tuple(options)]  # noqa: UP007 - made at run time


class Forms(NamedTuple):
    """The two forms in which a line may say a record: same fields, same limits."""

    named: Any
    row: Any


def _forms(kind: str, cls: type[Record]) -> Forms:
    hints = {name: _limited(wanted) for name, wanted in get_type_hints(cls).items()}
    if "sources" in hints:
        hints["sources"] = msgspec.Raw
    fields = [("v", Literal[SCHEMA_VERSION]), *hints.items()]
    return Forms(
        msgspec.defstruct(cls.__name__, fields, tag=kind, tag_field="afterglow", forbid_unknown_fields=True, gc=False),
        msgspec.defstruct(
            f"{cls.__name__}Row", fields, tag=kind, array_like=True, forbid_unknown_fields=True, gc=False
        ),
    )


FORMS = {cls: _forms(kind, cls) for kind, cls in KINDS.items()}
CLASSES = {form: cls for cls, forms in FORMS.items() for form in forms}


def as_record(struct: Any) -> Any:
    """Return the record of ``afterglow.records`` that a decoded line stands for."""
    _, *values = msgspec.structs.astuple(struct)
    return CLASSES[type(struct)](*values)
