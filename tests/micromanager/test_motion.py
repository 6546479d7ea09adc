from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from hal.base import DeviceError, ParameterError, SystemClock
from modules.micromanager import (
    MMCamera,
    MMFilterWheel,
    MMShutter,
    MMXYStage,
    MMZStage,
)


def test_halt_stops_the_stage_on_its_way_while_a_camera_films() -> None:
    camera, stage = MMCamera(config="demo", exposure_s=1.0), MMXYStage(config="demo")
    camera.open()
    stage.open()
    camera.start(None)
    out = np.zeros(camera.frame_shape, camera.dtype)
    reading = threading.Thread(target=camera.read_into, args=(out, 0.8))
    reading.start()
    clock = SystemClock()

    stage.start_move(50_000.0, 0.0)  # takes seconds
    begun_s = clock.monotonic_s()
    stage.halt()
    took_s = clock.monotonic_s() - begun_s

    assert not stage.is_moving()
    assert stage.position_um()[0] < 10_000.0
    assert took_s < 0.2
    reading.join()
    camera.close()
    stage.close()


def test_target_beyond_the_hardware_is_told_in_its_words() -> None:
    drive = MMZStage(config="demo")
    drive.open()

    with pytest.raises(DeviceError, match=r"move 'Z'.*out of range"):
        drive.move_and_settle(5_000.0)

    assert drive.position_um() == 0.0
    drive.close()


class CoreThatCannotStop:
    """What the adapters of many piezos make of the core."""

    def __init__(self, busy: bool) -> None:
        self._busy = busy

    def stop(self, label: str) -> None:
        raise RuntimeError("Unsupported command")

    def deviceBusy(self, label: str) -> bool:
        return self._busy


@pytest.mark.parametrize("busy", [False, True])
def test_halt_of_a_stage_that_cannot_stop_complains_only_when_it_moves(
    busy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = MMXYStage(config="demo")
    stage.open()
    owner, core = stage._require_owner(), CoreThatCannotStop(busy)
    call = owner.call
    with monkeypatch.context() as patch:
        patch.setattr(
            owner, "call", lambda what, fn, *a, **k: call(what, lambda _: fn(core))
        )

        if busy:
            with pytest.raises(DeviceError, match="stop 'XY': Unsupported command"):
                stage.halt()
        else:
            stage.halt()

    stage.close()


def test_shutter_left_open_is_closed_when_opened(tmp_path: Path) -> None:
    path = tmp_path / "open.cfg"
    path.write_text(
        "Device,Shutter,DemoCamera,DShutter\n"
        "Property,Core,Initialize,1\n"
        "Property,Core,Shutter,Shutter\n"
        "ConfigGroup,System,Startup,Shutter,State,1\n"
    )
    shutter = MMShutter(config=str(path))

    shutter.open()

    assert not shutter.is_shutter_open()
    shutter.close()


def test_film_leaves_the_shutter_to_hal() -> None:
    camera, shutter = MMCamera(config="demo"), MMShutter(config="demo")
    camera.open()
    shutter.open()

    camera.start(None)
    while_filming = shutter.is_shutter_open()
    camera.stop()
    camera.close()

    assert not while_filming
    shutter.close()


def test_wheel_takes_its_names_from_the_configuration() -> None:
    wheel = MMFilterWheel(config="demo", device="Emission")
    wheel.open()

    assert wheel.names[:2] == ("Chroma-HQ620", "Chroma-D460")
    wheel.move_to("Chroma-HQ535")
    assert wheel.slot() == 3
    wheel.close()


def test_wheel_takes_names_of_the_user() -> None:
    wheel = MMFilterWheel(config="demo", device="Emission", filters="red, green")
    wheel.open()

    wheel.move_to("green")

    assert wheel.slot() == 2
    wheel.close()


def test_wheel_refuses_more_names_than_it_has_slots() -> None:
    names = ",".join(f"f{n}" for n in range(11))

    with pytest.raises(ParameterError, match="11 names, but 'Emission' has 10 slots"):
        MMFilterWheel(config="demo", device="Emission", filters=names).open()
