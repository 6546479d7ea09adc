"""A simulated camera."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hal.base import Clock, Float, Int, ParameterError, StateError, SystemClock, Value
from hal.devices import Camera, FrameStamp
from modules.simulation._pattern import Pattern, index_in


@dataclass
class _Film:
    """What goes on between `start` and `stop`."""

    pattern: Pattern
    frames: float
    """How many are asked for; infinity for no end."""
    begun_s: float
    period_s: float
    index: int = 0
    """Of the next frame."""


class SimCamera(Camera):
    """Films spots that drift over a grainy background, in real time.

    A pixel depends on seed, frame index, region and binning only, so equal films are
    equal to the byte. The first four pixels of a frame hold its index, 16 bits each,
    lowest first; `frame_index_of` reads them. Frames nobody fetches wait, none is lost.

    Runs on: as `Camera`; `halt` any.
    """

    is_simulated: ClassVar[bool] = True

    width_px = Int(2048, unit="px", low=1, high=16_384, help="Columns of the sensor.")
    height_px = Int(2048, unit="px", low=1, high=16_384, help="Rows of the sensor.")
    seed = Int(1, low=0, help="What the sample looks like.")
    max_fps = Float(
        1000.0, unit="1/s", low=1e-3, high=1e6, help="Frame rate at short exposures."
    )

    clock: Clock = SystemClock()
    """Where time comes from; tests put a `FakeClock` on the instance."""

    def __init__(self, **values: Value) -> None:
        super().__init__(**values)
        self._film: _Film | None = None
        self._pattern: tuple[tuple[object, ...], Pattern] | None = None

    @staticmethod
    def frame_index_of(frame: np.ndarray[Any, Any]) -> int:
        """Return the index that is written into the first pixels of `frame`.

        Frames of fewer than four pixels hold only as many times 16 bits of it.
        """
        return index_in(frame)

    @property
    def sensor_width_px(self) -> int:
        """Columns of the sensor."""
        return self.width_px

    @property
    def sensor_height_px(self) -> int:
        """Rows of the sensor."""
        return self.height_px

    def start(self, frames: int | None) -> None:
        self._require_open()
        if self._film is not None:
            raise StateError(f"{type(self).__name__} is running already")
        if frames is not None and frames < 0:
            raise StateError(f"start({frames}): expected a count of frames, or None")
        self._halt.clear()
        pattern = self._prepared()
        self._film = _Film(
            pattern=pattern,
            frames=math.inf if frames is None else frames,
            begun_s=self.clock.monotonic_s(),
            period_s=max(self.exposure_s, 1 / self.max_fps),
        )

    def read_into(
        self, out: np.ndarray[Any, Any], timeout_s: float
    ) -> FrameStamp | None:
        self._require_open()
        film = self._film
        if film is None:
            raise StateError(f"{type(self).__name__} is not running")
        self._check_out(out)
        exposed_s = (film.index + 1) * film.period_s
        wait_s = math.inf
        if film.index < film.frames:
            wait_s = film.begun_s + exposed_s - self.clock.monotonic_s()
        if wait_s > 0.0:
            self.clock.wait(self._halt, min(wait_s, timeout_s))
        self._check_halt()
        if wait_s > timeout_s:
            return None
        film.pattern.draw(film.index, out)
        stamp = FrameStamp(counter=film.index, hardware_s=exposed_s)
        film.index += 1
        return stamp

    def stop(self) -> None:
        self._film = None

    def check_together(self, values: Mapping[str, Value]) -> None:
        size = (values["width_px"], values["height_px"])
        if size != (self.width_px, self.height_px):
            raise ParameterError("width_px and height_px are fixed when it is made")
        super().check_together(values)

    def _prepared(self) -> Pattern:
        """Return the pattern of the present parameters; the last one is kept."""
        sensor = (self.width_px, self.height_px)
        key = (self.seed, sensor, self.roi, self.binning)
        if self._pattern is None or self._pattern[0] != key:
            self._pattern = (key, Pattern(self.seed, sensor, self.roi, self.binning))
        return self._pattern[1]

    def _do_apply(self, changed: Mapping[str, Value]) -> Mapping[str, Value]:
        if self._film is not None:
            raise StateError(
                f"{', '.join(sorted(changed))} cannot change while "
                f"{type(self).__name__} is running"
            )
        return {}

    def _do_close(self) -> None:
        self._film = None
