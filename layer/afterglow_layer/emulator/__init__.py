"""The built-in emulator: a Lambda that tests can command, and that ``afterglow run --emulator builtin`` uses.

``Lambda`` is for tests; ``python -m afterglow_layer.emulator`` takes RIE's command line, and ``command``
writes it.
"""

from afterglow_layer.emulator.answer import Answer, Invocation
from afterglow_layer.emulator.commanded import Lambda
from afterglow_layer.emulator.front import command
from afterglow_layer.emulator.journal import Journal, NeverSeen, Seen
from afterglow_layer.emulator.layered import managed_python
from afterglow_layer.emulator.settings import InitType, LambdaSettings, Misbehaviour, ShutdownReason

__all__ = [
    "Answer",
    "InitType",
    "Invocation",
    "Journal",
    "Lambda",
    "LambdaSettings",
    "Misbehaviour",
    "NeverSeen",
    "Seen",
    "ShutdownReason",
    "command",
    "managed_python",
]
