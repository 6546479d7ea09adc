"""What is on the coverslip: emitters, tile by tile, without end in any direction.

Emitters are generated where somebody looks, from the seed and the tile's place alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from modules.simulation.world import cells, molecules
from modules.simulation.world.dyes import BEADS, DYES, PUNCTA
from modules.simulation.world.world import World

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TILE_UM: Final = 50.0
"""Side of a tile; tile (0, 0) is centred at the origin."""
TILES_KEPT: Final = 100
"""About 50 MB of them."""
OVERHANG_UM: Final = 10.0
"""How far emitters may lie outside their tile."""
_BEADS_ALONG: Final = 5
_BEAD_MOLECULES: Final = 40.0
_SPOT_MOLECULES: Final = (60.0, 180.0)
_IDS_PER_TILE: Final = 2**20


@dataclass(frozen=True)
class Emitters:
    """Points that give light; all arrays are of the same length."""

    x_um: Floats
    y_um: Floats
    z_um: Floats
    dye: Ints
    """Index in `DYES`."""
    molecules: Floats
    """How many molecules of the dye are there."""
    number: Ints
    """Who it is: the same for the same emitter, always."""

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.x_um)

    def where(self, chosen: npt.NDArray[np.bool_]) -> Emitters:
        """Return those that are chosen."""
        return Emitters(
            self.x_um[chosen],
            self.y_um[chosen],
            self.z_um[chosen],
            self.dye[chosen],
            self.molecules[chosen],
            self.number[chosen],
        )

    @property
    def blinks(self) -> npt.NDArray[np.bool_]:
        """Which of them are single molecules that go on and off."""
        return np.array([dye.on_photons > 0.0 for dye in DYES])[self.dye]


class Sample:
    """All emitters of a world; the tiles seen last are kept.

    Runs on: any, one thread at a time.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._tiles: dict[tuple[int, int], Emitters] = {}

    def within(
        self, left_um: float, top_um: float, right_um: float, bottom_um: float
    ) -> Emitters:
        """Return all emitters in a rectangle of the sample; it may be empty."""
        first_x = _tile_at(left_um - OVERHANG_UM)
        first_y = _tile_at(top_um - OVERHANG_UM)
        # What lies beside the light has its right edge left of its left one.
        last_x = max(first_x, _tile_at(right_um + OVERHANG_UM))
        last_y = max(first_y, _tile_at(bottom_um + OVERHANG_UM))
        tiles = [
            self._tile(column, row)
            for row in range(first_y, last_y + 1)
            for column in range(first_x, last_x + 1)
        ]
        found = _joined(tiles)
        inside = (found.x_um >= left_um) & (found.x_um < right_um)
        inside &= (found.y_um >= top_um) & (found.y_um < bottom_um)
        return found.where(inside)

    def _tile(self, column: int, row: int) -> Emitters:
        # The last ones asked for are the last ones in the dictionary.
        tile = self._tiles.pop((column, row), None)
        if tile is None:
            tile = self._generated(column, row)
        self._tiles[column, row] = tile
        if len(self._tiles) > TILES_KEPT:
            del self._tiles[next(iter(self._tiles))]
        return tile

    def _generated(self, column: int, row: int) -> Emitters:
        kind = self._world.settings.sample
        ordinal = (column & 0xFFFF_FFFF) << 32 | row & 0xFFFF_FFFF
        chance = self._world.random(f"tile of {kind}", ordinal)
        if kind == "cells":
            points = cells.cell(chance)
        elif kind == "molecules":
            points = molecules.lines_and_clusters(chance, TILE_UM)
        elif kind == "beads":
            points = _beads(chance)
        elif kind == "spots":
            points = _spots(chance)
        else:
            points = np.zeros((0, 5))
        # Tiles far away would share numbers after 2^21 of them, which is 100 m.
        first = ((column & 0x1F_FFFF) << 21 | row & 0x1F_FFFF) * _IDS_PER_TILE
        return Emitters(
            points[:, 0] + column * TILE_UM,
            points[:, 1] + row * TILE_UM,
            points[:, 2],
            points[:, 3].astype(np.int64),
            points[:, 4],
            first + np.arange(len(points)),
        )


def _tile_at(um: float) -> int:
    return round(um / TILE_UM)


def _beads(chance: np.random.Generator) -> Floats:
    """Return beads in one plane, no two of them closer than 4 um."""
    pitch_um = TILE_UM / _BEADS_ALONG
    places = (np.arange(_BEADS_ALONG) + 0.5) * pitch_um - TILE_UM / 2
    x_um, y_um = np.meshgrid(places, places)
    count = x_um.size
    jitter_um = chance.uniform(-0.3 * pitch_um, 0.3 * pitch_um, (2, count))
    return np.stack(
        [
            x_um.ravel() + jitter_um[0],
            y_um.ravel() + jitter_um[1],
            np.zeros(count),
            np.full(count, float(BEADS)),
            np.full(count, _BEAD_MOLECULES),
        ],
        axis=1,
    )


def _spots(chance: np.random.Generator) -> Floats:
    """Return the same of a dye that bleaches, some brighter than others."""
    points = _beads(chance)
    points[:, 3] = PUNCTA
    points[:, 4] = chance.uniform(*_SPOT_MOLECULES, len(points))
    return points


def _joined(tiles: list[Emitters]) -> Emitters:
    return Emitters(
        np.concatenate([tile.x_um for tile in tiles]),
        np.concatenate([tile.y_um for tile in tiles]),
        np.concatenate([tile.z_um for tile in tiles]),
        np.concatenate([tile.dye for tile in tiles]),
        np.concatenate([tile.molecules for tile in tiles]),
        np.concatenate([tile.number for tile in tiles]),
    )
