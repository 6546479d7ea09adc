import itertools
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hal.base import DeviceError, Halted, ParameterError, StateError, SystemClock
from hal.testing import FakeClock
from hal.testing.contracts import CameraContract
from modules.simulation import SimCamera
from modules.simulation._pattern import write_index


class TestSimCamera(CameraContract):
    halt_within_s = 0.05
    roi_step_px = 1
    binnings = (1, 2, 3, 8)

    def make_device(self) -> SimCamera:
        return SimCamera(width_px=131, height_px=64)


class TestSmallestSimCamera(CameraContract):
    roi_step_px = 1
    binnings = (1,)

    def make_device(self) -> SimCamera:
        return SimCamera(width_px=1, height_px=1)


def film(frames: int, **values: int) -> np.ndarray:
    """Return all frames of a new film, stacked."""
    camera = SimCamera(
        **{"width_px": 96, "height_px": 80, **values},
        exposure_s=0.0,
        max_fps=1e6,
    )
    camera.open()
    camera.start(frames)
    stack = np.zeros((frames, *camera.frame_shape), np.uint16)
    for frame in stack:
        assert camera.read_into(frame, 1.0) is not None
    camera.close()
    return stack


def test_equal_films_are_equal_to_the_byte() -> None:
    assert film(40, seed=7).tobytes() == film(40, seed=7).tobytes()


def test_pixels_are_the_same_on_every_machine() -> None:
    frame = film(4, seed=1)[3]

    # Written down once; a change breaks every film anybody compares with.
    assert frame[40, 40:46].tolist() == [314, 353, 424, 496, 591, 707]
    assert int(frame.sum(dtype=np.int64)) == 3_359_016


def test_seeds_differ() -> None:
    one, other = film(3, seed=1), film(3, seed=2)

    assert all((a != b).mean() > 0.5 for a, b in zip(one, other, strict=True))


def test_consecutive_frames_differ() -> None:
    stack = film(200)

    assert all((a != b).mean() > 0.5 for a, b in itertools.pairwise(stack))


def test_spots_move_over_a_background_that_stays() -> None:
    stack = film(100, width_px=512, height_px=512).astype(np.int64)

    assert np.ptp(stack.mean(axis=(1, 2))) < 3.0
    bright = stack > 1000
    bright[:, 0, :4] = False
    assert 100 < bright[0].sum() < 5000
    assert (bright[0] & bright[99]).sum() < bright[0].sum() / 2


@settings(max_examples=25, deadline=None)
@given(
    x=st.integers(0, 80),
    y=st.integers(0, 70),
    width=st.integers(1, 16),
    height=st.integers(1, 10),
)
def test_region_shows_what_the_sensor_shows_there(
    x: int, y: int, width: int, height: int
) -> None:
    whole = film(5)
    part = film(5, roi_x_px=x, roi_y_px=y, roi_width_px=width, roi_height_px=height)

    crop = whole[:, y : y + height, x : x + width].copy()
    # The numbers of the frames stand in the first pixels of each.
    numbers = np.zeros((height, width), bool)
    numbers.flat[:4] = True
    numbers[: max(0, 1 - y), : max(0, 4 - x)] = True
    assert (part == crop)[:, ~numbers].all()


def test_binned_film_has_the_brightness_of_the_whole() -> None:
    whole, binned = film(5), film(5, binning=4)

    assert binned.shape == (5, 20, 24)
    assert binned[:, 1:].mean() == pytest.approx(whole[:, 4:].mean(), rel=0.1)


@settings(max_examples=25, deadline=None)
@given(width=st.integers(1, 40), height=st.integers(1, 40), binning=st.integers(1, 8))
def test_frames_of_any_size_hold_their_index(
    width: int, height: int, binning: int
) -> None:
    if min(width, height) < binning:
        binning = 1

    stack = film(5, width_px=width, height_px=height, binning=binning)

    assert [SimCamera.frame_index_of(frame) for frame in stack] == list(range(5))


