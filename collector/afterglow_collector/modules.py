"""What Init consisted of, for the run document: imports as a tree, modules never used, sizes on disk.

In: records, each with the number of its environment. Out: plain dicts. Columns become one dict per module.
"""

from collections.abc import Iterable
from typing import Any

from afterglow.records import Imports, Package, Record, Untouched
from afterglow_collector.matching import Numbers

Numbered = Iterable[tuple[int | None, Record]]

COLUMNS = {
    "modules": "name",
    "parents": "parent",
    "total_ms": "total_ms",
    "self_ms": "self_ms",
    "others_ms": "others_ms",
    "others": "others",
    "files": "file",
    "lines": "line",
}
"""Column of Imports → field of one module."""


def imports_of(records: Numbered, numbers: Numbers) -> list[dict[str, Any]]:
    """Return one entry for each Init, and for each invocation that imported something late."""
    return [
        {
            "environment": environment,
            "request_id": record.request_id,
            "invocation": numbers.get((environment, record.request_id)),
            "imported": record.imported,
            "modules": _modules(record),
            "loose_ms": record.loose_ms,
            "loose": record.loose,
        }
        for environment, record in records
        if isinstance(record, Imports)
    ]


def _modules(record: Imports) -> list[dict[str, Any]]:
    columns = (getattr(record, column) for column in COLUMNS)
    modules = [dict(zip(COLUMNS.values(), row, strict=True)) for row in zip(*columns, strict=False)]
    failed = set(record.failed)
    for place, module in enumerate(modules):
        module["parent"] = module["parent"] if 0 <= module["parent"] < place else None
        module["failed"] = place in failed
    return modules


def untouched_of(records: Numbered) -> list[dict[str, Any]]:
    """Return what is known of modules that no invocation used, per environment."""
    return [
        {
            "environment": environment,
            "invocations": record.invocations,
            "unknown": record.unknown,
            "modules": [
                {"name": name, "saved_ms": saved_ms, "file": file, "line": line}
                for name, saved_ms, file, line in zip(
                    record.modules, record.saved_ms, record.files, record.lines, strict=False
                )
            ],
            "unjudged": record.unjudged,
        }
        for environment, record in records
        if isinstance(record, Untouched)
    ]


def packages_of(records: Numbered) -> list[dict[str, Any]]:
    """Return what lies on disk, per environment: the function and its layers."""
    entries = []
    for environment, record in records:
        if isinstance(record, Package):
            fields = record._asdict()
            named = zip(fields.pop("names"), fields.pop("sizes_bytes"), strict=False)
            biggest = [{"name": name, "size_bytes": size_bytes} for name, size_bytes in named]
            entries.append({"environment": environment, **fields, "biggest": biggest})
    return entries
