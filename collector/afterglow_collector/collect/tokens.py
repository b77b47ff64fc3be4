"""Who may send: bearer tokens, several at once so that they can be changed one after the other.

In: an Authorization header. Out: yes or no, after the same work whichever token it is and however much of it is
right: digests are compared, in constant time, with all tokens.

Tokens come from the environment and from a file. The file is read again when it changes; one that cannot be read,
or is empty, leaves the old tokens in force, and says so.
"""

import logging
import os
from collections.abc import Iterable
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path

LOG = logging.getLogger(__name__)

_SCHEME = b"bearer "
MIN_CHARACTERS = 16


class TokenError(ValueError):
    """A token file that cannot be used: says why. Never holds a token."""


class Tokens:
    """The tokens in force; none means that everybody may send."""

    def __init__(self, fixed: Iterable[str], file: Path | None) -> None:
        self._fixed = [_checked(token, "the environment") for token in fixed]
        self._file = file
        self._stamp: tuple[int, int, int] | None = None
        self._digests: list[bytes] = []
        self.load()

    def __bool__(self) -> bool:
        """Say whether a token is asked for."""
        return bool(self._digests)

    def allow(self, authorization: bytes) -> bool:
        """Say whether the header holds a token that is in force."""
        if not self._digests:
            return True
        if authorization[: len(_SCHEME)].lower() != _SCHEME:
            return False
        shown = sha256(authorization[len(_SCHEME) :].strip()).digest()
        return sum([compare_digest(shown, digest) for digest in self._digests]) > 0

    def load(self) -> None:
        """Read the file anew; TokenError, and the old tokens stay, when it cannot be used."""
        tokens = [*self._fixed]
        if self._file is not None:
            self._stamp = self._stamp_now()
            tokens += _read(self._file)
        self._digests = [sha256(token.encode()).digest() for token in tokens]

    def refresh(self) -> None:
        """Read the file anew if it has changed."""
        if self._file is None or self._stamp_now() == self._stamp:
            return
        try:
            self.load()
        except TokenError as error:
            LOG.error("%s; the tokens of before stay in force", error)  # noqa: TRY400 - the file's fault, no bug's
        else:
            LOG.info("read %d tokens", len(self._digests))

    def _stamp_now(self) -> tuple[int, int, int] | None:
        assert self._file is not None  # noqa: S101 - the callers have looked
        try:
            status = os.stat(self._file)  # noqa: PTH116 - once a second
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino


def _read(file: Path) -> list[str]:
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TokenError(f"token file {file}: {error}") from None
    tokens = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not tokens:
        raise TokenError(f"token file {file}: holds no token")
    return [_checked(token, f"token file {file}") for token in tokens]


def _checked(token: str, where: str) -> str:
    if len(token) < MIN_CHARACTERS or not token.isascii() or any(char.isspace() for char in token):
        raise TokenError(f"{where}: a token has at least {MIN_CHARACTERS} ASCII characters and no space in it")
    return token
