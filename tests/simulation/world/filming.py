"""A camera in a world of its own, and films of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from modules.simulation import SimCamera
from modules.simulation.world import CAMERA, XY_STAGE, Z_STAGE, World
from modules.simulation.world.exposures import Exposure, Exposures
from modules.simulation.world.renderer import Renderer
from modules.simulation.world.view import View

PIXEL_UM = 0.1


class Bench:
    """A world with the light always on, seen without a camera's noise."""

    def __init__(self, path: Path, *, size_px: int = 128, **parameters: Any) -> None:
        self.world = World.create(path, **parameters)
        self.stage = self.world.device("stage", XY_STAGE)
        self.z = self.world.device("z", Z_STAGE)
        self.camera = self.world.device("camera1", CAMERA)
        self.exposures = Exposures(self.world)
        self.renderer = Renderer(self.world, "camera1")
        self.view = View((size_px, size_px), (0, 0, size_px, size_px), 1, PIXEL_UM)
        self._frame = 0

    def expose(self, exposure_s: float = 0.05) -> Exposure:
        self._frame += 1
        return self.exposures.expose(self.camera, 1, self._frame, exposure_s)

    def photons(self, exposure_s: float = 0.05) -> np.ndarray[Any, Any]:
        """Return the light of a new exposure."""
        exposure = self.expose(exposure_s)
        return self.renderer.photons(exposure, self.view).astype(np.float64)


def camera_in(world: World, name: str = "camera1", **values: Any) -> SimCamera:
    """Return an open camera that lives in `world`, as quick as can be."""
    size = {"width_px": 96, "height_px": 80}
    usual = {"exposure_s": 0.0, "max_fps": 1e6, "index_pixels": False}
    camera = SimCamera(**(size | usual | {"world": "sample"} | values))
    camera.enter(world.path, name)
    camera.open()
    return camera


def film_of(camera: SimCamera, frames: int) -> np.ndarray[Any, Any]:
    """Return the frames of a new film, stacked."""
    stack = np.zeros((frames, *camera.frame_shape), np.uint16)
    camera.start(frames)
    for frame in stack:
        assert camera.read_into(frame, 5.0) is not None
    camera.stop()
    return stack


def film_in(path: Path, frames: int = 6, **values: Any) -> bytes:
    """Return the bytes of a film of a new or known world at `path`."""
    camera = camera_in(World.create(path), exposure_s=0.001, **values)
    try:
        return film_of(camera, frames).tobytes()
    finally:
        camera.close()
