"""Single molecules on lines and in clusters, as localisation microscopy needs them."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from modules.simulation.world.dyes import MOLECULES

_LINES: Final = 6
_ON_LINE: Final = 100
_CLUSTERS: Final = 20
_IN_CLUSTER: Final = 20
_CLUSTER_UM: Final = 0.04
_DEPTH_UM: Final = 0.1


def lines_and_clusters(
    chance: np.random.Generator, side_um: float
) -> npt.NDArray[np.float64]:
    """Return 1,000 molecules in a square about the origin: x, y, z, dye, 1 each.

    Six hundred lie on gently curved lines, at random places along them, and four
    hundred in twenty clusters of 40 nm standard deviation.
    """
    half_um = side_um / 2
    along = np.sort(chance.uniform(-half_um, half_um, (_LINES, _ON_LINE)), axis=1)
    angle = chance.uniform(0.0, math.pi, (_LINES, 1))
    offset_um = chance.uniform(-0.5 * half_um, 0.5 * half_um, (_LINES, 1))
    bend = chance.uniform(-0.006, 0.006, (_LINES, 1))
    across = offset_um + bend * along**2
    x_line = along * np.cos(angle) - across * np.sin(angle)
    y_line = along * np.sin(angle) + across * np.cos(angle)
    centres = chance.uniform(-half_um, half_um, (_CLUSTERS, 1, 2))
    clustered = centres + chance.normal(0.0, _CLUSTER_UM, (_CLUSTERS, _IN_CLUSTER, 2))
    x_um = np.concatenate([x_line.ravel(), clustered[..., 0].ravel()])
    y_um = np.concatenate([y_line.ravel(), clustered[..., 1].ravel()])
    # What leaves the square comes in on the other side.
    count = x_um.size
    return np.stack(
        [
            (x_um + half_um) % side_um - half_um,
            (y_um + half_um) % side_um - half_um,
            chance.normal(0.0, _DEPTH_UM, count),
            np.full(count, float(MOLECULES)),
            np.ones(count),
        ],
        axis=1,
    )
