"""A simulated camera under lights of one's choice, in a world of its own."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from modules.simulation import SimCamera
from modules.simulation.world import LIGHT_SOURCE, XY_STAGE, World

Film = npt.NDArray[np.uint16]


class _Hurry:
    """A clock on which every wait is over at once: nobody needs to sit through it."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def monotonic_s(self) -> float:
        """Return what was waited for so far, seconds."""
        return self._now_s

    wall_s = monotonic_s

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Let the time pass."""
        self._now_s += timeout_s
        return event.is_set()


class Scope:
    """Everything a picture needs.

    Runs on: main.
    """

    def __init__(self, world: World, **camera: Any) -> None:
        self.world = world
        self.stage = world.device("stage", XY_STAGE)
        usual: dict[str, Any] = {"index_pixels": False, "world": "sample"}
        self.camera = SimCamera(**(usual | camera))
        self.camera.clock = _Hurry()
        self.camera.enter(world.path, "camera1")
        self.camera.open()

    def light(self, wavelength_nm: float, power_mw: float) -> None:
        """Turn on one laser, and all others off."""
        laser = self.world.device("laser", LIGHT_SOURCE)
        laser.write(wavelength_nm=wavelength_nm, power_mw=power_mw, is_on=1.0)

    def film(self, frames: int) -> Film:
        """Return so many frames, as fast as they can be made."""
        stack = np.zeros((frames, *self.camera.frame_shape), np.uint16)
        self.camera.start(frames)
        try:
            for frame in stack:
                while self.camera.read_into(frame, 10.0) is None:
                    continue
        finally:
            self.camera.stop()
        return stack


@contextmanager
def scope_of(
    sample: str, seed: int, *, bleaching: float = 1.0, **camera: Any
) -> Iterator[Scope]:
    """Yield a microscope with a new sample; its world is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        world = World.create(
            Path(folder) / "sample.state",
            sample=sample,
            seed=seed,
            bleaching=bleaching,
        )
        scope = Scope(world, **camera)
        try:
            yield scope
        finally:
            scope.camera.close()
