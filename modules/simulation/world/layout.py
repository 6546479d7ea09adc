"""Where each number of a world's state stands in its file.

A state file is what all drivers of one world share, whatever process they run in::

    header    4,096 bytes     magic, then the world's parameters as JSON
    devices   64 x 512        one slot per device, written by that device alone
    journal   4,097 x 512     the count of exposures, then the last 4,096 of them
    spots     16,384 x 128    how much light each part of the sample has had
    masked    n x 8,704       light that a projector has let onto parts of a field

The last one grows, and is not mapped; all others have their size from the beginning.
The count of exposures has that of the masked ones with it, as `since`.

All numbers are little-endian. Every block of the file is written when it is made:
writing to a hole through a mapping on a full disk would kill the process.
"""

from __future__ import annotations

from typing import Final

import numpy as np

MAGIC: Final = b"HAL world 1\n"
HEADER_BYTES: Final = 4096
DEVICES: Final = 64
"""The most devices one world has room for."""
NUMBERS: Final = 16
"""The most numbers one device publishes."""
DYES: Final = 8
"""The most kinds of dye, each with a dose of its own."""
WHEELS: Final = 8
"""The most filter wheels."""
JOURNAL: Final = 4096
"""Exposures a following camera may lag behind."""
SPOTS: Final = 16_384
"""Parts of the sample that can be illuminated in the life of one state file."""
MASK_PX: Final = 256
"""The most rows and columns a projector has."""
MASKED: Final = 100_000
"""The most masked exposures in the life of one state file."""
NAME_BYTES: Final = 64
NOTE_BYTES: Final = 160

# Two banks: the writer fills the one nobody reads, then counts `version` up by one,
# so that a writer that is killed half-way leaves the last complete values.
DEVICE: Final = np.dtype(
    [
        ("name", f"S{NAME_BYTES}"),
        ("kind", "S16"),
        ("note", f"S{NOTE_BYTES}"),
        ("ordinal", "<i8"),
        ("version", "<u8"),
        ("banks", "<f8", (2, NUMBERS)),
    ]
)
EXPOSURE: Final = np.dtype(
    [
        ("number", "<i8"),
        ("camera", "<i8"),
        ("film", "<i8"),
        ("frame", "<i8"),
        ("spot", "<i8"),
        ("since", "<i8"),
        ("exposure_s", "<f8"),
        ("clock_s", "<f8"),
        ("x_um", "<f8"),
        ("y_um", "<f8"),
        ("z_um", "<f8"),
        ("dose", "<f8", (DYES,)),
        ("gain", "<f8", (DYES,)),
        ("low_nm", "<f8", (WHEELS,)),
        ("high_nm", "<f8", (WHEELS,)),
        ("spare", "<f8", (21,)),
    ]
)
SPOT: Final = np.dtype(
    [
        ("column", "<i4"),
        ("row", "<i4"),
        ("used", "<u8"),
        ("dose", "<f8", (DYES,)),
        ("spare", "<f8", (6,)),
    ]
)
MASKED_EXPOSURE: Final = np.dtype(
    [
        ("number", "<i8"),
        # The last exposure of a camera before it.
        ("after", "<i8"),
        ("rows", "<i8"),
        ("columns", "<i8"),
        # Its middle in the sample, drift included, and the size of its pixels.
        ("x_um", "<f8"),
        ("y_um", "<f8"),
        ("pixel_um", "<f8"),
        ("gain", "<f8", (DYES,)),
        ("spare", "<f8", (49,)),
        ("mask", "u1", (MASK_PX * MASK_PX // 8,)),
    ]
)
assert MASKED_EXPOSURE.itemsize == 8704
assert DEVICE.itemsize == EXPOSURE.itemsize == 512
assert SPOT.itemsize == 128

DEVICES_AT: Final = HEADER_BYTES
JOURNAL_AT: Final = DEVICES_AT + DEVICES * DEVICE.itemsize
SPOTS_AT: Final = JOURNAL_AT + (JOURNAL + 1) * EXPOSURE.itemsize
SIZE: Final = SPOTS_AT + SPOTS * SPOT.itemsize
"""Bytes of a state file before any masked exposure."""


def place_of(number: int) -> int:
    """Return where in the journal exposure `number` stands, or stood."""
    return 1 + number % JOURNAL
