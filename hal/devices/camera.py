"""What a camera promises."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hal.base import Float, Int, ParameterError, StateError, Text, Value
from hal.devices.device import Device


class FrameStamp(NamedTuple):
    """What the hardware says about one frame."""

    counter: int | None
    """The camera's own frame counter from 0 at `start`; None where it has none."""
    hardware_s: float | None
    """The camera's own clock, seconds; None where it has none."""


class Camera(Device):
    """Delivers frames of fixed shape and dtype between `start` and `stop`.

    Runs on: worker for everything, except that between `start` and `stop` of a film the
    grab loop (camera thread) owns the driver and alone calls it.
    """

    exposure_s = Float(0.01, unit="s", low=0.0, high="max_exposure_s", help="Exposure.")
    roi_x_px = Int(
        0, unit="px", low=0, help="First column of the region read out, unbinned."
    )
    roi_y_px = Int(
        0, unit="px", low=0, help="First row of the region read out, unbinned."
    )
    roi_width_px = Int(
        0, unit="px", low=0, help="Columns read out, unbinned; 0 for all that remain."
    )
    roi_height_px = Int(
        0, unit="px", low=0, help="Rows read out, unbinned; 0 for all that remain."
    )
    binning = Int(1, low=1, high="max_binning", help="Pixels combined along each axis.")
    pixel_size_um = Float(
        0.1, unit="um", low=1e-3, high=1e3, help="Size of an unbinned pixel in sample."
    )
    extension = Text("", help="Added to file names; needed only to tell cameras apart.")

    max_exposure_s: float = 60.0
    max_binning: int = 8

    @property
    @abstractmethod
    def sensor_width_px(self) -> int:
        """Columns of the sensor."""

    @property
    @abstractmethod
    def sensor_height_px(self) -> int:
        """Rows of the sensor."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a pixel."""
        return np.dtype(np.uint16)

    @property
    def roi(self) -> tuple[int, int, int, int]:
        """First column, first row, columns, rows; unbinned, zeros resolved."""
        return self._resolve(self.values())

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Shape (height, width) of the next film's frames, in binned pixels."""
        _, _, width, height = self.roi
        return height // self.binning, width // self.binning

    def frame_period_s(self) -> float:
        """Return the time from one frame of a film to the next.

        By default that is the exposure. Needs no open device.
        """
        return self.exposure_s

    def arm(self) -> None:
        """Get ready for the next film; whatever triggers it may come from now on.

        The cameras of a run are all armed before the first of them is started.

        Raises:
            StateError: Not open, or running.
        """
        self._require_open()

    @abstractmethod
    def start(self, frames: int | None) -> None:
        """Begin to expose: `frames` frames, or until `stop` when None.

        Raises:
            StateError: Not open, or running already.
        """

    @abstractmethod
    def read_into(
        self, out: np.ndarray[Any, Any], timeout_s: float
    ) -> FrameStamp | None:
        """Copy the next frame, in order and once each, into `out`.

        Runs on: camera.

        Args:
            out: Array of `frame_shape` and `dtype`.
            timeout_s: How long to wait for it.

        Returns:
            Its stamp, or None when no frame came within `timeout_s`.

        Raises:
            DeviceError: The camera failed; no more frames will come.
        """

    @abstractmethod
    def stop(self) -> None:
        """Stop exposing; harmless when not running."""

    # -- frames for the events of a plan: asked for one by one ------------------------

    def begin_requests(self) -> None:
        """Get ready to expose whenever `request` says so; `arm` came before.

        Most cameras have nothing to do: each request is a short film.

        Raises:
            StateError: Not open, or running.
        """
        self._require_open()

    def request(self, first: int, count: int) -> None:
        """Begin to expose `count` frames, now; fetch them with `read_into`.

        Their stamps count from 0 with each request.

        Args:
            first: Index of the first of them among all frames of the run.
            count: How many, one after the other without a pause.

        Raises:
            StateError: Not open, or what was requested before was not ended.
        """
        self.start(count)

    def end_request(self) -> None:
        """Have nothing of the last request left to come; harmless without one."""
        self.stop()

    def end_requests(self) -> None:
        """Be idle again; harmless when it is."""
        self.stop()

    @property
    def has_companions(self) -> bool:
        """Whether `write_companions` has something to write for the next film."""
        return False

    def write_companions(self, stem: Path) -> tuple[Path, ...]:
        """Write what only the camera knows of its last film beside it.

        Most cameras know nothing; a simulated one may know what was really there.

        Args:
            stem: Path of the film's files without their endings; add an ending to it.

        Returns:
            The files written.

        Raises:
            DeviceError: They cannot be written.
        """
        return ()

    def check_together(self, values: Mapping[str, Value]) -> None:
        x, y, width, height = self._resolve(values)
        if x + width > self.sensor_width_px or y + height > self.sensor_height_px:
            raise ParameterError(
                f"region of {width}x{height} px at ({x}, {y}) does not fit the "
                f"sensor of {self.sensor_width_px}x{self.sensor_height_px} px"
            )
        binning = int(values["binning"])
        if width < binning or height < binning:
            raise ParameterError(
                f"region of {width}x{height} px is smaller than one pixel binned "
                f"{binning}x{binning}"
            )

    def _resolve(self, values: Mapping[str, Value]) -> tuple[int, int, int, int]:
        x, y = int(values["roi_x_px"]), int(values["roi_y_px"])
        width = int(values["roi_width_px"]) or self.sensor_width_px - x
        height = int(values["roi_height_px"]) or self.sensor_height_px - y
        return x, y, width, height

    def _check_out(self, out: np.ndarray[Any, Any]) -> None:
        if out.shape != self.frame_shape or out.dtype != self.dtype:
            raise StateError(
                f"read_into: got {out.shape} {out.dtype}, "
                f"expected {self.frame_shape} {self.dtype}"
            )
