"""Pictures as PNG files, without a package for it."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]


def write_png(path: Path, picture: Picture) -> None:
    """Write a picture of the shape (height, width) or (height, width, 3).

    The format is that of the PNG specification (W3C, 3rd edition), with 8 bits a
    sample and no filter.
    """
    height, width = picture.shape[:2]
    colour_type = 0 if picture.ndim == 2 else 2
    lines = np.ascontiguousarray(picture).reshape(height, -1)
    # Every line begins with the number of its filter.
    plain = np.concatenate([np.zeros((height, 1), np.uint8), lines], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(plain.tobytes(), 9))
        + _chunk(b"IEND", b"")
    )


def contrast(image: npt.NDArray[Any], low: float, high: float) -> Picture:
    """Return an image in grey, from black at `low` to white at `high`."""
    # The eye sees ratios: the root lets it see what is dim.
    part = np.clip((image.astype(float) - low) / max(high - low, 1e-12), 0.0, 1.0)
    return np.asarray(np.rint(255 * np.sqrt(part)), np.uint8)


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)
