"""What was imported, and what of it was never needed. In: the hook's facts. Out: Imports and Untouched records.

Pure: whether a file is the function's own is a question that the caller answers.
"""

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from afterglow.records import Imports, Untouched

MOST_LISTED = 256  # what a collector takes in one list
HEAVY_MS = 10.0  # what would be worth a late import
FAILED, NATIVE = 1, 2

IsOwn = Callable[[str], bool]
Place = tuple[str | None, int | None]


class Module(NamedTuple):
    """One listed import, as the hook tells it; times in ns."""

    name: str
    parent: int
    total_ns: int
    self_ns: int
    others_ns: int
    others: int
    flags: int
    site: list[tuple[str, int]]  # innermost first, outside the standard library


def modules_of(parts: list[dict[str, Any]]) -> list[Module] | None:
    """Return the modules of all parts of one telling; None if a place in them leads nowhere."""
    modules: list[Module] = []
    for part in parts:
        files = part["files"]
        for node in part["nodes"]:
            if len(modules) == MOST_LISTED:
                return modules  # parents come first: what is there is a tree
            parent, site = node[1], node[7]
            if not -1 <= parent < len(modules) or any(not 0 <= file < len(files) for file, _ in site):
                return None
            modules.append(Module._make([*node[:7], [(files[file], line) for file, line in site]]))
    return modules


def record_of(parts: list[dict[str, Any]], modules: list[Module], at_ms: int, is_own: IsOwn) -> Imports:
    """Return the tree as a record."""
    places = places_of(modules, is_own)
    loose_ns, loose = parts[0]["loose"]
    return Imports(
        at_ms=at_ms,
        request_id=parts[0]["id"],
        imported=parts[0]["count"],
        modules=[module.name for module in modules],
        parents=[module.parent for module in modules],
        total_ms=[_ms(module.total_ns) for module in modules],
        self_ms=[_ms(module.self_ns) for module in modules],
        others_ms=[_ms(module.others_ns) for module in modules],
        others=[module.others for module in modules],
        files=[file for file, _ in places],
        lines=[line for _, line in places],
        failed=[place for place, module in enumerate(modules) if module.flags & FAILED],
        loose_ms=_ms(loose_ns),
        loose=loose,
    )


def places_of(modules: list[Module], is_own: IsOwn) -> list[Place]:
    """Return where each module is imported: in the function's own code, be it indirectly; else by whatever does."""
    own: list[Place] = []
    for module in modules:
        site = next(((file, line) for file, line in module.site if is_own(file)), None)
        above = own[module.parent] if module.parent >= 0 else (None, None)
        own.append(site or above)
    return [place if place[0] or not m.site else m.site[0] for place, m in zip(own, modules, strict=True)]


def candidates(modules: list[Module], is_own: IsOwn) -> list[int]:
    """Return the places of the modules that the function's own code imports, and could as well import later."""
    return [
        place
        for place, module in enumerate(modules)
        if module.total_ns >= HEAVY_MS * 1e6 and module.site and is_own(module.site[0][0])
    ]


def untouched_of(
    modules: list[Module], touched: Collection[str], at_ms: int, invocations: int, is_own: IsOwn
) -> Untouched:
    """Return the topmost heavy modules whose packages no function ran of, and what each would save."""
    packages = _packages_below(modules)
    running = [module.name in touched for module in modules]
    idle: dict[int, int] = {}  # place → ns that would be saved
    unjudged: list[int] = []
    for place in candidates(modules, is_own):
        mates = packages[place]
        if any(running[mate] for mate in mates) or _under(place, {*idle, *unjudged}, modules):
            continue
        if any(modules[mate].flags & NATIVE for mate in mates):
            unjudged.append(place)
            continue
        saved_ns = modules[place].total_ns - _needed_ns(place, modules, running)
        if saved_ns >= HEAVY_MS * 1e6:
            idle[place] = saved_ns
    places = places_of(modules, is_own)
    ranked = sorted(idle, key=lambda place: -idle[place])
    return Untouched(
        at_ms=at_ms,
        invocations=invocations,
        unknown=None,
        modules=[modules[place].name for place in ranked],
        saved_ms=[_ms(idle[place]) for place in ranked],
        files=[places[place][0] for place in ranked],
        lines=[places[place][1] for place in ranked],
        unjudged=[modules[place].name for place in unjudged],
    )


def unknown_of(why: str, at_ms: int, invocations: int) -> Untouched:
    """Return the record that says why nobody knows."""
    return Untouched(at_ms, invocations, why, [], [], [], [], [])


def _packages_below(modules: list[Module]) -> list[list[int]]:
    """Return for each module the places, itself included, of its own package's modules in the branch below it."""
    mates: list[list[int]] = [[] for _ in modules]
    for place, module in enumerate(modules):
        package = module.name.partition(".")[0]
        above = place
        while above >= 0:
            if modules[above].name.partition(".")[0] == package:
                mates[above].append(place)
            above = modules[above].parent
    return mates


def _needed_ns(place: int, modules: list[Module], running: list[bool]) -> int:
    """Return the time of those branches below that some other code needs anyway: their functions ran."""
    needed: set[int] = set()
    total_ns = 0
    for below in range(place + 1, len(modules)):
        if running[below] and _under(below, {place}, modules) and not _under(below, needed, modules):
            needed.add(below)
            total_ns += modules[below].total_ns
    return total_ns


def _under(place: int, tops: Collection[int], modules: list[Module]) -> bool:
    above = modules[place].parent
    while above >= 0:
        if above in tops:
            return True
        above = modules[above].parent
    return False


def _ms(value_ns: int) -> float:
    return round(value_ns / 1e6, 3)
