"""What a request carries. In: a body as it came. Out: the body unpacked, and the orders that it names."""

import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from io import BufferedIOBase

UNPACK: dict[str | None, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "deflate": zlib.decompress}


def names_in(data: bytes) -> list[str]:
    """Return the words order-N in it, each once, in order."""
    return sorted({name.decode() for name in re.findall(rb"order-\d+", data)})


def unpacked(body: bytes, encoding: str | None) -> bytes:
    """Return the body as it was before its Content-Encoding, or as it is where that fails."""
    try:
        return UNPACK.get(encoding, bytes)(body)
    except (OSError, EOFError, zlib.error):
        return body


def chunks(stream: BufferedIOBase) -> Iterator[bytes]:
    """Read a body in chunked encoding."""
    while size := int(stream.readline().split(b";")[0].strip() or b"0", 16):
        yield stream.read(size)
        stream.readline()
    stream.readline()
