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
    host, colon, port = host_port.partition(":")
    if scheme not in ("http", "https") or not separator or not host or (colon and not port.isdigit()):
        raise ValueError(text)
    default = 443 if scheme == "https" else 80
    return Address(scheme, host, int(port) if colon else default, slash + path if path else "/v1/records")
