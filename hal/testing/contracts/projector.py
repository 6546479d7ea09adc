"""What projectors promise, as tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from hal.base import BadInput, DeviceError, LimitError, SystemClock
from hal.devices import Mask, Projector
from hal.testing.contracts._halting import halt_during
from hal.testing.contracts.device import DeviceContract


class ProjectorContract(DeviceContract[Projector]):
    """Tests of a projector; they project all of its field."""

    duration_s: float = 0.02

    def operations(self, device: Projector) -> Mapping[str, Callable[[], object]]:
        return {
            "project": lambda: device.project(self.mask(device), self.duration_s),
            "is_dark": device.is_dark,
        }

    def mask(self, device: Projector) -> Mask:
        return np.ones((device.height_px, device.width_px), bool)

    def test_has_pixels_also_when_closed(self, closed: Projector) -> None:
        assert closed.height_px > 0
        assert closed.width_px > 0

    def test_is_dark_when_opened(self, device: Projector) -> None:
        assert device.is_dark()

    def test_projects_for_the_time_given_and_is_dark_then(
        self, device: Projector
    ) -> None:
        clock = SystemClock()
        for duration_s in (self.duration_s, 3 * self.duration_s):
            began_s = clock.monotonic_s()
            device.project(self.mask(device), duration_s)

            assert clock.monotonic_s() - began_s >= duration_s
            assert device.is_dark()

    def test_a_halt_ends_it_in_the_dark(self, device: Projector) -> None:
        halt_during(
            device,
            lambda: device.project(self.mask(device), 60.0),
            after_s=0.05,
            within_s=self.halt_within_s,
        )

        assert device.is_dark()

    def test_a_mask_of_another_shape_is_refused(self, device: Projector) -> None:
        wrong = np.ones((device.height_px + 1, device.width_px), bool)

        with pytest.raises(BadInput, match="mask of shape"):
            device.project(wrong, self.duration_s)

        assert device.is_dark()

    def test_what_is_no_time_is_refused(self, device: Projector) -> None:
        for duration_s in (0.0, -1.0, math.nan, math.inf):
            with pytest.raises(LimitError):
                device.project(self.mask(device), duration_s)

            assert device.is_dark()

    def test_the_calibration_finds_the_pixels_of_a_camera(
        self, closed: Projector
    ) -> None:
        closed.set_parameters(
            {
                **{"x_per_x": 0.0, "x_per_y": -1.0, "x_offset_px": 6.0},
                **{"y_per_x": 1.0, "y_per_y": 0.0, "y_offset_px": -4.0},
            }
        )
        camera = np.zeros((2, 3), bool)
        # In binning 2 from column 4 on: columns 8 and 9, rows 2 and 3 of the sensor.
        camera[1, 2] = True

        lit = closed.from_sensor(camera, 4, 0, 2)

        assert sorted(zip(*np.nonzero(lit), strict=True)) == [
            (4, 3),
            (4, 4),
            (5, 3),
            (5, 4),
        ]

    def test_between_two_pixels_the_nearer_one_counts(self, closed: Projector) -> None:
        closed.set_parameters({"x_offset_px": 0.4})
        camera = np.zeros((1, 6), bool)
        camera[0, 3] = True

        lit = closed.from_sensor(camera, 0, 0, 1)

        assert sorted(zip(*np.nonzero(lit), strict=True)) == [(0, 3)]

    def test_a_calibration_that_is_none_is_refused(self, closed: Projector) -> None:
        closed.set_parameters({"x_per_x": 0.0})

        with pytest.raises(DeviceError, match="cannot be inverted"):
            closed.from_sensor(np.ones((2, 2), bool), 0, 0, 1)

    def test_tells_how_long_it_takes(self, closed: Projector) -> None:
        took_s = closed.time_to_project_s(1.0)

        assert 1.0 <= took_s <= 1.0 + 2 * closed.switch_timeout_s
