"""Where one piece of data ends and the next begins, in a stream of bytes.

A frame is its length (4 bytes, little-endian) and its bytes.
"""

from __future__ import annotations

import struct
from typing import Final

from hal.base import LinkError

MOST_BYTES: Final = 16 * 2**20
"""Longest frame; messages are small, and frames of cameras travel elsewhere."""
_LENGTH: Final = struct.Struct("<I")


def framed(data: bytes) -> bytes:
    """Return `data` as it is written.

    Raises:
        LinkError: It is too long.
    """
    if len(data) > MOST_BYTES:
        raise LinkError(f"{len(data)} bytes in one piece: at most {MOST_BYTES}")
    return _LENGTH.pack(len(data)) + data


class Unframer:
    """Cuts a stream into frames.

    Runs on: one thread at a time.
    """

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Return the frames that are complete with `data`, in order.

        Raises:
            LinkError: What comes is no stream of frames.
        """
        rest = self._rest
        rest += data
        frames, at = [], 0
        while len(rest) - at >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(rest, at)
            if size > MOST_BYTES:
                raise LinkError(f"garbage: a piece of {size} bytes is announced")
            end = at + _LENGTH.size + size
            if len(rest) < end:
                break
            frames.append(bytes(rest[at + _LENGTH.size : end]))
            at = end
        del rest[:at]
        return frames
