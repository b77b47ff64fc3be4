"""Where the service listens: an address, a Unix socket, TLS. In: words. Out: sockets and an SSL context.

A collector without tokens listens on this machine alone: what it takes in becomes metrics that people act on, and
are billed for.
"""

import errno
import os
import socket
import ssl
import stat
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

BACKLOG = 1024


class ListenError(Exception):
    """It cannot listen there: says why."""


class Address(NamedTuple):
    """An address, or the path of a Unix socket."""

    host: str
    port: int
    path: str | None

    def shown(self, scheme: str) -> str:
        """Return it as a client would write it."""
        if self.path is not None:
            return f"unix:{self.path}"
        return f"{scheme}://[{self.host}]:{self.port}" if ":" in self.host else f"{scheme}://{self.host}:{self.port}"

    @property
    def local(self) -> bool:
        """Say whether only this machine can reach it."""
        if self.path is not None or self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_address(text: str) -> Address:
    """Return what HOST:PORT, [IPV6]:PORT or unix:PATH means."""
    if text.startswith("unix:") and len(text) > len("unix:"):
        return Address("", 0, text.removeprefix("unix:"))
    host, colon, port = text.rpartition(":")
    if not colon or not host.strip("[]") or not port.isdecimal() or int(port) > 65535:
        raise ListenError(f"--listen {text!r} is neither HOST:PORT nor unix:PATH")
    return Address(host.strip("[]"), int(port), None)


def check_access(address: Address, *, tokens: bool, insecure: bool) -> None:
    """Refuse to take records from anybody who can reach us, unless that is what is wanted."""
    if not (address.local or tokens or insecure):
        raise ListenError(
            f"--listen {address.host}:{address.port} can be reached from other machines, and no tokens are set: "
            "set --token-file or AFTERGLOW_COLLECT_TOKENS, or say --insecure"
        )


def tls_context(cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """Return the TLS context, None without a certificate."""
    if cert is None:
        if key is not None:
            raise ListenError("--tls-key needs --tls-cert")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load_certificate(context, cert, key)
    return context


def load_certificate(context: ssl.SSLContext, cert: Path, key: Path | None) -> None:
    """Read the certificate; connections made from now on get it."""
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise ListenError(f"--tls-cert {cert}: {error}") from None


def open_socket(address: Address) -> tuple[socket.socket, Address]:
    """Return a listening socket, and the address with the port that it got."""
    try:
        if address.path is not None:
            return _unix_socket(address.path), address
        family, _, _, _, where = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(where[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        raise ListenError(f"--listen {address.shown('http')}: {error.strerror}") from None
    listener.setblocking(False)
    return listener, address._replace(port=listener.getsockname()[1])


def _unix_socket(path: str) -> socket.socket:
    """Bind a Unix socket for this user alone, in place of one that nobody listens on any more."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        try:
            listener.bind(path)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not _abandoned(path):
                raise
            Path(path).unlink()
            listener.bind(path)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


def _abandoned(path: str) -> bool:
    if not stat.S_ISSOCK(os.stat(path).st_mode):  # noqa: PTH116 - one call for what is there
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(path) == errno.ECONNREFUSED
