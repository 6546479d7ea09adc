"""Each kind of fault does what it says."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from hal.base import (
    DeviceError,
    DeviceTimeout,
    Halted,
    LinkError,
    StateError,
)
from hal.devices import Camera
from hal.testing import FakeClock, chaos, wait_until
from modules.simulation import (
    SimCamera,
    SimLightSource,
    SimShutter,
    SimXYStage,
    SimZStage,
)

TIMEOUT_S = 5.0


def fault(kind, call="", at=(1,), **more):
    return chaos.Fault(module="", kind=kind, call=call, at=at, **more)


def camera(*faults, **values):
    small = {"width_px": 16, "height_px": 8, "exposure_s": 0.0, "max_fps": 1e4}
    made = chaos.faulty(SimCamera, *faults, **{**small, **values})
    made.open()
    return made


def film(device, frames, timeout_s=TIMEOUT_S):
    """Return the counters and the pixels of a film of so many reads."""
    device.start(frames + 2)
    counters, pixels = [], []
    for _ in range(frames):
        out = np.zeros(device.frame_shape, device.dtype)
        stamp = device.read_into(out, timeout_s)
        counters.append(None if stamp is None else stamp.counter)
        pixels.append(out)
    device.stop()
    return counters, pixels


def notes(device):
    """Return what was noted: kind, call, number and frame."""
    return [(c.kind, c.call, c.number, c.frame) for c in device.chooser.caused()]


def opened(driver_class, *faults, **values):
    device = chaos.faulty(driver_class, *faults, **values)
    device.open()
    return device


# -- any driver ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("DeviceError", DeviceError),
        ("LinkError", LinkError),
        ("DeviceTimeout", DeviceTimeout),
        ("StateError", StateError),
        ("RuntimeError", RuntimeError),
        ("ValueError", ValueError),
        ("OSError", OSError),
        ("MemoryError", MemoryError),
    ],
)
def test_a_call_raises_what_it_was_told_and_does_nothing(name, error):
    stage = opened(SimXYStage, fault("raise", "move", at=(2,), error=name))
    stage.move_and_settle(1.0, 0.0)

    with pytest.raises(error, match="SimXYStage: caused on purpose in call 2 of move"):
        stage.move_and_settle(2.0, 0.0)

    assert stage.position_um() == (1.0, 0.0)
    stage.move_and_settle(2.0, 0.0)
    assert stage.position_um() == (2.0, 0.0)
    assert notes(stage) == [("raise", "move", 2, None)]


@pytest.mark.parametrize("kind", ["slow", "hang"])
def test_a_slow_call_takes_so_much_longer_and_is_done(kind):
    shutter = opened(SimShutter, fault(kind, "set_shutter", seconds=7.0))
    shutter.clock = clock = FakeClock()
    ended = []

    def use() -> None:
        with pytest.raises(Halted):  # as soon as it comes to itself
            shutter.set_shutter(True)
        ended.append(True)

    done = threading.Thread(target=use, daemon=True)
    done.start()
    wait_until(lambda: clock.waiting, TIMEOUT_S)

    # A vendor's call that hangs hears nothing.
    shutter.halt()
    shutter.abandon()
    clock.advance(6.9)
    assert not shutter.is_shutter_open()
    assert done.is_alive()

    clock.advance(0.2)
    done.join(TIMEOUT_S)
    assert ended


def test_a_hang_lasts_a_minute_if_nobody_says_how_long():
    light = opened(SimLightSource, fault("hang", "set_on"))
    light.clock = clock = FakeClock()
    done = threading.Thread(target=lambda: light.set_on(True), daemon=True)
    done.start()
    wait_until(lambda: clock.waiting, TIMEOUT_S)
    clock.advance(59.0)
    assert done.is_alive()
    clock.advance(1.1)
    done.join(TIMEOUT_S)

    assert not done.is_alive()


def test_a_lost_connection_is_lost_for_every_call_until_it_is_opened_again():
    clock = FakeClock()
    z = chaos.faulty(SimZStage, fault("disconnect", "position", seconds=3.0))
    z.clock = clock
    z.open()
    with pytest.raises(LinkError, match="caused on purpose: disconnected"):
        z.position_um()

    for call in (z.position_um, z.is_moving, z.halt, lambda: z.start_move(1.0)):
        with pytest.raises(LinkError):
            call()
    with pytest.raises(LinkError):  # it cannot be made safe either
        z.close()
    clock.advance(2.9)
    with pytest.raises(LinkError):
        z.open()
    clock.advance(0.2)
    z.open()

    assert z.position_um() == 0.0
    assert notes(z) == [("disconnect", "position", 1, None)]


def test_memory_that_leaks_is_gone_for_good(monkeypatch):
    kept: list[bytearray] = []
    monkeypatch.setattr("hal.testing.chaos.troubles._leaked", kept)
    stage = opened(SimXYStage, fault("leak", "move", at=(1, 3), megabytes=2.0))

    for x_um in (1.0, 2.0, 3.0):
        stage.move_and_settle(x_um, 0.0)

    assert [len(each) for each in kept] == [2_000_000, 2_000_000]
    assert stage.position_um() == (3.0, 0.0)


@pytest.mark.parametrize(
    ("driver_class", "truth"), [(SimXYStage, (5.0, 7.0)), (SimZStage, 5.0)]
)
def test_a_stage_lies_about_where_it_is(driver_class, truth):
    stage = opened(driver_class, fault("lie", at=(1, 3), um=4.0))
    where = truth if isinstance(truth, tuple) else (truth,)

    with pytest.raises(DeviceError, match="stopped at"):
        stage.move_and_settle(*where)

    assert stage.position_um() == truth
    lie = stage.position_um()
    assert lie == ((9.0, 7.0) if isinstance(truth, tuple) else 9.0)


def test_a_light_that_cannot_be_told_to_stop():
    light = opened(SimLightSource, fault("raise", "halt", error="LinkError"))

    with pytest.raises(LinkError):
        light.halt()


class ShortFilms(SimCamera):
    """A camera whose requests are short films, as those of most cameras."""

    begin_requests = Camera.begin_requests
    request = Camera.request
    end_request = Camera.end_request
    end_requests = Camera.end_requests


def test_what_the_driver_calls_within_a_call_is_none_of_its_own():
    device = opened(ShortFilms, fault("raise", "start"), width_px=16, height_px=8)
    device.begin_requests()

    device.request(0, 1)
    device.end_request()
    device.end_requests()

    with pytest.raises(DeviceError):
        device.start(1)


# -- cameras ------------------------------------------------------------------------


def test_a_dropped_frame_leaves_a_gap_in_the_counter():
    device = camera(fault("drop", at=(3,)))

    assert film(device, 4)[0] == [0, 1, 3, 4]
    assert notes(device) == [
        ("drop", "read_into", 3, 2),
        (chaos.GOOD_FRAME, "", 0, 3),
    ]


def test_a_frame_that_was_lost_at_the_end_never_comes():
    device = camera(fault("drop", at=(2,)))
    device.start(2)
    out = np.zeros(device.frame_shape, device.dtype)

    assert device.read_into(out, TIMEOUT_S).counter == 0
    assert device.read_into(out, 0.01) is None


def test_a_repeated_frame_is_the_one_before_and_none_is_lost():
    device = camera(fault("repeat", at=(3,)))

    counters, pixels = film(device, 4)

    assert counters == [0, 1, 1, 2]
    assert np.array_equal(pixels[1], pixels[2])
    assert not np.array_equal(pixels[2], pixels[3])
    assert [n[0] for n in notes(device)] == ["repeat", chaos.GOOD_FRAME]


def test_the_first_frame_is_repeated_when_there_is_one():
    device = camera(fault("repeat", at=(1,)))

    assert film(device, 3)[0] == [0, 0, 1]


def test_a_wrong_counter_is_one_that_cannot_be():
    assert film(camera(fault("counter", at=(2,))), 3)[0] == [0, -1, 2]


def test_a_frame_of_another_shape_is_refused_where_it_is_copied():
    device = camera(fault("shape", at=(1,)))
    device.start(2)
    out = np.zeros(device.frame_shape, device.dtype)

    with pytest.raises(ValueError, match="shape"):
        device.read_into(out, TIMEOUT_S)


def test_wrong_pixels_are_a_row_of_one_frame():
    right = film(camera(), 3)[1]
    device = camera(fault("pixels", at=(2,)))

    counters, pixels = film(device, 3)

    assert counters == [0, 1, 2]
    pairs = zip(right, pixels, strict=True)
    wrong = [np.flatnonzero((a != b).any(axis=1)).size for a, b in pairs]
    assert wrong == [0, 1, 0]
    assert notes(device)[0] == ("pixels", "read_into", 2, 1)


def test_a_camera_that_is_never_triggered_is_quiet_until_it_is_stopped():
    device = camera(fault("no_trigger", at=(1,)))

    assert film(device, 2, timeout_s=0.01)[0] == [None, None]
    assert film(device, 2)[0] == [0, 1]
    assert notes(device)[0] == ("no_trigger", "start", 1, None)


def test_a_quiet_camera_can_be_halted():
    device = camera(fault("no_trigger"))
    out = np.zeros(device.frame_shape, device.dtype)
    device.start(1)
    device.halt()

    with pytest.raises(Halted):
        device.read_into(out, 60.0)


def test_frames_of_requests_are_named_by_their_index_in_the_run():
    device = camera(fault("pixels", at=(3,)))
    out = np.zeros(device.frame_shape, device.dtype)
    device.begin_requests()
    for first in (10, 20, 30):
        device.request(first, 1)
        assert device.read_into(out, TIMEOUT_S).counter == 0
        device.end_request()

    assert notes(device)[0] == ("pixels", "read_into", 3, 30)


def test_asking_often_for_one_frame_is_one_call():
    """Else it would depend on the time what goes wrong."""
    device = camera(fault("raise", "read_into", at=(2,)), exposure_s=1.0)
    device.clock = clock = FakeClock()
    out = np.zeros(device.frame_shape, device.dtype)
    device.start(2)
    for _ in range(5):
        assert device.read_into(out, 0.0) is None
    clock.advance(1.0)
    assert device.read_into(out, 0.0).counter == 0

    with pytest.raises(DeviceError, match="call 2 of read_into"):
        device.read_into(out, TIMEOUT_S)


def test_the_first_good_frame_after_faults_is_noted_once():
    device = camera(fault("drop", at=(2, 5)))

    film(device, 5)

    kinds = [kind for kind, *_ in notes(device)]
    assert kinds == ["drop", chaos.GOOD_FRAME, "drop", chaos.GOOD_FRAME]
