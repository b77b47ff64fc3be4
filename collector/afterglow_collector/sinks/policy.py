"""How a sink is treated, and by which clocks. Plain values; the defaults are the service's."""

import random
import time
from collections.abc import Callable
from typing import NamedTuple

from afterglow_collector.sinks.allowance import UNLIMITED, Allowance
from afterglow_collector.sinks.backoff import Backoff
from afterglow_collector.sinks.breaker import BreakerPolicy


class Policy(NamedTuple):
    """How a sink is treated."""

    batch_entries: int = 200  # records come in batches of up to a body's size each, and all of them lie in memory
    backoff: Backoff = Backoff()
    breaker: BreakerPolicy = BreakerPolicy()
    allowance: Allowance = UNLIMITED


class Clocks(NamedTuple):
    """Monotonic seconds, Unix epoch seconds, and chance in [0, 1)."""

    monotonic_s: Callable[[], float] = time.monotonic
    wall_s: Callable[[], float] = time.time
    chance: Callable[[], float] = random.random
