"""Where the service listens: an address, a Unix socket, TLS. In: words. Out: sockets and an SSL context.

A collector without tokens listens on this machine alone: what it takes in becomes metrics that people act on, and
are billed for.
"""

import errno
import os
import socket
import ssl
import stat
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import NamedTuple

BACKLOG = 1024


class ListenError(Exception):
    """It cannot listen there: says why. ``usage``: no such place can be meant."""

    def __init__(self, words: str, *, usage: bool = False) -> None:
        super().__init__(words)
        self.usage = usage


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
        if self.path is not None or self.host.lower() == "localhost":
            return True
        try:
            address = ip_address(self.host)
        except ValueError:
            return False
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None  # ::ffff:127.0.0.1
        return (mapped or address).is_loopback


def parse_address(text: str) -> Address:
    """Return what HOST:PORT, [IPV6]:PORT or unix:PATH means."""
    if text.startswith("unix:") and len(text) > len("unix:"):
        return Address("", 0, text.removeprefix("unix:"))
    host, colon, port = text.rpartition(":")
    if not colon or not host.strip("[]") or not port.isdecimal() or int(port) > 65535:
        raise ListenError(f"--listen {text!r} is neither HOST:PORT nor unix:PATH", usage=True)
    return Address(host.strip("[]"), int(port), None)


def check_access(address: Address, *, tokens: bool, insecure: bool) -> None:
    """Refuse to take records from anybody who can reach us, unless that is what is wanted."""
    if not (address.local or tokens or insecure):
        raise ListenError(
            f"--listen {address.host}:{address.port} can be reached from other machines, and no tokens are set: "
            "set --token-file or AFTERGLOW_COLLECT_TOKENS, or say --insecure"
        )


class Certificates:
    """The certificate in force. ``context`` is the server's for ever; which certificate it shows, each handshake asks.

    A certificate is read into a context of its own, and comes into force when that is good: what cannot be used leaves
    what is in force as it was.
    """

    def __init__(self, cert: Path, key: Path | None) -> None:
        self._cert, self._key = cert, key
        self._shown = self.context = self._read()
        self.context.sni_callback = self._show

    def load(self) -> None:
        """Read the files anew; ListenError, and nothing changes, when they cannot be used."""
        self._shown = self._read()

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self._cert, self._key, password=_no_password)
        except (OSError, ssl.SSLError, ValueError) as error:
            raise ListenError(f"--tls-cert {self._cert}: {error}") from None
        return context

    def _show(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        """Show what is in force. Called in each handshake, whether or not the client names a server."""
        connection.context = self._shown


def _no_password() -> str:
    """Keep OpenSSL from asking for one on the terminal."""
    raise ValueError("the private key is encrypted; the collector takes it plain")


def tls_context(cert: Path | None, key: Path | None) -> Certificates | None:
    """Return what holds the TLS context; None without a certificate."""
    if cert is None:
        if key is not None:
            raise ListenError("--tls-key needs --tls-cert", usage=True)
        return None
    return Certificates(cert, key)


def open_socket(address: Address) -> tuple[socket.socket, Address]:
    """Return a listening socket, and the address with the port that it got."""
    try:
        if address.path is not None:
            return _unix_socket(address.path), address
        family, _, _, _, where = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(where[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        raise ListenError(f"--listen {address.shown('http')}: {error.strerror or error}") from None
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
