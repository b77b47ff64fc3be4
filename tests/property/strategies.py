"""What hypothesis builds: records of every kind from their annotations, values, traffic, emitters."""

import types
from typing import Any, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from afterglow.distribution import MAX_VALUE
from afterglow.emf import DIMENSIONS, Emitter
from afterglow.measures import MEASURES
from afterglow.metrics import METRICS
from afterglow.records import KINDS, Environment, Record
from afterglow.window import MINUTE_MS, Series, Window

START_MS = 1_763_700_000_000
SERIES = Series("checkout", "7", "on-demand", 512, "arm64")
WHOLE = st.integers(min_value=-(2**53), max_value=2**53)
FINITE = st.floats(allow_nan=False, allow_infinity=False)

LEAVES: dict[type, st.SearchStrategy[Any]] = {
    str: st.text(max_size=20),
    int: WHOLE,
    float: FINITE | WHOLE,
    bool: st.booleans(),
    types.NoneType: st.none(),
}


def of_annotation(annotation: Any) -> st.SearchStrategy[Any]:
    """Values that fit one field's wire type."""
    origin, options = get_origin(annotation), get_args(annotation)
    if origin is list:
        return st.lists(of_annotation(options[0]), max_size=4)
    if origin is dict:
        return st.dictionaries(st.text(max_size=8), of_annotation(options[1]), max_size=4)
    if origin in (Union, types.UnionType):
        return st.one_of(*map(of_annotation, options))
    return LEAVES[annotation]


def record_of(kind: str) -> st.SearchStrategy[Record]:
    """Records of one kind: anything that the annotations allow."""
    hints = get_type_hints(KINDS[kind])
    return st.builds(KINDS[kind], **{name: of_annotation(hints[name]) for name in hints})


any_record = st.sampled_from(sorted(KINDS)).flatmap(record_of)

good_values = st.floats(min_value=0, max_value=MAX_VALUE) | st.integers(min_value=0, max_value=MAX_VALUE)

# Few of each, so that records meet in the same window; None and odd names among them.
environments = st.builds(
    Environment,
    env_id=st.text(max_size=4),
    function=st.sampled_from(["checkout", "Zahlung-für-Ümläute", "", " ", "x" * 2000]),
    version=st.sampled_from(["$LATEST", "7"]),
    memory_mb=st.sampled_from([None, 128, 1769]),
    arch=st.sampled_from(["x86_64", "arm64"]),
    init_type=st.sampled_from(["on-demand", "snap-start"]),
    runtime=st.none(),
    region=st.none(),
    agent=st.just("0.1.0"),
    started_at_ms=st.just(START_MS),
)

within_ten_minutes = st.integers(min_value=START_MS, max_value=START_MS + 600_000)


FIGURES = st.floats(min_value=0, max_value=1e6) | st.integers(0, 10**6) | good_values | st.just(-1)
COUNTS = st.integers(0, 10**10) | st.just(-1)
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: st.just("x"),
    bool: st.booleans(),
    float: FIGURES,
    float | None: FIGURES | st.none(),
    int: COUNTS,
    int | None: COUNTS | st.none(),
    str | None: st.none(),
    dict[str, int]: st.dictionaries(st.just("buffer-full"), COUNTS),
    dict[str, str]: st.just({}),
}
NAMED: dict[str, st.SearchStrategy[Any]] = {
    "at_ms": within_ten_minutes,
    "status": st.sampled_from(["ok", "error", "unfinished", "unknown"]),
    "changes": st.lists(st.sampled_from(["lingering", "resumed", "lost", "ended"]), unique=True),
}


def _plausible(kind: str) -> st.SearchStrategy[Record]:
    """Records of one kind within ten minutes; most figures are such that a metric can hold them."""
    hints = get_type_hints(KINDS[kind])
    return st.builds(KINDS[kind], **{name: NAMED[name] if name in NAMED else PLAIN[hints[name]] for name in hints})


measured_kinds = [cls.__name__.lower() for cls in MEASURES]

traffic = st.lists(st.tuples(environments, st.one_of(*map(_plausible, measured_kinds))), max_size=25)
"""(environment, record) pairs."""


@st.composite
def wide_windows(draw: st.DrawFn) -> Window:
    """One window whose distributions have up to some 300 bins, more than one document can hold."""
    window = Window(START_MS // MINUTE_MS, SERIES)
    random = draw(st.randoms(use_true_random=False))
    for name in draw(st.lists(st.sampled_from(sorted(METRICS)), unique=True)):
        add = window.adder(name)
        for _ in range(draw(st.sampled_from([1, 2, 99, 100, 101, 700]))):
            add(10 ** random.uniform(-4, 12))
    return window


metric_names = st.frozensets(st.sampled_from(sorted(METRICS)))

emitters = st.builds(
    Emitter,
    namespace=st.sampled_from(["Afterglow", "Team/Checkout"]),
    dimension_sets=st.lists(st.lists(st.sampled_from(sorted(DIMENSIONS)), max_size=5).map(tuple), max_size=3).map(
        tuple
    ),
    values=st.sampled_from(["distribution", "arrays"]),
    event_bytes=st.sampled_from([1, 3_000, 256_000]),
)
