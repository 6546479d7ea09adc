"""What was really there during a film: every molecule and bead, frame by frame.

Localisation software is judged by such tables (Sage et al., Nat. Methods 16:387, 2019).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hal.base import DeviceError
from modules.simulation.world.dyes import DYES
from modules.simulation.world.exposures import Exposure
from modules.simulation.world.renderer import Renderer
from modules.simulation.world.scene import EXACT_DYES
from modules.simulation.world.view import View

Truth = npt.NDArray[Any]

_LEAST_PHOTONS: Final = 0.01

TRUTH: Final = np.dtype(
    [
        ("frame", "<i8"),
        ("emitter", "<i8"),
        ("channel", "U12"),
        ("x_px", "<f8"),
        ("y_px", "<f8"),
        ("x_um", "<f8"),
        ("y_um", "<f8"),
        ("z_um", "<f8"),
        ("photons", "<f8"),
    ]
)
"""One emitter in one frame, as it really was.

`emitter` is the same number for the same emitter, always, and `channel` its dye.
`x_px` and `y_px` are in binned pixels of the frame, the centre of the first pixel being
(0, 0); `x_um`, `y_um`, `z_um` are its place in the sample. `photons` are those expected
on the sensor: before quantum efficiency, noise and rounding.
"""


def truth(renderer: Renderer, view: View, exposure: Exposure, part: float) -> Truth:
    """Return every single molecule and bead that gave light in one frame.

    Args:
        renderer: Of the camera.
        view: What it read out.
        exposure: The frame's.
        part: How much of its time the camera was open.
    """
    scene = renderer.scene(exposure, view)
    seen = renderer.seen(exposure)
    photons = scene.stains_photons(exposure, part, seen)
    photons[scene.singles] = scene.singles_photons(exposure, part, seen)
    emitters, points = scene.emitters, scene.points
    shown = np.isin(emitters.dye, EXACT_DYES) & (photons > _LEAST_PHOTONS)
    shown &= (points.x >= 0) & (points.x < view.width)
    shown &= (points.y >= 0) & (points.y < view.height)
    rows = np.zeros(np.count_nonzero(shown), TRUTH)
    rows["frame"] = exposure.frame
    rows["emitter"] = emitters.number[shown]
    rows["channel"] = np.array([dye.name for dye in DYES])[emitters.dye[shown]]
    rows["x_px"] = points.x[shown] / view.binning - 0.5
    rows["y_px"] = points.y[shown] / view.binning - 0.5
    rows["x_um"], rows["y_um"] = emitters.x_um[shown], emitters.y_um[shown]
    rows["z_um"], rows["photons"] = emitters.z_um[shown], photons[shown]
    return rows


def write_truth(path: Path, film: Iterable[Truth]) -> None:
    """Write tables as comma-separated values, with a line of names on top.

    Raises:
        DeviceError: It cannot be written.
    """
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(TRUTH.names or ())
            for rows in film:
                for row in rows.tolist():
                    table.writerow(
                        f"{n:.7g}" if isinstance(n, float) else n for n in row
                    )
    except OSError as exc:
        raise DeviceError(f"{path} cannot be written: {exc}") from exc
