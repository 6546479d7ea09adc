"""Which pixels are meant: a mask that travels in messages."""

from __future__ import annotations

import zlib
from typing import Annotated, Any, Final

import numpy as np
from msgspec import Meta

from hal.base import BadInput, Record

_MOST_PX: Final = 2**16


class PackedMask(Record, frozen=True, kw_only=True):
    """Rows and columns of a mask, a bit each, and where on a sensor they are."""

    bits: bytes
    """Row after row, eight pixels a byte (the first one highest), then zlib."""
    height: Annotated[int, Meta(ge=1, le=_MOST_PX)]
    width: Annotated[int, Meta(ge=1, le=_MOST_PX)]
    roi_x_px: int = 0
    """First column, in unbinned pixels of the sensor."""
    roi_y_px: int = 0
    """First row."""
    binning: Annotated[int, Meta(ge=1)] = 1
    """Side of a pixel, in unbinned pixels of the sensor."""

    @classmethod
    def of(
        cls,
        mask: np.ndarray[Any, Any],
        *,
        roi_x_px: int = 0,
        roi_y_px: int = 0,
        binning: int = 1,
    ) -> PackedMask:
        """Return a mask of the shape `(height, width)`; what is not 0 is meant.

        Raises:
            BadInput: It is no image.
        """
        if mask.ndim != 2 or not mask.size or max(mask.shape) > _MOST_PX:
            raise BadInput(f"mask of shape {mask.shape}: expected (height, width)")
        return cls(
            bits=zlib.compress(np.packbits(mask.astype(bool)).tobytes(), 1),
            height=mask.shape[0],
            width=mask.shape[1],
            roi_x_px=roi_x_px,
            roi_y_px=roi_y_px,
            binning=binning,
        )

    def unpack(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return the mask, of the shape `(height, width)`.

        Raises:
            BadInput: There are more or fewer bits than pixels.
        """
        count = self.height * self.width
        # No more than that is unpacked, whatever a few bytes may pretend to be.
        unpacker = zlib.decompressobj()
        try:
            data = unpacker.decompress(self.bits, (count + 7) // 8 + 1)
        except zlib.error as exc:
            raise BadInput(f"mask of {self.width}x{self.height} px: {exc}") from exc
        if len(data) != (count + 7) // 8:
            raise BadInput(
                f"mask of {self.width}x{self.height} px: {len(data)} bytes, expected "
                f"{(count + 7) // 8}"
            )
        bits = np.unpackbits(np.frombuffer(data, np.uint8), count=count)
        return bits.reshape(self.height, self.width).astype(bool)
