"""Whether an invocation that came to a bad end had computed or waited.

In: its ending, and the samples of the run document. Out: CPU against time. Pure.
"""

from typing import Any, NamedTuple

MOSTLY = 0.5  # of one core: it computed
HARDLY = 0.1  # it waited


class Busy(NamedTuple):
    """CPU of the function's processes between the first and the last look."""

    cpu_ms: float
    span_ms: float

    @property
    def computes(self) -> bool:
        """Whether a core was taken most of the time."""
        return self.cpu_ms > MOSTLY * self.span_ms

    @property
    def waits(self) -> bool:
        """Whether hardly any CPU was taken."""
        return self.cpu_ms < HARDLY * self.span_ms


def busy_before(ending: dict[str, Any], samples: list[dict[str, Any]]) -> Busy | None:
    """Return the CPU of the invocation; None where too little was seen of it."""
    looks = [
        sample
        for sample in samples
        if sample["environment"] == ending["environment"]
        and sample["request_index"] == ending["index"]
        and sample["function_cpu_ms"] is not None
    ]
    if ending["status"] != "timeout" or ending["index"] is None or len(looks) < 2:
        return None
    cpu_ms = looks[-1]["function_cpu_ms"] - looks[0]["function_cpu_ms"]
    return Busy(max(0.0, cpu_ms), looks[-1]["at_ms"] - looks[0]["at_ms"])
