"""From an exposure to the light on a camera's sensor."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from modules.simulation.world import masked
from modules.simulation.world.dyes import DYES, emission
from modules.simulation.world.exposures import Exposure, Exposures
from modules.simulation.world.illumination import band_of
from modules.simulation.world.psf import PointSpread
from modules.simulation.world.sample import Sample
from modules.simulation.world.scene import Scene
from modules.simulation.world.view import Image, View
from modules.simulation.world.world import World

Floats = npt.NDArray[np.float64]

TRANSMISSION: Final = 0.5
"""Part of the collected light that objective, mirrors and tube lens let through."""
_RIM_UM: Final = 1.5
"""Emitters this far outside the view still send light into it, in focus."""


class Renderer:
    """Draws what one camera sees of a world.

    The image is a function of the exposure and the view alone; what is kept between
    frames only saves time.

    Runs on: any, one thread at a time.
    """

    def __init__(self, world: World, camera: str) -> None:
        self._world = world
        self._camera = camera
        self._exposures = Exposures(world)
        self._sample = Sample(world)
        self._spreads: tuple[float, list[PointSpread]] | None = None
        self._scene: tuple[tuple[object, ...], Scene] | None = None

    def photons(self, exposure: Exposure, view: View, part: float = 1.0) -> Image:
        """Return the photons on each binned pixel during an exposure.

        Args:
            exposure: One of this world's.
            view: What the camera reads out.
            part: How much of the exposure's time the camera's shutter was open.

        Raises:
            DeviceError: The exposure is too old to be seen.
        """
        scene = self.scene(exposure, view)
        return view.binned(scene.photons(exposure, part, self.seen(exposure)))

    def seen(self, exposure: Exposure) -> Floats:
        """Return which part of each dye's emission reaches the sensor.

        The objective collects what lies in its cone: (1 - cos a) / 2 of all directions.
        """
        settings = self._world.settings
        sine = min(settings.numerical_aperture / settings.immersion_index, 0.98)
        collected = (1.0 - math.sqrt(1.0 - sine**2)) / 2
        low_nm, high_nm = band_of(
            self._world, self._camera, exposure.low_nm, exposure.high_nm
        )
        return emission(low_nm, high_nm) * collected * TRANSMISSION

    def scene(self, exposure: Exposure, view: View) -> Scene:
        """Return what is in view during an exposure; the last scene is kept.

        Raises:
            DeviceError: The exposure is too old to be seen.
        """
        at_um = exposure.x_um, exposure.y_um, exposure.z_um
        key = (view, at_um, exposure.spot, exposure.since)
        if self._scene is None or self._scene[0] != key:
            spreads = self._spreads_for(view.pixel_um)
            emitters = self._sample.within(*self._rectangle(view, at_um, spreads))
            self._scene = (
                key,
                Scene(
                    self._world,
                    view,
                    at_um,
                    emitters,
                    self._exposures.other_doses(exposure),
                    masked.doses(self._world.file, exposure.number, emitters),
                    spreads,
                ),
            )
        return self._scene[1]

    def _rectangle(
        self,
        view: View,
        at_um: tuple[float, float, float],
        spreads: list[PointSpread],
    ) -> tuple[float, float, float, float]:
        """Return the part of the sample that may send light into the view."""
        x_um, y_um, z_um = at_um
        half_um = self._world.settings.field_um / 2
        depth_um = abs(z_um) + 3.0
        rim_um = _RIM_UM + depth_um * max(spread.slope for spread in spreads)
        left_um, top_um = view.left_um, view.top_um
        right_um = left_um + view.width * view.pixel_um
        bottom_um = top_um + view.height * view.pixel_um
        return (
            x_um + max(-half_um, left_um - rim_um),
            y_um + max(-half_um, top_um - rim_um),
            x_um + min(half_um, right_um + rim_um),
            y_um + min(half_um, bottom_um + rim_um),
        )

    def _spreads_for(self, pixel_um: float) -> list[PointSpread]:
        if self._spreads is None or self._spreads[0] != pixel_um:
            settings = self._world.settings
            self._spreads = (
                pixel_um,
                [
                    PointSpread(
                        dye.emits_nm,
                        settings.numerical_aperture,
                        settings.immersion_index,
                        pixel_um,
                    )
                    for dye in DYES
                ],
            )
        return self._spreads[1]
