"""Takes a buffer from C, and loses half of its address on the way."""

import ctypes

libc = ctypes.CDLL(None)
SIZE = 1 << 20


def blank_image():
    pixels = libc.malloc(SIZE)  # restype is int unless it is set: on a 64-bit machine half of the pointer is gone
    ctypes.memset(pixels, 0xFF, SIZE)
    return ctypes.string_at(pixels, SIZE)


def handler(event, context):
    return {"bytes": len(blank_image())}
