"""Stained cells: nucleus, filaments, puncta, single molecules along the filaments.

Shapes and numbers are those of a spread mammalian cell in culture: a nucleus of 12 to
16 um, microtubules that radiate from beside it, vesicles all over.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from modules.simulation.world.dyes import FILAMENTS, MOLECULES, NUCLEI, PUNCTA

Floats = npt.NDArray[np.float64]

_NUCLEUS_POINTS: Final = 4000
_NUCLEUS_MOLECULES: Final = 30.0
_CHROMOCENTRES: Final = 28
_NUCLEOLI: Final = 3
_FILAMENTS: Final = 60
_STEPS: Final = 150
_STEP_UM: Final = 0.16
_FILAMENT_MOLECULES: Final = 22.0
_BEND_PER_STEP: Final = 0.045
_PUNCTA: Final = 110
_PUNCTUM_MOLECULES: Final = 150.0
_MOLECULES: Final = 320


def cell(chance: np.random.Generator) -> Floats:
    """Return the points of a cell near the origin: x, y, z in um, dye, molecules."""
    centre = chance.uniform(-4.0, 4.0, 2)
    angle = chance.uniform(0.0, 2 * math.pi)
    outline = _Outline(chance)
    axes = np.array([chance.uniform(6.5, 8.5), chance.uniform(5.0, 6.5), 2.2])
    nucleus = _nucleus(chance, axes)
    filaments = _filaments(chance, outline, axes)
    puncta = _puncta(chance, outline, axes)
    chosen = chance.choice(len(filaments), _MOLECULES, replace=False)
    singles = filaments[chosen].copy()
    singles[:, :3] += chance.normal(0.0, 0.012, (_MOLECULES, 3))
    singles[:, 3], singles[:, 4] = MOLECULES, 1.0
    points = np.concatenate([nucleus, filaments, puncta, singles])
    x_um, y_um = points[:, 0].copy(), points[:, 1].copy()
    points[:, 0] = math.cos(angle) * x_um - math.sin(angle) * y_um + centre[0]
    points[:, 1] = math.sin(angle) * x_um + math.cos(angle) * y_um + centre[1]
    return points


class _Outline:
    """How far the cell reaches in each direction."""

    def __init__(self, chance: np.random.Generator) -> None:
        self._radius_um = chance.uniform(19.0, 23.0)
        self._waves = chance.normal(0.0, 1.0, (2, 4)) * np.array(
            [0.13, 0.06, 0.04, 0.02]
        )

    def radius_um(self, angle: Floats) -> Floats:
        """Return the distance of the edge from the middle."""
        waves = np.zeros_like(angle)
        for order, (even, odd) in enumerate(self._waves.T.tolist(), 2):
            waves += even * np.cos(order * angle) + odd * np.sin(order * angle)
        edge: Floats = self._radius_um * np.clip(1.0 + waves, 0.6, 1.35)
        return edge


def _nucleus(chance: np.random.Generator, axes: Floats) -> Floats:
    """Return an ellipsoid, brighter in some places, with dark nucleoli."""
    spread = _in_ball(chance, _NUCLEUS_POINTS)
    centres = 0.85 * _in_ball(chance, _CHROMOCENTRES)
    clumped = centres[chance.integers(0, _CHROMOCENTRES, _NUCLEUS_POINTS)]
    clumped = clumped + chance.normal(0.0, 0.07, clumped.shape)
    points = np.where(chance.random((_NUCLEUS_POINTS, 1)) < 0.3, clumped, spread)
    holes = 0.55 * _in_ball(chance, _NUCLEOLI)
    away = np.linalg.norm((points[:, None, :2] - holes[None, :, :2]), axis=2)
    kept = (away > 0.17).all(axis=1) & (np.linalg.norm(points, axis=1) < 1.0)
    found = points[kept] * axes
    return _stained(found, NUCLEI, np.full(len(found), _NUCLEUS_MOLECULES))


def _filaments(chance: np.random.Generator, outline: _Outline, axes: Floats) -> Floats:
    """Return stiff chains from a place beside the nucleus to the edge of the cell."""
    start = chance.uniform(0.0, 2 * math.pi)
    root = 0.9 * axes[:2] * np.array([math.cos(start), math.sin(start)])
    # They begin around the place, not in it, or it would outshine all else.
    root = root + chance.normal(0.0, 1.6, (_FILAMENTS, 2))
    first = chance.uniform(0.0, 2 * math.pi, (_FILAMENTS, 1))
    bends = chance.normal(0.0, _BEND_PER_STEP, (_FILAMENTS, _STEPS))
    curl = chance.normal(0.0, 0.008, (_FILAMENTS, 1))
    heading = first + np.cumsum(bends + curl, axis=1)
    x_um = root[:, :1] + np.cumsum(np.cos(heading), axis=1) * _STEP_UM
    y_um = root[:, 1:] + np.cumsum(np.sin(heading), axis=1) * _STEP_UM
    reach = np.hypot(x_um, y_um)
    edge = outline.radius_um(np.arctan2(y_um, x_um).ravel()).reshape(x_um.shape)
    # A filament ends where it first meets the edge.
    inside = np.cumprod(reach < 0.96 * edge, axis=1).astype(bool)
    bulge = np.clip(1.0 - reach / edge, 0.0, 1.0)
    level = chance.uniform(-0.4, 1.6, (_FILAMENTS, 1))
    z_um = level * bulge + 0.15 * np.sin(heading * 3.0)
    points = np.stack([x_um[inside], y_um[inside], z_um[inside]], axis=1)
    amount = _FILAMENT_MOLECULES * chance.gamma(4.0, 0.25, len(points))
    return _stained(points, FILAMENTS, amount)


def _puncta(chance: np.random.Generator, outline: _Outline, axes: Floats) -> Floats:
    angle = chance.uniform(0.0, 2 * math.pi, _PUNCTA)
    # Denser towards the nucleus, but not on it.
    part = chance.beta(1.6, 2.2, _PUNCTA)
    direction = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    inner = 1.0 / np.linalg.norm(direction / axes[:2], axis=1)
    reach = inner + part * (0.94 * outline.radius_um(angle) - inner)
    z_um = chance.normal(0.0, 0.35, _PUNCTA)
    points = np.column_stack([direction * reach[:, None], z_um])
    amount = _PUNCTUM_MOLECULES * chance.lognormal(0.0, 0.6, _PUNCTA)
    return _stained(points, PUNCTA, amount)


def _in_ball(chance: np.random.Generator, count: int) -> Floats:
    """Return points spread evenly in the ball of radius 1."""
    points = chance.normal(0.0, 1.0, (count, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return np.asarray(points * chance.random((count, 1)) ** (1 / 3))


def _stained(points: Floats, dye: int, amount: Floats) -> Floats:
    return np.column_stack([points, np.full(len(points), float(dye)), amount])
