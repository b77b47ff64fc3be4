"""Who may send, and for which functions: bearer tokens, several at once so that they can be changed one by one.

In: an Authorization header. Out: a Sender or None, after the same work whichever token it is and however much of it
is right: digests are compared, in constant time, with all tokens.

Tokens come from the environment and from a file. The file is read again when it changes; one that cannot be read,
or is empty, leaves the old tokens in force, and says so. In the file, names of functions may follow a token: it is
then good for sending their records, and for nothing else.

    0123456789abcdef0123456789abcdef
    fedcba9876543210fedcba9876543210  checkout  orders-*
"""

import logging
import os
from collections.abc import Iterable
from fnmatch import fnmatchcase
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import NamedTuple

LOG = logging.getLogger(__name__)

_SCHEME = b"bearer "
MIN_CHARACTERS = 16


class TokenError(ValueError):
    """A token file that cannot be used: says why. Never holds a token."""


class Sender(NamedTuple):
    """Whoever holds a token. ``functions`` are names, or patterns of names, that it is good for; none means all."""

    digest: bytes
    functions: tuple[str, ...]

    def may_send_for(self, function: str) -> bool:
        """Say whether it may send the function's records."""
        return not self.functions or any(fnmatchcase(function, pattern) for pattern in self.functions)


ANYBODY = Sender(b"", ())


class Tokens:
    """The tokens in force; none means that everybody may send."""

    def __init__(self, fixed: Iterable[str], file: Path | None) -> None:
        self._fixed = [_sender(_checked(token, "the environment"), ()) for token in fixed]
        self._file = file
        self._stamp: tuple[int, int, int] | None = None
        self._senders: list[Sender] = []
        self.load()

    def __len__(self) -> int:
        """Return how many tokens are in force; with none, none is asked for."""
        return len(self._senders)

    def allow(self, authorization: bytes) -> bool:
        """Say whether the header holds a token that is in force."""
        return self.sender_of(authorization) is not None

    def sender_of(self, authorization: bytes) -> Sender | None:
        """Return who holds the token that the header shows; None if it shows none that is in force."""
        if not self._senders:
            return ANYBODY
        if authorization[: len(_SCHEME)].lower() != _SCHEME:
            return None
        shown = sha256(authorization[len(_SCHEME) :].strip()).digest()
        found = [sender for sender in self._senders if compare_digest(shown, sender.digest)]
        return found[0] if found else None

    def load(self) -> None:
        """Read the file anew; TokenError, and the old tokens stay, when it cannot be used."""
        senders = [*self._fixed]
        if self._file is not None:
            self._stamp = self._stamp_now()
            senders += _read(self._file)
        self._senders = senders

    def refresh(self) -> None:
        """Read the file anew if it has changed."""
        if self._file is None or self._stamp_now() == self._stamp:
            return
        try:
            self.load()
        except TokenError as error:
            LOG.error("%s; the tokens of before stay in force", error)  # noqa: TRY400 - the file's fault, no bug's
        else:
            LOG.info("read %d tokens", len(self._senders))

    def _stamp_now(self) -> tuple[int, int, int] | None:
        assert self._file is not None  # noqa: S101 - the callers have looked
        try:
            status = os.stat(self._file)  # noqa: PTH116 - once a second
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino


def _read(file: Path) -> list[Sender]:
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TokenError(f"token file {file}: {error}") from None
    rows = [line.split() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not rows:
        raise TokenError(f"token file {file}: holds no token")
    senders = [_sender(_checked(token, f"token file {file}"), functions) for token, *functions in rows]
    if len({sender.digest for sender in senders}) < len(senders):
        raise TokenError(f"token file {file}: a token stands there twice; write all of its functions in one line")
    return senders


def _sender(token: str, functions: Iterable[str]) -> Sender:
    return Sender(sha256(token.encode()).digest(), tuple(functions))


def _checked(token: str, where: str) -> str:
    if len(token) < MIN_CHARACTERS or not token.isascii() or any(char.isspace() for char in token):
        raise TokenError(f"{where}: a token has at least {MIN_CHARACTERS} ASCII characters and no space in it")
    return token
