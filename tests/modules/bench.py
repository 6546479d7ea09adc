"""What the modules' tests are built from: cameras that do what a test prepares."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hal.base import Float, StateError, Value
from hal.devices import Camera, FrameStamp
from hal.frames import Frame, FrameInfo, FrameRing, FrameRings, LosslessReader
from hal.messages import ArmCamera, CameraArmed, CameraFinished, StartCamera
from hal.testing import Part, RunningHal, part, wait_until
from modules.cameras.camera import CameraModule
from modules.simulation.camera import SimCamera

SIZE_PX = 16
RUN_ID = "run1"
PATIENCE_S = 20.0

Step = int | None | BaseException | Callable[[], Any]
"""A frame of that counter, no frame, an error, or a call that ends in one of these."""


class ScriptedCamera(Camera):
    """Delivers what its script says, and notes who calls it from which thread."""

    gain = Float(1.0, low=0.0, high=10.0, live=True, help="May change during a film.")

    def __init__(self, *script: Step, **values: Value) -> None:
        super().__init__(**values)
        self.script: Iterable[Step] = script
        self.calls: list[tuple[str, str]] = []
        self.on_start: Step = None
        self.on_stop: Step = None
        self.on_apply: Step = None
        self._steps = iter(())
        self._is_running = False

    @property
    def sensor_width_px(self) -> int:
        return SIZE_PX

    @property
    def sensor_height_px(self) -> int:
        return SIZE_PX

    def called(self, what: str) -> list[str]:
        """Return the names of the threads that called `what`."""
        return [thread for call, thread in self.calls if call == what]

    def start(self, frames: int | None) -> None:
        self._note("start")
        self._halt.clear()
        self._steps = iter(self.script)
        self._is_running = True
        _play(self.on_start)

    def read_into(
        self, out: np.ndarray[Any, Any], timeout_s: float
    ) -> FrameStamp | None:
        if not self._is_running:
            raise StateError("not running")
        self._check_halt()
        self._check_out(out)
        counter = _play(next(self._steps, None))
        if counter is None:
            self._halt.wait(min(timeout_s, 0.01))
            return None
        out[:] = counter
        return FrameStamp(counter=counter, hardware_s=None)

    def stop(self) -> None:
        self._note("stop")
        self._is_running = False
        _play(self.on_stop)

    def _do_apply(self, changed: Mapping[str, Value]) -> Mapping[str, Value]:
        self._note("apply")
        _play(self.on_apply)
        return {}

    def _note(self, what: str) -> None:
        self.calls.append((what, threading.current_thread().name))


class FilmSource:
    """A ring that the test fills, in the place of a camera."""

    def __init__(
        self, hal: RunningHal, camera: str = "camera1", slots: int = 64
    ) -> None:
        self.camera = camera
        self.ring = rings_of(hal).create(camera, (SIZE_PX, SIZE_PX), np.uint16, slots)
        self.armed = CameraArmed(
            camera=camera,
            frames=None,
            height=SIZE_PX,
            width=SIZE_PX,
            dtype="uint16",
            exposure_s=0.01,
            pixel_size_um=0.1,
            binning=1,
            roi_x_px=0,
            roi_y_px=0,
            extension="",
            simulated=True,
        )

    def put(self, *indices: int) -> None:
        """Publish frames; every pixel of a frame is its index."""
        for index in indices:
            slot = self.ring.reserve(PATIENCE_S)
            assert slot is not None, f"held up by {self.ring.lagging()}"
            slot[:] = index
            info = FrameInfo(
                camera=self.camera,
                index=index,
                event_index=index,
                host_s=0.0,
                exposure_s=0.01,
                shape=self.ring.shape,
                dtype="uint16",
            )
            self.ring.put(info)


def _play(step: Step) -> int | None:
    while callable(step) and not isinstance(step, BaseException):
        step = step()
    if isinstance(step, BaseException):
        raise step
    return step


def endless(first: int = 0) -> Iterable[int]:
    """A script without end."""
    return itertools.count(first)


def camera_part(driver: Camera, name: str = "camera1", **values: Value) -> Part:
    return part(name, CameraModule, driver=driver, **values)


def sim_part(name: str = "camera1", **values: Value) -> Part:
    size = {"width_px": SIZE_PX, "height_px": SIZE_PX}
    return camera_part(SimCamera(**(size | values)), name)


def begin_film(
    hal: RunningHal, frames: int | None, *, run_id: str = RUN_ID, to: str = "camera1"
) -> CameraArmed:
    """Arm and start a camera."""
    armed = hal.ask(ArmCamera(run_id, frames), to=to)
    assert isinstance(armed, CameraArmed)
    hal.ask(StartCamera(run_id), to=to)
    return armed


def film_end(hal: RunningHal, run_id: str = RUN_ID) -> CameraFinished:
    """Wait until the camera has ended its film; return what it said."""
    return hal.probe.wait_for(CameraFinished, lambda e: e.run_id == run_id, PATIENCE_S)


def ring_of(hal: RunningHal, name: str = "camera1") -> FrameRing:
    return rings_of(hal).get(name)


def rings_of(hal: RunningHal) -> FrameRings:
    rings = hal.system.services[FrameRings]
    assert isinstance(rings, FrameRings)
    return rings


def indices(reader: LosslessReader) -> list[int]:
    """Return the index of every frame up to the end of the ring."""
    found: list[int] = []

    def take() -> bool:
        frame: Frame | None = reader.next(0.01)
        if frame is not None:
            found.append(frame.info.index)
            reader.release()
        return reader.at_end

    wait_until(take, PATIENCE_S, what="the end of the ring")
    return found


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())
