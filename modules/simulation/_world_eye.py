"""How a simulated camera sees its world: light in, numbers out, and what was there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from modules.simulation.world import DeviceState, World
from modules.simulation.world.exposures import Exposure, Exposures
from modules.simulation.world.renderer import Renderer
from modules.simulation.world.sensor import Sensor, SensorSettings
from modules.simulation.world.truth import Truth, truth, write_truth
from modules.simulation.world.view import View


class WorldEye:
    """One camera's sensor in the world, for film after film.

    Runs on: as `Camera`.
    """

    def __init__(self, world: World, here: DeviceState) -> None:
        self.exposures = Exposures(world)
        """All that was exposed in this world."""
        self._world = world
        self._here = here
        self._renderer = Renderer(world, here.name)
        self._sensor: tuple[object, Sensor] | None = None
        self._view: View | None = None
        self._truth: list[Truth] | None = None

    def prepare(self, view: View, settings: SensorSettings, *, keep: bool) -> None:
        """Get ready for a film; `keep` the truth about it."""
        if self._sensor is None or self._sensor[0] != (view, settings):
            sensor = Sensor(self._world, self._here.name, view, settings)
            self._sensor = (view, settings), sensor
        self._view = view
        self._truth = [] if keep else None

    def begin_film(self) -> int:
        """Return the number of a new film that others may follow."""
        film = int(self._here["films"]) + 1
        self._here.write(films=film)
        return film

    def lead(
        self, film: int, frame: int, exposure_s: float, out: np.ndarray[Any, Any]
    ) -> None:
        """Expose the sample, and fill `out` with what the sensor makes of it."""
        exposure = self.exposures.expose(self._here, film, frame, exposure_s)
        self._take(exposure, 1.0, out)

    def follow(
        self, exposure: Exposure, exposure_s: float, out: np.ndarray[Any, Any]
    ) -> None:
        """Fill `out` with what this sensor makes of an exposure led by another."""
        part = 1.0
        if exposure.exposure_s > 0.0:
            part = min(1.0, exposure_s / exposure.exposure_s)
        self._take(exposure, part, out)

    def write_truth(self, stem: Path) -> tuple[Path, ...]:
        """Write the truth about the last film, if it was kept; return the files."""
        if self._truth is None:
            return ()
        path = stem.with_name(f"{stem.name}.{self._here.name}.truth.csv")
        write_truth(path, self._truth)
        return (path,)

    def _take(self, exposure: Exposure, part: float, out: np.ndarray[Any, Any]) -> None:
        assert self._sensor is not None
        assert self._view is not None
        photons = self._renderer.photons(exposure, self._view, part)
        self._sensor[1].read(photons, exposure.number, out)
        if self._truth is not None:
            self._truth.append(truth(self._renderer, self._view, exposure, part))
