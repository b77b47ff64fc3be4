"""What the platform says of itself. In: the Telemetry API's answer and events. Out: changes in the books."""

import time

from afterglow import deadlines
from afterglow.parts import Parts
from afterglow.platform import Said, translate
from afterglow.teller import agent_cpu_ms


def read_telemetry(parts: Parts, ready: set[int] | None = None) -> None:
    """Take in everything that has arrived from the platform; ``ready``: the descriptors that poll has found so."""
    subscription = parts.subscription
    if subscription is None:
        return
    if subscription.sock is not None:
        subscription.read()
        if subscription.listener is None:
            parts.listener.close()
    if ready is not None and ready.isdisjoint(parts.listener.descriptors()):
        return
    for event in parts.listener.read():
        said = translate(event)
        if said is not None:
            _take(parts, said)


def _take(parts: Parts, said: Said) -> None:
    if said.about == "logs":
        parts.teller.lose("telemetry", f"dropped by Lambda: {said.fields['reason']}", int(said.fields["count"]))
    elif not parts.recorder.said(said):
        parts.listener.drop("too-late", seen=False)
    elif said.about == "init":
        parts.teller.init_type = said.fields.get("init_type", parts.teller.init_type)
        deadlines.expect_init(parts, time.monotonic_ns())  # phase: invoke has other limits
    elif said.fields.get("started") and not parts.gets_invokes and parts.recorder.hello is None:
        parts.recorder.begin(said.about, time.monotonic_ns(), agent_cpu_ms())  # nobody else will tell
