"""What cameras promise, as tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from hal.base import DeviceError, ParameterError, StateError, SystemClock
from hal.devices import Camera, FrameStamp
from hal.testing.contracts._halting import halt_during
from hal.testing.contracts.device import DeviceContract

Frame = np.ndarray[Any, Any]


class CameraContract(DeviceContract[Camera]):
    """Tests of a camera; they film a few dozen frames."""

    short_exposure_s: float = 0.005
    """Exposure of most films."""
    long_exposure_s: float = 1.0
    """An exposure that a test can interrupt; 0.3 s at least."""
    frame_timeout_s: float = 5.0
    """Longest time a frame of the short exposure may take, the first one as well."""
    quiet_s: float = 0.2
    """How long no frame has to come until a film counts as over."""
    roi_step_px: int = 16
    """Regions are tested at multiples of this."""
    binnings: tuple[int, ...] = (1, 2)
    """Binning factors to be tested."""

    def operations(self, device: Camera) -> Mapping[str, Callable[[], object]]:
        return {"start and stop": lambda: (device.start(1), device.stop())}

    def read(self, device: Camera) -> tuple[Frame, FrameStamp]:
        """Return the next frame, or fail."""
        out = np.zeros(device.frame_shape, device.dtype)
        stamp = device.read_into(out, self.frame_timeout_s)
        assert stamp is not None, f"no frame within {self.frame_timeout_s} s"
        return out, stamp

    def assert_no_more(self, device: Camera) -> None:
        out = np.zeros(device.frame_shape, device.dtype)
        assert device.read_into(out, self.quiet_s) is None

    @pytest.fixture
    def device(self, closed: Camera) -> Camera:
        closed.open()
        closed.set_parameters({"exposure_s": self.short_exposure_s})
        return closed

    def test_delivers_the_exact_number_of_frames(self, device: Camera) -> None:
        for frames in (1, 2, 10):
            device.start(frames)
            for _ in range(frames):
                self.read(device)

            self.assert_no_more(device)
            device.stop()

    def test_counter_and_time_leave_no_gap(self, device: Camera) -> None:
        for _ in range(2):
            device.start(10)
            stamps = [self.read(device)[1] for _ in range(10)]
            device.stop()

            counters = [stamp.counter for stamp in stamps]
            assert counters in (list(range(10)), [None] * 10)
            times = [s.hardware_s for s in stamps if s.hardware_s is not None]
            assert len(times) in (0, 10)
            assert times == sorted(times)
            assert all(math.isfinite(time) for time in times)

    def test_films_until_it_is_stopped(self, device: Camera) -> None:
        device.start(None)
        for index in range(5):
            _, stamp = self.read(device)
            assert stamp.counter in (index, None)
        device.stop()

        # What was left of that film is not part of the next.
        device.start(2)
        for index in range(2):
            _, stamp = self.read(device)
            assert stamp.counter in (index, None)
        self.assert_no_more(device)

    def test_stop_may_be_called_at_any_time(self, device: Camera) -> None:
        device.stop()
        device.start(3)
        device.stop()
        device.stop()

        device.start(1)
        self.read(device)
        device.stop()

    def test_second_start_is_refused_and_the_film_goes_on(self, device: Camera) -> None:
        device.start(5)
        self.read(device)

        with pytest.raises(StateError):
            device.start(5)

        for _ in range(4):
            self.read(device)
        self.assert_no_more(device)

    def test_start_and_read_before_open_are_refused(self, closed: Camera) -> None:
        with pytest.raises(StateError):
            closed.start(1)
        with pytest.raises(StateError):
            closed.read_into(np.zeros(closed.frame_shape, closed.dtype), 0.0)

        assert not closed.is_open

    def test_gives_no_frame_when_not_running(self, device: Camera) -> None:
        out = np.zeros(device.frame_shape, device.dtype)

        try:
            stamp = device.read_into(out, 0.0)
        except DeviceError:
            stamp = None

        assert stamp is None

    def test_no_frame_in_time_is_none_and_not_lost(self, device: Camera) -> None:
        device.set_parameters({"exposure_s": self.long_exposure_s})
        out = np.zeros(device.frame_shape, device.dtype)
        clock = SystemClock()
        device.start(1)
        begun_s = clock.monotonic_s()

        assert device.read_into(out, 0.05) is None

        assert clock.monotonic_s() - begun_s < self.long_exposure_s
        stamp = device.read_into(out, self.long_exposure_s + self.frame_timeout_s)
        assert stamp is not None
        assert stamp.counter in (0, None)

    def test_halt_from_another_thread_ends_a_read(self, device: Camera) -> None:
        device.set_parameters({"exposure_s": self.long_exposure_s})
        out = np.zeros(device.frame_shape, device.dtype)
        device.start(1)

        halt_during(
            device,
            lambda: device.read_into(out, 60.0),
            after_s=self.long_exposure_s / 10,
            within_s=self.halt_within_s,
        )

        device.stop()
        device.set_parameters({"exposure_s": self.short_exposure_s})
        device.start(2)
        for index in range(2):
            _, stamp = self.read(device)
            assert stamp.counter in (index, None)
        self.assert_no_more(device)

    def test_halt_before_a_film_does_not_end_it(self, device: Camera) -> None:
        device.halt()

        device.start(2)

        self.read(device)
        self.read(device)

    def test_close_ends_a_film(self, device: Camera) -> None:
        device.start(None)
        self.read(device)

        device.close()
        device.open()
        device.start(1)

        self.read(device)
        self.assert_no_more(device)

    def test_frames_are_exposed_when_they_are_asked_for(self, device: Camera) -> None:
        device.begin_requests()
        for first, count in ((0, 1), (1, 1), (2, 3), (7, 1)):
            device.request(first, count)
            for index in range(count):
                _, stamp = self.read(device)
                assert stamp.counter in (index, None)
            device.end_request()
        device.end_requests()

        device.start(1)
        self.read(device)
        self.assert_no_more(device)

    def test_a_request_that_is_given_up_leaves_nothing_for_the_next(
        self, device: Camera
    ) -> None:
        device.begin_requests()
        device.request(0, 5)
        self.read(device)
        device.end_request()

        device.request(1, 2)
        for index in range(2):
            _, stamp = self.read(device)
            assert stamp.counter in (index, None)

        self.assert_no_more(device)
        device.end_request()
        device.end_requests()

    def test_halt_ends_a_request_and_the_next_one_is_whole(
        self, device: Camera
    ) -> None:
        device.set_parameters({"exposure_s": self.long_exposure_s})
        out = np.zeros(device.frame_shape, device.dtype)
        device.begin_requests()
        device.request(0, 2)
        halt_during(
            device,
            lambda: device.read_into(out, 60.0),
            after_s=self.long_exposure_s / 10,
            within_s=self.halt_within_s,
        )
        device.end_request()
        device.end_requests()

        device.set_parameters({"exposure_s": self.short_exposure_s})
        device.begin_requests()
        device.request(0, 1)
        _, stamp = self.read(device)
        assert stamp.counter in (0, None)
        device.end_request()
        device.end_requests()

    def test_wrong_array_is_refused_and_no_frame_lost(self, device: Camera) -> None:
        height, width = device.frame_shape
        other = np.dtype(np.float64)
        device.start(2)

        for wrong in (
            np.zeros((height + 1, width), device.dtype),
            np.zeros((height, width + 1), device.dtype),
            np.zeros(height * width, device.dtype),
            np.zeros((height, width), other),
        ):
            with pytest.raises(StateError):
                device.read_into(wrong, self.frame_timeout_s)
            assert not wrong.any()

        for index in range(2):
            _, stamp = self.read(device)
            assert stamp.counter in (index, None)

    def test_frames_follow_region_and_binning(self, device: Camera) -> None:
        step = self.roi_step_px
        width = device.sensor_width_px // 2 // step * step or device.sensor_width_px
        height = device.sensor_height_px // 4 // step * step or device.sensor_height_px
        x = (device.sensor_width_px - width) // 2 // step * step
        y = (device.sensor_height_px - height) // 2 // step * step
        regions = [(x, y, width, height), (0, 0, width, height), (0, 0, 0, 0)]

        for binning in self.binnings:
            for region in regions:
                names = ("roi_x_px", "roi_y_px", "roi_width_px", "roi_height_px")
                changes: dict[str, object] = dict(zip(names, region, strict=True))
                device.set_parameters({**changes, "binning": binning})

                roi_width, roi_height = device.roi[2:]
                assert device.binning == binning
                assert device.frame_shape == (
                    roi_height // binning,
                    roi_width // binning,
                )
                if region[2]:
                    assert device.roi == region
                else:
                    assert device.roi[2] == device.sensor_width_px
                    assert device.roi[3] == device.sensor_height_px
                self.assert_fills_its_frames(device)

    def assert_fills_its_frames(self, device: Camera) -> None:
        highest = np.iinfo(device.dtype).max
        device.start(2)
        try:
            for _ in range(2):
                out = np.full(device.frame_shape, highest, device.dtype)
                assert device.read_into(out, self.frame_timeout_s) is not None
                # A pixel that was never written still has the highest value.
                assert (out[-1] < highest).any()
                assert (out[:, -1] < highest).any()
        finally:
            device.stop()

    def test_region_beyond_the_sensor_is_refused(self, device: Camera) -> None:
        values, shape = device.values(), device.frame_shape

        for wrong in (
            {"roi_x_px": device.sensor_width_px},
            {"roi_y_px": device.sensor_height_px},
            {"roi_width_px": device.sensor_width_px + 1},
            {"roi_height_px": device.sensor_height_px + 1},
            {"roi_x_px": 1, "roi_width_px": device.sensor_width_px},
        ):
            with pytest.raises(ParameterError):
                device.set_parameters(wrong)

        assert device.values() == values
        assert device.frame_shape == shape

    def test_exposure_is_read_back(self, device: Camera) -> None:
        for exposure_s in (self.short_exposure_s, self.long_exposure_s):
            device.set_parameters({"exposure_s": exposure_s})

            assert device.exposure_s == pytest.approx(exposure_s, rel=0.2, abs=1e-3)
            assert device.values()["exposure_s"] == device.exposure_s