def test_index_beyond_16_bits_is_read_back() -> None:
    out = np.zeros((8, 8), np.uint16)

    for index in (65_535, 65_536, 2**40 + 3):
        write_index(index, out)
        assert SimCamera.frame_index_of(out) == index


def test_rows_of_a_larger_array_can_be_filled() -> None:
    camera = SimCamera(width_px=32, height_px=16)
    camera.open()
    camera.start(1)
    store = np.zeros((20, 40), np.uint16)

    camera.read_into(store[2:18, 4:36], 1.0)

    assert (store[2:18, 4:36].ravel()[4:] > 0).all()
    store[2:18, 4:36] = 0
    assert not store.any()


@pytest.mark.parametrize(
    ("exposure_s", "max_fps", "period_s"), [(0.5, 100.0, 0.5), (0.001, 10.0, 0.1)]
)
def test_frames_come_when_they_are_due(
    exposure_s: float, max_fps: float, period_s: float
) -> None:
    clock = FakeClock()
    camera = SimCamera(width_px=8, height_px=8, exposure_s=exposure_s, max_fps=max_fps)
    camera.clock = clock
    camera.open()
    camera.start(None)
    out = np.zeros(camera.frame_shape, np.uint16)

    assert camera.read_into(out, 0.0) is None
    clock.advance(period_s * 0.99)
    assert camera.read_into(out, 0.0) is None
    clock.advance(period_s * 0.02)
    stamp = camera.read_into(out, 0.0)

    assert stamp is not None
    assert stamp.counter == 0
    assert stamp.hardware_s == pytest.approx(period_s)
    assert camera.read_into(out, 0.0) is None


def test_frames_wait_for_a_slow_reader() -> None:
    clock = FakeClock()
    camera = SimCamera(width_px=8, height_px=8, exposure_s=0.01)
    camera.clock = clock
    camera.open()
    camera.start(100)
    out = np.zeros(camera.frame_shape, np.uint16)
    clock.advance(3600.0)

    for index in range(100):
        stamp = camera.read_into(out, 0.0)
        assert stamp is not None
        assert stamp.counter == index
        assert SimCamera.frame_index_of(out) == index

    assert camera.read_into(out, 0.0) is None


def test_halt_ends_a_read_within_50_ms() -> None:
    camera = SimCamera(width_px=8, height_px=8, exposure_s=60.0)
    camera.open()
    camera.start(None)
    clock = SystemClock()
    ended: list[float] = []

    def read() -> None:
        with pytest.raises(Halted):
            camera.read_into(np.zeros((8, 8), np.uint16), 60.0)
        ended.append(clock.monotonic_s())

    thread = threading.Thread(target=read)
    thread.start()
    thread.join(0.05)
    halted_s = clock.monotonic_s()
    camera.halt()
    thread.join(5.0)

    assert ended[0] - halted_s < 0.05


def test_parameters_cannot_change_while_it_runs() -> None:
    camera = SimCamera(width_px=8, height_px=8)
    camera.open()
    camera.start(None)

    with pytest.raises(StateError, match="binning cannot change while SimCamera"):
        camera.set_parameters({"binning": 2})

    assert camera.frame_shape == (8, 8)


def test_sensor_cannot_change_later() -> None:
    camera = SimCamera(width_px=8, height_px=8)

    with pytest.raises(ParameterError, match="fixed when it is made"):
        camera.set_parameters({"width_px": 16})


def test_film_of_no_frames_delivers_none_and_of_fewer_is_refused() -> None:
    camera = SimCamera(width_px=8, height_px=8)
    camera.open()
    camera.start(0)
    assert camera.read_into(np.zeros((8, 8), np.uint16), 0.0) is None
    camera.stop()

    with pytest.raises(DeviceError, match=r"start\(-1\)"):
        camera.start(-1)
