"""What a camera sees while nothing moves: prepared once, then cheap for each frame."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from modules.simulation.world import layout
from modules.simulation.world.blur import Discs
from modules.simulation.world.dyes import BEADS, DYES, HAZE, MOLECULES
from modules.simulation.world.exposures import SPOT_UM, Exposure
from modules.simulation.world.photophysics import Blinking, emitted, faded
from modules.simulation.world.psf import NEAR_UM, PointSpread
from modules.simulation.world.sample import Emitters
from modules.simulation.world.stamping import Points, Stamps
from modules.simulation.world.view import Image, View
from modules.simulation.world.world import World

Floats = npt.NDArray[np.float64]

EXACT_DYES: Final = (MOLECULES, BEADS)
"""Dyes of points that somebody may want to localise."""


class Scene:
    """The emitters in view at one position of stage and focus.

    All light is in photons on the sensor. What an emitter has had elsewhere of the
    sample is in its `before`; what it gets here is the same for all in view, and comes
    with each frame. So a frame is a weighted sum of a few fixed images and of the
    molecules that happen to be on.

    Runs on: any, one thread at a time.
    """

    def __init__(
        self,
        world: World,
        view: View,
        at_um: tuple[float, float, float],
        emitters: Emitters,
        others: tuple[Floats, Floats],
        projected: Floats,
        spreads: list[PointSpread],
    ) -> None:
        """Prepare the images.

        Args:
            world: Where it is.
            view: What the camera reads out.
            at_um: Where optical axis and focus are in the sample: x, y, z.
            emitters: All that may be seen.
            others: Centres of fields illuminated before, and the doses there.
            projected: Dose of each emitter from projectors.
            spreads: The image of a point, for each dye.
        """
        self.emitters = emitters
        elsewhere = doses_before(emitters, others, world.settings.field_um)
        self.before = elsewhere + projected
        """Dose of each emitter from other positions of the stage, and projectors."""
        x_um, y_um, z_um = at_um
        self.points = Points(
            (emitters.x_um - x_um - view.left_um) / view.pixel_um,
            (emitters.y_um - y_um - view.top_um) / view.pixel_um,
            np.abs(emitters.z_um - z_um),
        )
        """Where they are on the sensor, in unbinned pixels of the region."""
        self._shape = view.height, view.width
        self._bleaching = world.settings.bleaching
        self._pixel_um = view.pixel_um
        self._spreads = spreads
        self._stains: dict[int, Image] = {}
        blinks = emitters.blinks
        for number in np.unique(emitters.dye[~blinks]).tolist():
            chosen = ~blinks & (emitters.dye == number)
            left = faded(DYES[number], self._bleaching, self.before)
            light = emitters.molecules * left
            self._stains[number] = sum(
                (part.image(light[who]) for who, part in self._parts(chosen, False)),
                np.zeros(self._shape, np.float32),
            )
        self.singles = np.flatnonzero(blinks)
        """Index of each molecule that blinks."""
        self._blinking = Blinking(world, emitters.where(blinks))
        self._singles = [
            (who, part)
            for number in np.unique(emitters.dye[blinks]).tolist()
            for who, part in self._parts(blinks & (emitters.dye == number), True)
        ]
        self._lit = _illuminated(view, world.settings.field_um)

    def photons(self, exposure: Exposure, part: float, seen: Floats) -> Image:
        """Return the light on each unbinned pixel.

        Args:
            exposure: One at the position this was prepared for.
            part: How much of its time the camera's shutter was open.
            seen: Which part of each dye's emission reaches the sensor.
        """
        image = np.zeros(self._shape, np.float32)
        haze = exposure.gain[HAZE] * part * seen[HAZE] * self._pixel_um**2
        image += self._lit * np.float32(haze)
        for number, base in self._stains.items():
            dye = DYES[number]
            left = faded(dye, self._bleaching, float(exposure.dose[number]))
            each = emitted(dye, self._bleaching, float(exposure.gain[number]) * part)
            factor = float(left) * each * seen[number]
            if factor > 0.0:
                image += base * np.float32(factor)
        if self._singles:
            light = np.zeros(len(self.emitters))
            light[self.singles] = self.singles_photons(exposure, part, seen)
            for who, stamps in self._singles:
                image += stamps.image(light[who])
        return image

    def singles_photons(self, exposure: Exposure, part: float, seen: Floats) -> Floats:
        """Return the photons of each blinking molecule that reach the sensor."""
        dyes = self.emitters.dye[self.singles]
        dose = self.before[self.singles] + exposure.dose[dyes]
        each = self._blinking.emitted(dose, exposure.gain[dyes] * part)
        return each * seen[dyes] * self.emitters.molecules[self.singles]

    def stains_photons(self, exposure: Exposure, part: float, seen: Floats) -> Floats:
        """Return the photons of each emitter that does not blink; 0 for the others."""
        light = np.zeros(len(self.emitters))
        for number in self._stains:
            chosen = (self.emitters.dye == number) & ~self.emitters.blinks
            dye = DYES[number]
            dose = self.before[chosen] + exposure.dose[number]
            each = emitted(dye, self._bleaching, float(exposure.gain[number]) * part)
            left = faded(dye, self._bleaching, dose)
            light[chosen] = self.emitters.molecules[chosen] * left * each * seen[number]
        return light

    def _parts(
        self, chosen: npt.NDArray[np.bool_], keep: bool
    ) -> list[tuple[npt.NDArray[np.int64], Stamps | Discs]]:
        """Return images of the chosen emitters, which are of one dye."""
        number = int(self.emitters.dye[chosen][0])
        spread = self._spreads[number]
        dz_um = self.points.dz_um
        parts: list[tuple[npt.NDArray[np.int64], Stamps | Discs]] = []
        near = np.flatnonzero(chosen & (dz_um <= NEAR_UM))
        if len(near):
            exactly = number in EXACT_DYES
            stamps = Stamps(
                spread, self._of(near), self._shape, exactly=exactly, keep=keep
            )
            parts.append((near, stamps))
        far = np.flatnonzero(chosen & (dz_um > NEAR_UM))
        if len(far):
            points = self._of(far)
            radius_px = points.dz_um * spread.slope / self._pixel_um
            parts.append((far, Discs(points, radius_px, self._shape)))
        return parts

    def _of(self, who: npt.NDArray[np.int64]) -> Points:
        points = self.points
        return Points(points.x[who], points.y[who], points.dz_um[who])


def doses_before(
    emitters: Emitters, others: tuple[Floats, Floats], field_um: float
) -> Floats:
    """Return the dose that each emitter has had in other illuminated fields."""
    before = np.zeros(len(emitters))
    half_um = field_um / 2 + SPOT_UM / 2
    for (x_um, y_um), doses in zip(*others, strict=True):
        inside = np.abs(emitters.x_um - x_um) <= half_um
        inside &= np.abs(emitters.y_um - y_um) <= half_um
        before += np.where(inside, doses[emitters.dye], 0.0)
    return before


def _illuminated(view: View, field_um: float) -> Image:
    """Return 1 for each pixel in the illuminated field, 0 outside."""
    x_um = np.abs(view.left_um + (np.arange(view.width) + 0.5) * view.pixel_um)
    y_um = np.abs(view.top_um + (np.arange(view.height) + 0.5) * view.pixel_um)
    lit = (y_um <= field_um / 2)[:, None] & (x_um <= field_um / 2)[None, :]
    return np.asarray(lit, np.float32)


assert max(EXACT_DYES) < layout.DYES
