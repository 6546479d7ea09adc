"""Which part of the sample a camera looks at, and how finely."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.float32]


@dataclass(frozen=True)
class View:
    """The region of a sensor that is read out, by what it shows.

    Columns grow with x and rows with y. The optical axis meets the middle of the whole
    sensor, so that a region shows what the sensor shows there. The stage's position is
    the place of the sample in the middle: when it moves by +10 um in x, the image moves
    by 10 um to the left.
    """

    sensor: tuple[int, int]
    """Columns and rows of the whole sensor."""
    roi: tuple[int, int, int, int]
    """First column, first row, columns, rows; unbinned."""
    binning: int
    pixel_um: float
    """Size of an unbinned pixel in the sample."""

    @property
    def width(self) -> int:
        """Unbinned columns that count: a whole number of binned pixels."""
        return self.roi[2] // self.binning * self.binning

    @property
    def height(self) -> int:
        """Unbinned rows that count."""
        return self.roi[3] // self.binning * self.binning

    @property
    def left_um(self) -> float:
        """Left edge, from the optical axis."""
        return (self.roi[0] - self.sensor[0] / 2) * self.pixel_um

    @property
    def top_um(self) -> float:
        """Upper edge, from the optical axis."""
        return (self.roi[1] - self.sensor[1] / 2) * self.pixel_um

    def binned(self, image: Image) -> Image:
        """Return an unbinned image with the light of each binned pixel added up."""
        if self.binning == 1:
            return image
        height, width = self.height // self.binning, self.width // self.binning
        blocks = image.reshape(height, self.binning, width, self.binning)
        return np.asarray(blocks.sum(axis=(1, 3), dtype=np.float32))
