"""The light a world has seen: exposure after exposure, each with its consequences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hal.base import DeviceError
from modules.simulation.world import layout, masked
from modules.simulation.world.device_state import DeviceState
from modules.simulation.world.file_lock import locked
from modules.simulation.world.illumination import dose_rates, pass_bands
from modules.simulation.world.state_file import Records
from modules.simulation.world.world import World

Doses = npt.NDArray[np.float64]

SPOT_UM: Final = 10.0
"""Doses are kept for fields on a grid of this pitch; what is seen is always inside."""


@dataclass(frozen=True)
class Exposure:
    """One opening of a camera's shutter, and the world as it was then."""

    number: int
    """Counted from 1 over the life of the world."""
    camera: int
    """Ordinal of the camera that led it."""
    film: int
    """Counted from 1 per camera."""
    frame: int
    """Index in that film."""
    spot: int
    """Which part of the sample was illuminated."""
    since: int
    """Number of the first exposure since the illuminated part last changed."""
    exposure_s: float
    clock_s: float
    """The world's clock when it began."""
    x_um: float
    y_um: float
    z_um: float
    """Where the optical axis and the focus were in the sample; drift is included."""
    dose: Doses
    """Of each dye in this part of the sample when it began."""
    gain: Doses
    """What it adds to them."""
    low_nm: Doses
    high_nm: Doses
    """The pass band of each filter wheel."""


class Exposures:
    """Counts exposures and the light they deliver, and finds them again.

    Runs on: any, in any process.

    Guarantees:
        A kill at any moment leaves every exposure either counted with all its
        consequences or not at all, once the next one begins.
        What is found of an exposure does not depend on how late it is asked for.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._file = world.file
        self._spots: dict[tuple[int, int], int] = {}

    @property
    def count(self) -> int:
        """How many there have been; the number of the last one."""
        return self._file.count

    def expose(
        self, camera: DeviceState, film: int, frame: int, exposure_s: float
    ) -> Exposure:
        """Deliver the light of one exposure, as the devices stand now.

        Raises:
            DeviceError: The file has no room for one more part of the sample.
        """
        world = self._world
        rates = dose_rates(world)
        new = np.zeros(1, layout.EXPOSURE)
        new["low_nm"], new["high_nm"] = pass_bands(world)
        new["camera"], new["film"], new["frame"] = camera.ordinal, film, frame
        new["exposure_s"], new["gain"] = exposure_s, rates * exposure_s
        with locked(world.path):
            self._complete()
            number = self._file.count + 1
            clock_s = world.clock_s()
            x_um, y_um = world.position_um()
            drift_x_um, drift_y_um, _ = world.drift_um(clock_s)
            new["clock_s"], new["z_um"] = clock_s, world.defocus_um(clock_s)
            new["x_um"], new["y_um"] = x_um - drift_x_um, y_um - drift_y_um
            spot = self._spot(float(new["x_um"][0]), float(new["y_um"][0]))
            last = self._file.exposure(number - 1)
            stays = last is not None and int(last["spot"][0]) == spot
            stays = stays and masked.last_after(self._file) < number - 1
            new["since"] = last["since"] if last is not None and stays else number
            new["spot"], new["dose"] = spot, self._file.spots["dose"][spot]
            self._note(number, new)
            self._complete()
        found = self.find(number)
        assert found is not None
        return found

    def find(self, number: int) -> Exposure | None:
        """Return an exposure by its number; None if it is too old, or still to come."""
        record = self._file.exposure(number)
        return None if record is None else _exposure(record)

    def other_doses(self, exposure: Exposure) -> tuple[npt.NDArray[np.float64], Doses]:
        """Return where else the sample was illuminated before, and how much.

        Returns:
            Centres of illuminated fields in um, of the shape (fields, 2), and the doses
            there, of the shape (fields, dyes). Its own spot is not among them.
        """
        used = int(np.count_nonzero(self._file.spots["used"]))
        spots = self._file.spots[:used].copy()
        doses = spots["dose"]
        # What was delivered since is taken back, in case it was asked for late.
        for number in range(self._file.count, exposure.number - 1, -1):
            record = self._file.exposure(number)
            if record is None:
                raise DeviceError(
                    f"exposure {exposure.number} is too old to be seen: a following "
                    f"camera may lag behind by {layout.JOURNAL} exposures"
                )
            if int(record["spot"][0]) < used:
                doses[int(record["spot"][0])] = record["dose"][0]
        centres = SPOT_UM * np.stack([spots["column"], spots["row"]], axis=1)
        reach_um = self._world.settings.field_um + 2 * SPOT_UM
        near = (np.abs(centres - centres[exposure.spot]) < reach_um).all(axis=1)
        near[exposure.spot] = False
        return centres[near], doses[near]

    def rewind(self, number: int) -> None:
        """Make exposure `number` and all after it undone, so that they can be repeated.

        May be repeated itself, after a kill for example.

        Raises:
            DeviceError: They are too many to be known still.
        """
        with locked(self._world.path):
            self._complete()
            count = self._file.count
            for undone in range(count, number - 1, -1):
                record = self._file.exposure(undone)
                if record is None:
                    raise DeviceError(f"exposure {undone} cannot be undone any more")
                self._file.spots["dose"][int(record["spot"][0])] = record["dose"][0]
            masked.rewind(self._file, number)
            self._file.journal["number"][0] = min(count, number - 1)
            for undone in range(number, count + 1):
                self._file.journal["number"][layout.place_of(undone)] = 0

    def _note(self, number: int, record: Records) -> None:
        place = layout.place_of(number)
        journal = self._file.journal
        # Valid is what has its number: so that goes first and comes last.
        journal["number"][place] = 0
        record["number"] = 0
        journal[place : place + 1] = record
        journal["number"][place] = number

    def _complete(self) -> None:
        """Draw all consequences of the last exposure noted; harmless when repeated."""
        journal = self._file.journal
        number = self._file.count
        if int(journal["number"][layout.place_of(number + 1)]) == number + 1:
            # Counted before its dose is: who reads in between takes the dose back.
            number += 1
            journal["number"][0] = number
        last = self._file.exposure(number)
        if last is not None:
            dose = last["dose"][0] + last["gain"][0]
            self._file.spots["dose"][int(last["spot"][0])] = dose

    def _spot(self, x_um: float, y_um: float) -> int:
        """Return the number of the field that contains what is seen from there."""
        at = round(x_um / SPOT_UM), round(y_um / SPOT_UM)
        table = self._file.spots
        while at not in self._spots:
            number = len(self._spots)
            if number == layout.SPOTS:
                raise DeviceError(
                    f"world state {self._file.path} is full: {layout.SPOTS} parts of "
                    "the sample were illuminated; begin with a new one"
                )
            if not table["used"][number]:
                table["column"][number], table["row"][number] = at
                table["used"][number] = 1
            self._spots[int(table["column"][number]), int(table["row"][number])] = (
                number
            )
        return self._spots[at]


def _exposure(record: Records) -> Exposure:
    values = {
        name: record[name][0].copy()
        if record[name].ndim > 1
        else record[name][0].item()
        for name in layout.EXPOSURE.names or ()
        if name != "spare"
    }
    return Exposure(**values)
