"""Imports go one way, within packages as between them: nobody has to read two modules to understand either."""

import grimp
import pytest

PACKAGES = ("afterglow", "afterglow_hook", "afterglow_layer", "afterglow_collector")
LATE = {
    ("afterglow.boot", "afterglow.main"): "docs/decisions/0008-imports-in-portions.md",
    ("afterglow.boot", "afterglow.handover"): "the same",
    ("afterglow.hearing", "afterglow.farewell"): "loaded when a worker of a Managed Instance dies, or at SHUTDOWN",
    ("afterglow_hook.imports", "afterglow_hook.import_facts"): "loaded after the first answer",
}
"""Imports within a function that close a circle, and why each is there: what it loads must not be loaded earlier."""


@pytest.fixture
def graph() -> grimp.ImportGraph:
    """Every import there is, those for the type checker alone included."""
    return grimp.build_graph(*PACKAGES, cache_dir=None)


def circles(graph: grimp.ImportGraph) -> list[str]:
    """Return each import that leads back to where it stands."""
    return [
        f"{importer} -> {imported} -> … -> {importer}"
        for importer in sorted(graph.modules)
        for imported in sorted(graph.find_modules_directly_imported_by(importer))
        if graph.chain_exists(importer=imported, imported=importer)
    ]


def test_no_module_imports_what_imports_it_but_for_those_that_load_late(graph: grimp.ImportGraph) -> None:
    for importer, imported in LATE:
        graph.remove_import(importer=importer, imported=imported)

    assert [] == circles(graph)


def test_each_exception_is_still_one(graph: grimp.ImportGraph) -> None:
    unused = [
        f"{importer} -> {imported}"
        for importer, imported in LATE
        if not graph.chain_exists(importer=imported, imported=importer)
        or not graph.direct_import_exists(importer=importer, imported=imported)
    ]

    assert [] == unused
