"""What a projector promises: mirrors, or the like, that light parts of a field."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from hal.base import BadInput, DeviceError, Float, LimitError
from hal.devices._motion import WaitingDevice

Mask = np.ndarray[Any, np.dtype[np.bool_]]
"""Array of shape `(height_px, width_px)`: True lets light through."""
LONGEST_S = 3600.0


class Projector(WaitingDevice):
    """Lets light through where a mask says, for a time; dark otherwise.

    There is no way to leave a mask standing: what lights the sample for a given time
    must not depend on who else is busy when that time is over. `halt` and `safe_state`
    make it dark.

    Where a pixel of a camera is on the projector is a calibration, six numbers: column
    `x_per_x * x + x_per_y * y + x_offset_px` and row `y_per_x * x + y_per_y * y +
    y_offset_px` of the projector, for column x and row y of the camera's whole sensor,
    unbinned; the centre of the first pixel is (0, 0) on both.

    Runs on: worker; `halt` any.
    """

    x_per_x = Float(1.0, low=-1e4, high=1e4, help="Projector columns a sensor column.")
    x_per_y = Float(0.0, low=-1e4, high=1e4, help="Projector columns a sensor row.")
    x_offset_px = Float(
        0.0,
        unit="px",
        low=-1e6,
        high=1e6,
        help="Projector column of the first pixel.",
    )
    y_per_x = Float(0.0, low=-1e4, high=1e4, help="Projector rows a sensor column.")
    y_per_y = Float(1.0, low=-1e4, high=1e4, help="Projector rows a sensor row.")
    y_offset_px = Float(
        0.0, unit="px", low=-1e6, high=1e6, help="Projector row of the first pixel."
    )
    switch_timeout_s = Float(
        1.0, unit="s", low=0.0, high=600.0, help="Longest time a change may take."
    )

    @property
    @abstractmethod
    def height_px(self) -> int:
        """Rows of pixels it has; known without a connection."""

    @property
    @abstractmethod
    def width_px(self) -> int:
        """Columns of pixels it has."""

    def project(self, mask: Mask, duration_s: float) -> None:
        """Let light through where `mask` is True, and return when all is dark again.

        Args:
            mask: `(height_px, width_px)`.
            duration_s: From all of the mask being there to its end.

        Raises:
            BadInput: The mask has another shape; nothing was lit.
            LimitError: Not a time above 0, of an hour at most; nothing was lit.
            DeviceError: The instrument says otherwise after `switch_timeout_s`.
            Halted: Ended by `halt`; it is dark.
            StateError: Not open.
        """
        self._require_open()
        if mask.shape != (self.height_px, self.width_px):
            raise BadInput(
                f"mask of shape {mask.shape}: expected "
                f"{(self.height_px, self.width_px)}, which is that of the projector"
            )
        if not 0.0 < duration_s <= LONGEST_S:  # NaN as well
            raise LimitError(
                f"duration_s={duration_s:g}: expected above 0, {LONGEST_S:g} s at most",
                duration_s=duration_s,
            )
        self._begin()
        try:
            self._do_show(mask, duration_s)
            self._halt_again()
            if not self._poll(lambda: not self._do_is_dark(), self.switch_timeout_s):
                raise DeviceError(f"{type(self).__name__}: dark, expected a mask")
            self._poll(lambda: False, duration_s)
        finally:
            self._do_clear()
        if not self._poll(self._do_is_dark, self.switch_timeout_s):
            raise DeviceError(f"{type(self).__name__}: lit, expected dark")

    def is_dark(self) -> bool:
        """Return whether the instrument says that no light comes through.

        Raises:
            StateError: Not open.
        """
        self._require_open()
        return self._do_is_dark()

    def time_to_project_s(self, duration_s: float) -> float:
        """Return how long `project` takes. See `times_are_exact`."""
        return duration_s + 2 * self.switch_timeout_s

    def safe_state(self) -> None:
        """Make it dark, and make sure that it is.

        Raises:
            DeviceError: The instrument says that it is lit.
        """
        self.halt()
        if self._open:
            self._halt.clear()
            self._do_clear()
            if not self._poll(self._do_is_dark, self.switch_timeout_s):
                raise DeviceError(f"{type(self).__name__}: lit, expected dark")

    def from_sensor(
        self, mask: Mask, roi_x_px: int, roi_y_px: int, binning: int
    ) -> Mask:
        """Return the mask of the projector for one of a camera, by the calibration.

        A pixel of the projector is lit where its centre falls onto a pixel that is.

        Args:
            mask: In pixels of an image.
            roi_x_px: Its first column, in unbinned pixels of the sensor.
            roi_y_px: Its first row.
            binning: Side of a pixel, in unbinned pixels.

        Raises:
            DeviceError: The calibration maps the camera onto a line or a point.

        Runs on: any.
        """
        forward = np.array([[self.x_per_x, self.x_per_y], [self.y_per_x, self.y_per_y]])
        if abs(np.linalg.det(forward)) < 1e-12:
            raise DeviceError(
                f"{type(self).__name__}: its calibration cannot be inverted: "
                f"x_per_x={self.x_per_x:g} x_per_y={self.x_per_y:g} "
                f"y_per_x={self.y_per_x:g} y_per_y={self.y_per_y:g}"
            )
        back = np.linalg.inv(forward)
        x = np.arange(self.width_px)[None, :] - self.x_offset_px
        y = np.arange(self.height_px)[:, None] - self.y_offset_px
        column = _pixel(back[0, 0] * x + back[0, 1] * y, roi_x_px, binning)
        row = _pixel(back[1, 0] * x + back[1, 1] * y, roi_y_px, binning)
        height, width = mask.shape
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        lit: Mask = np.zeros((self.height_px, self.width_px), bool)
        lit[inside] = mask[row[inside], column[inside]]
        return lit

    @abstractmethod
    def _do_show(self, mask: Mask, duration_s: float) -> None:
        """Order the mask; `_do_clear` follows after `duration_s`, or before."""

    @abstractmethod
    def _do_clear(self) -> None:
        """Order darkness; harmless when it is dark."""

    @abstractmethod
    def _do_is_dark(self) -> bool:
        """Ask whether no light comes through."""

    @abstractmethod
    def _do_halt(self) -> None:
        """Make it dark, now; harmless when it is and when not open.

        Runs on: any, also during another hook, whose locks it does not take.
        """


def _pixel(
    at_px: np.ndarray[Any, Any], first_px: int, binning: int
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return which pixel of an image a place on the sensor is in."""
    return np.floor((at_px + 0.5 - first_px) / binning).astype(np.int64)
