"""Which light reaches the sample, and what of its answer reaches a camera."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from modules.simulation.world import layout
from modules.simulation.world.device_state import DeviceState
from modules.simulation.world.dyes import DYES, HAZE
from modules.simulation.world.kinds import (
    EVERYTHING_NM,
    FILTER_WHEEL,
    LIGHT_SOURCE,
    PROJECTOR,
    SHUTTER,
)
from modules.simulation.world.world import World

Doses = npt.NDArray[np.float64]

LAMP: dict[str, float] = {
    "wavelength_nm": 510.0,
    "bandwidth_nm": 320.0,
    "power_mw": 40.0,
    "is_on": 1.0,
}
"""The white lamp of a microscope that has no light source of its own."""


def dose_rates(world: World) -> Doses:
    """Return what each dye's dose grows by per second under the light of now."""
    behind = {name for each in world.of_kind(PROJECTOR) for name in each.note}
    sources = [s for s in world.of_kind(LIGHT_SOURCE) if s.name not in behind]
    return _rates(world, _shining(world, sources) if sources else [LAMP])


def projected_rates(world: World, projector: DeviceState) -> Doses:
    """Return the same where `projector` lets the light through that is behind it."""
    behind = [s for s in world.of_kind(LIGHT_SOURCE) if s.name in projector.note]
    return _rates(world, _shining(world, behind))


def _rates(world: World, lights: list[dict[str, float]]) -> Doses:
    rates = np.zeros(layout.DYES)
    for light in lights:
        for number, dye in enumerate(DYES):
            absorbed_mw = light["power_mw"] * dye.absorbed(
                light["wavelength_nm"], light["bandwidth_nm"]
            )
            if number == HAZE:
                rates[number] += absorbed_mw * world.settings.background_per_s
            else:
                per_mj = dye.photons_per_mj(world.settings.field_um)
                rates[number] += absorbed_mw * per_mj
    return rates


def pass_bands(world: World) -> tuple[Doses, Doses]:
    """Return the pass band of each filter wheel, by its ordinal, nm."""
    low_nm = np.zeros(layout.WHEELS)
    high_nm = np.full(layout.WHEELS, EVERYTHING_NM)
    for wheel in world.of_kind(FILTER_WHEEL)[: layout.WHEELS]:
        band = wheel.read()
        low_nm[wheel.ordinal] = band["low_nm"]
        high_nm[wheel.ordinal] = band["high_nm"]
    return low_nm, high_nm


def band_of(
    world: World, camera: str, low_nm: Doses, high_nm: Doses
) -> tuple[float, float]:
    """Return the light that passes all wheels in front of `camera`, as a band in nm."""
    low, high = 0.0, EVERYTHING_NM
    for wheel in world.of_kind(FILTER_WHEEL)[: layout.WHEELS]:
        if not wheel.note or camera in wheel.note:
            low = max(low, float(low_nm[wheel.ordinal]))
            high = min(high, float(high_nm[wheel.ordinal]))
    return low, high


def _shining(world: World, sources: list[DeviceState]) -> list[dict[str, float]]:
    """Return those of these that are on, and behind no shutter that is closed."""
    closed = [s for s in world.of_kind(SHUTTER) if not s["is_open"]]
    if any(not shutter.note for shutter in closed):
        return []
    blocked = {name for shutter in closed for name in shutter.note}
    # Sums are the same whichever of them was the first to come.
    sources.sort(key=lambda source: source.name)
    shining = [source.read() for source in sources if source.name not in blocked]
    return [light for light in shining if light["is_on"]]
