"""How a command says that it cannot go on: one exception, with words for people and an exit status."""

USAGE = 2
"""Exit status for what the caller can mend on the command line, as argparse has it."""


class Failure(Exception):  # noqa: N818 - not an error in the program: an answer to its user
    """A message for the terminal, what to do about it included; the command ends with ``status``."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


def usage(message: str) -> Failure:
    """Return the Failure for a wrong argument."""
    return Failure(message, USAGE)
