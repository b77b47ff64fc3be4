"""Where a collector is. In: the setting's text. Out: an Address, or ValueError."""

from typing import NamedTuple


class Address(NamedTuple):
    """Where the collector is. ``scheme`` is http, https or unix; ``host`` of a unix one is its path."""

    scheme: str
    host: str
    port: int
    path: str


def parse_address(text: str) -> Address:
    """Return the address of ``http://…``, ``https://…`` or ``unix:/…``; ValueError if it is none of them."""
    if text.startswith("unix:/"):
        return Address("unix", text[5:], 0, "/v1/records")
    scheme, separator, rest = text.partition("://")
    host_port, slash, path = rest.partition("/")
    host, port = _host_and_port(host_port)
    wrong_port = port is not None and not (port.isdecimal() and port.isascii() and 0 < int(port) < 65536)
    wrong_host = not host or "@" in host  # credentials: AFTERGLOW_COLLECTOR_TOKEN has its own place, and is not logged
    if scheme not in ("http", "https") or not separator or wrong_host or wrong_port or not text.isprintable():
        raise ValueError(text)
    default = 443 if scheme == "https" else 80
    return Address(scheme, host, default if port is None else int(port), slash + path if path else "/v1/records")


def _host_and_port(text: str) -> tuple[str, str | None]:
    """Return both parts; a host in brackets is an IPv6 address."""
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            return "", None
        return host, port[1:] if port else None
    host, colon, port = text.partition(":")
    return host, port if colon else None
