from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hal.base import (
    DeviceError,
    DeviceTimeout,
    ParameterError,
    StateError,
    SystemClock,
    UnsupportedError,
)
from modules.micromanager import MMCamera, MMFilterWheel, MMXYStage
from modules.micromanager.core import CALM_S, CoreOwner
from modules.micromanager.shared import acquire, release

Frame = np.ndarray[Any, Any]

BEADS = "Mode=Fluorescent Beads"
FAST = "FastImage=1"
TWO_CAMERAS = """\
Property,Core,Initialize,0
Device,Left,DemoCamera,DCam
Device,Right,DemoCamera,DCam
Property,Core,Initialize,1
Property,Core,Camera,Left
"""


@pytest.fixture
def make() -> Iterator[Callable[..., MMCamera]]:
    made: list[MMCamera] = []

    def make(config: str = "demo", **values: bool | int | float | str) -> MMCamera:
        camera = MMCamera(config=config, **values)
        made.append(camera)
        camera.open()
        return camera

    yield make
    for camera in made:
        camera.close()


def film(camera: MMCamera, frames: int) -> tuple[list[int | None], Frame]:
    """Record a film; return the counters and the last frame."""
    out = np.zeros(camera.frame_shape, camera.dtype)
    counters = []
    camera.start(frames)
    try:
        for _ in range(frames):
            stamp = camera.read_into(out, 5.0)
            assert stamp is not None
            counters.append(stamp.counter)
    finally:
        camera.stop()
    return counters, out


def test_ten_films_have_every_frame(make: Callable[..., MMCamera]) -> None:
    camera = make(exposure_s=0.001, properties=FAST)

    for _ in range(10):
        assert film(camera, 50)[0] == list(range(50))


