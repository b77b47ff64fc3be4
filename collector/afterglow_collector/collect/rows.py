"""The figures of Invocations as bytes: a row of doubles for each, which the journal keeps and the tally adds up.

In: Invocations as they were read, and which fields count. Out: bytes; and all rows of many batches as columns.
A figure that is not known is NaN.
"""

from collections.abc import Callable, Iterable
from math import nan
from struct import Struct
from struct import error as StructError  # noqa: N812 - struct's only error has no capital
from typing import Any

import numpy as np

from afterglow_collector.collect.binning import Floats

DOUBLE_BYTES = 8

Pack = Callable[..., bytes]
Packer = Callable[[Iterable[Any], Pack], list[bytes]]


class RowFormat:
    """``fields`` are those of an Invocation, in the order of their columns."""

    def __init__(self, fields: tuple[str, ...]) -> None:
        self.fields = fields
        self.row_bytes = DOUBLE_BYTES * len(fields)
        self._pack = Struct(f"={len(fields)}d").pack
        self._packed = _packer(fields, "call.{}")
        self._packed_with_gaps = _packer(fields, "nan if call.{0} is None else call.{0}")

    def pack(self, calls: list[Any]) -> bytes:
        """Return the rows of these Invocations. Most know all that counts; only where one does not, each is asked."""
        try:
            return b"".join(self._packed(calls, self._pack))
        except StructError:
            return b"".join(self._packed_with_gaps(calls, self._pack))

    def columns(self, rows: Iterable[bytes]) -> dict[str, Floats]:
        """Return each field's column, of all rows together; there is at least one row, and one field."""
        table = np.frombuffer(b"".join(rows)).reshape(-1, len(self.fields))
        return dict(zip(self.fields, np.ascontiguousarray(table.T), strict=True))


def _packer(fields: tuple[str, ...], value: str) -> Packer:
    """Return what packs a row for each call.

    Made as text, as NamedTuple's own methods are: to read six slots and pack them then takes 120 ns. A
    comprehension for each field and numpy.fromiter take 214, attrgetter and pack 220.
    """
    values = ", ".join(value.format(field) for field in fields)
    made: Packer = eval(f"lambda calls, pack: [pack({values}) for call in calls]", {"nan": nan})  # noqa: S307 - of our own words
    return made