def test_busy_stage_costs_no_frame_and_is_not_kept_waiting(
    make: Callable[..., MMCamera],
) -> None:
    camera, stage = make(exposure_s=0.1), MMXYStage(config="demo")
    stage.open()
    done, slow = threading.Event(), list[float]()
    clock = SystemClock()

    def ask() -> None:
        while not done.wait(0.001):
            begun_s = clock.monotonic_s()
            stage.position_um()
            slow.append(clock.monotonic_s() - begun_s)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        counters, _ = film(camera, 5)
    finally:
        done.set()
        asking.join()
        stage.close()

    assert all(counter in (index, None) for index, counter in enumerate(counters))
    # A reader that kept the core for its 50 ms slices would make this 25 ms.
    assert sorted(slow)[len(slow) // 2] < 0.01


def test_use_of_all_devices_spoils_no_film(make: Callable[..., MMCamera]) -> None:
    camera, stage = make(exposure_s=0.0005, properties=FAST), MMXYStage(config="demo")
    wheel = MMFilterWheel(config="demo", device="Emission")
    stage.open()
    wheel.open()
    done = threading.Event()

    def use() -> None:
        while not done.is_set():
            stage.move_and_settle(1.0, 0.0)
            wheel.move_to(2)
            stage.move_and_settle(0.0, 0.0)
            wheel.move_to(5)

    using = threading.Thread(target=use)
    using.start()
    try:
        counters, _ = film(camera, 1000)
    finally:
        done.set()
        using.join()
        wheel.close()
        stage.close()

    assert all(counter in (index, None) for index, counter in enumerate(counters))
    assert counters.count(None) < 100


def test_core_gets_the_region_in_binned_pixels(make: Callable[..., MMCamera]) -> None:
    camera = make()
    owner = acquire("demo")

    camera.set_parameters(
        {"roi_x_px": 104, "roi_y_px": 60, "roi_width_px": 200, "roi_height_px": 100}
    )
    unbinned = owner.call("look", lambda core: core.getROI("Camera"))
    camera.set_parameters({"binning": 4})
    binned = owner.call("look", lambda core: core.getROI("Camera"))

    release(owner)
    assert unbinned == [104, 60, 200, 100]
    assert binned == [26, 15, 50, 25]
    assert film(camera, 2)[1].shape == (25, 50)


def test_first_pixel_is_rounded_to_a_binned_one(
    make: Callable[..., MMCamera],
) -> None:
    camera = make()

    taken = camera.set_parameters(
        {"roi_x_px": 7, "roi_y_px": 5, "roi_height_px": 30, "binning": 4}
    )

    assert (taken["roi_x_px"], taken["roi_y_px"]) == (4, 4)
    assert camera.roi == (4, 4, 508, 30)
    assert camera.frame_shape == (7, 127)
    assert film(camera, 2)[1].shape == (7, 127)


def test_devices_stay_loaded_until_the_thread_of_the_camera_has_left(
    make: Callable[..., MMCamera],
) -> None:
    camera = make()
    film(camera, 1)
    clock = SystemClock()
    ended_s = clock.monotonic_s()

    camera.close()

    assert clock.monotonic_s() - ended_s > 0.8 * CALM_S


def test_pixels_follow_the_pixel_type(make: Callable[..., MMCamera]) -> None:
    camera = make(properties="PixelType=8bit;Mode=Noise")

    _, frame = film(camera, 2)

    assert frame.dtype == np.uint8
    assert frame.any()


def test_sample_moves_with_the_stage(make: Callable[..., MMCamera]) -> None:
    camera, stage = make(properties=BEADS), MMXYStage(config="demo")
    stage.open()
    try:
        _, before = film(camera, 1)
        stage.move_and_settle(10.0, 0.0)
        _, after = film(camera, 1)
    finally:
        stage.close()

    shift = max(
        range(-20, 21), key=lambda px: similarity(np.roll(before, px, 1), after)
    )
    assert abs(shift) == 10


def similarity(one: Frame, other: Frame) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


# What does not work, and says so


def test_overflow_is_told_after_the_frames_that_were_kept(
    make: Callable[..., MMCamera],
) -> None:
    camera = make(
        exposure_s=0.0005,
        buffer_mb=4,
        properties="FastImage=1;OnCameraCCDXSize=1024;OnCameraCCDYSize=1024",
    )
    out = np.zeros(camera.frame_shape, camera.dtype)
    owner = acquire("demo")
    camera.start(None)
    clock, pause = SystemClock(), threading.Event()
    deadline_s = clock.monotonic_s() + 5.0
    while not owner.call("look", lambda core: core.isBufferOverflowed()):
        assert clock.monotonic_s() < deadline_s
        clock.wait(pause, 0.001)
    release(owner)

    kept: list[int | None] = []
    with pytest.raises(DeviceError) as raised:
        read_all(camera, out, kept)

    assert kept == [0, 1]
    assert "image buffer of 4 MB (2 frames) overflowed" in str(raised.value)
    assert "stopped after 2 frames" in str(raised.value)
    camera.stop()
    assert film(camera, 2)[0] == [0, 1]


def test_buffer_too_small_for_a_frame_is_refused(make: Callable[..., MMCamera]) -> None:
    camera = make(buffer_mb=1, properties="OnCameraCCDXSize=1024;OnCameraCCDYSize=1024")

    with pytest.raises(DeviceError, match="image buffer of 1 MB cannot be had, or"):
        camera.start(1)

    camera.set_parameters({"buffer_mb": 8})
    assert film(camera, 2)[0] == [0, 1]


def test_camera_that_stops_by_itself_is_told_at_once(
    make: Callable[..., MMCamera],
) -> None:
    camera = make(exposure_s=0.02)
    out = np.zeros(camera.frame_shape, camera.dtype)
    owner = acquire("demo")
    camera.start(1000)
    try:
        owner.call("trip", lambda core: core.stopSequenceAcquisition("Camera"))
    finally:
        release(owner)

    with pytest.raises(DeviceError, match=r"stopped by itself after \d+ of 1000"):
        read_all(camera, out, [])


def read_all(camera: MMCamera, out: Frame, counters: list[int | None]) -> None:
    while stamp := camera.read_into(out, 5.0):
        counters.append(stamp.counter)


def test_frames_changed_behind_our_back_are_refused_at_start(
    make: Callable[..., MMCamera],
) -> None:
    camera = make()
    owner = acquire("demo")
    try:
        owner.call("meddle", lambda core: core.setProperty("Camera", "Binning", "2"))
    finally:
        release(owner)

    with pytest.raises(DeviceError, match=r"\(256, 256\).*expected \(512, 512\)"):
        camera.start(1)

    camera.stop()


def test_one_core_feeds_one_camera_at_a_time(
    make: Callable[..., MMCamera], tmp_path: Path
) -> None:
    path = tmp_path / "two.cfg"
    path.write_text(TWO_CAMERAS)
    right = make(str(path), device="Right", properties="PixelType=16bit")
    left = make(str(path), properties="PixelType=16bit")
    assert "Left" in left.identity
    right.start(None)

    with pytest.raises(StateError, match="'Right' is running, and a core has one"):
        left.start(1)

    right.stop()
    assert film(left, 3)[0] == [0, 1, 2]


def test_two_cores_film_at_the_same_time(
    make: Callable[..., MMCamera], tmp_path: Path
) -> None:
    cameras = []
    for name in ("a", "b"):
        path = tmp_path / f"{name}.cfg"
        path.write_text(TWO_CAMERAS)
        cameras.append(make(str(path), properties="PixelType=16bit", exposure_s=0.001))
    counters: dict[int, list[int | None]] = {}

    def run(index: int) -> None:
        counters[index] = film(cameras[index], 100)[0]

    threads = [threading.Thread(target=run, args=(index,)) for index in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # Two cores in one process may spoil each other's tags, but nothing else.
    for found in counters.values():
        assert all(counter in (index, None) for index, counter in enumerate(found))
        assert len(found) == 100


def test_read_that_timed_out_writes_nothing_later(
    make: Callable[..., MMCamera], monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = make(exposure_s=0.001, properties="Mode=Noise")
    out = np.zeros(camera.frame_shape, camera.dtype)
    owner = camera._require_owner()
    free = threading.Event()
    call, wait_here = owner.call, owner.wait_here

    def impatient(what: str, fn: Callable[[Any], Any], timeout_s: float) -> object:
        return call(what, fn, 0.1)

    def slow(ready: Callable[[], bool], timeout_s: float) -> bool:
        free.wait(10.0)
        return wait_here(ready, 1.0)

    camera.start(None)
    monkeypatch.setattr(owner, "call", impatient)
    monkeypatch.setattr(owner, "wait_here", slow)

    with pytest.raises(DeviceTimeout, match="read 'Camera': no answer"):
        camera.read_into(out, 0.1)

    monkeypatch.undo()
    free.set()
    wait_until_answered(owner)
    camera.stop()
    assert not out.any()


def wait_until_answered(owner: CoreOwner) -> None:
    clock, pause = SystemClock(), threading.Event()
    deadline_s = clock.monotonic_s() + 5.0
    while owner.hangs_in:
        assert clock.monotonic_s() < deadline_s
        clock.wait(pause, 0.001)


# What is not known before the camera is open


def test_sensor_is_known_after_open() -> None:
    camera = MMCamera(config="demo", roi_width_px=100)
    for ask in (lambda: camera.sensor_width_px, lambda: camera.frame_shape):
        with pytest.raises(StateError, match="known after open"):
            ask()

    camera.open()

    assert (camera.sensor_width_px, camera.sensor_height_px) == (512, 512)
    assert camera.frame_shape == (512, 100)
    camera.close()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"roi_x_px": 500, "roi_width_px": 100}, "does not fit the sensor of 512x512"),
        ({"binning": 3}, "binning=3: expected one of 1, 2, 4, 8"),
        ({"binning": 16}, "binning=16: expected a whole number from 1 to 8"),
        ({"exposure_s": 20.0}, "exposure_s=20.0: expected a number from 0 to 10 s"),
        ({"properties": "Gian=1"}, "no 'Gian'.*did you mean 'Gain'"),
        ({"properties": "PixelType=17bit"}, "PixelType=17bit: expected one of 16bit"),
    ],
)
def test_what_the_camera_cannot_is_refused_at_open(
    values: dict[str, float | int | str], says: str
) -> None:
    camera = MMCamera(config="demo", **values)

    with pytest.raises(ParameterError, match=says):
        camera.open()

    assert not camera.is_open


@pytest.mark.parametrize("text", ["Gain", "=3", "Gain=1;Offset"])
def test_malformed_properties_are_refused_when_written(text: str) -> None:
    with pytest.raises(ParameterError, match="expected Name=value"):
        MMCamera(config="demo", properties=text)


def test_colour_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="expected 8 or 16 bit grey"):
        MMCamera(config="demo", properties="PixelType=32bitRGB").open()


def test_parameters_stay_while_it_runs(make: Callable[..., MMCamera]) -> None:
    camera = make()
    camera.start(None)

    with pytest.raises(StateError, match="cannot change while"):
        camera.set_parameters({"exposure_s": 0.5})

    camera.stop()
