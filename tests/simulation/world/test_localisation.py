"""Somebody else's software finds the molecules where the ground truth has them."""

import csv
import warnings
from pathlib import Path

import numpy as np
import pytest
from photutils.detection import DAOStarFinder
from photutils.psf import CircularGaussianPRF, PSFPhotometry

from modules.simulation.world import World
from tests.simulation.world.filming import camera_in, film_of

SIGMA_NM = 0.21 * 540.0 / 1.4
"""Gaussian that comes nearest to the Airy pattern (Zhang et al., Appl. Opt. 2007)."""
PIXEL_NM = 100.0
FRAMES = 12


def precision_nm(electrons: float, background_e: float, read_noise_e: float) -> float:
    """Return the precision of least squares by Thompson et al., Biophys. J. 82:2775.

    `b` is the noise of the background: its shot noise, and reading.
    """
    s2 = SIGMA_NM**2 + PIXEL_NM**2 / 12
    b2 = background_e + read_noise_e**2
    noise = 8 * np.pi * SIGMA_NM**4 * b2 / (PIXEL_NM * electrons) ** 2
    return float(np.sqrt(s2 / electrons + noise))


@pytest.mark.parametrize("exposure_s", [0.0005, 0.002, 0.02])
def test_a_library_finds_beads_within_theoretical_precision(
    exposure_s: float, tmp_path: Path
) -> None:
    world = World.create(tmp_path / "w", sample="beads", seed=4)
    camera = camera_in(
        world, width_px=480, height_px=480, exposure_s=exposure_s, ground_truth=True
    )
    film = (film_of(camera, FRAMES) - camera.offset) * camera.gain_e
    (table,) = camera.write_companions(tmp_path / "movie_0001")
    beads = beads_by_frame(table)
    background_e = float(film[film < np.percentile(film, 95)].mean())
    electrons = camera.quantum_efficiency * float(
        np.mean([bead["photons"] for frame in beads for bead in frame])
    )
    expected_nm = precision_nm(electrons, background_e, camera.read_noise_e)

    errors = [
        np.multiply(distance, PIXEL_NM)
        for image, there in zip(film, beads, strict=True)
        for distance in distances(found_in(image - background_e), there)
    ]

    error_nm = np.array(errors)
    there = sum(len(frame) for frame in beads)
    assert len(error_nm) > 0.9 * there > 150
    rms_nm = float(np.sqrt(np.mean(error_nm**2)))
    # A theory that was beaten by far would not be the theory of this film.
    assert 0.6 * expected_nm < rms_nm < 1.5 * expected_nm
    # A Gaussian on an Airy pattern is off by a nanometre, by where in a pixel it is.
    bias_nm = np.abs(error_nm.mean(axis=0)).max()
    assert bias_nm < 4 * rms_nm / np.sqrt(len(error_nm)) + 1.0


def beads_by_frame(table: Path) -> list[list[dict[str, float]]]:
    frames: list[list[dict[str, float]]] = [[] for _ in range(FRAMES)]
    with table.open() as file:
        for row in csv.DictReader(file):
            bead = {name: float(row[name]) for name in ("x_px", "y_px", "photons")}
            if all(10 < bead[axis] < 470 for axis in ("x_px", "y_px")):
                frames[int(row["frame"])].append(bead)
    return frames


def found_in(image: np.ndarray) -> np.ndarray:
    """Return the places (x, y) of all spots that photutils finds and fits."""
    noise = np.sqrt(np.maximum(image, 0.0) + 1.6**2 + 1.0)
    fit = PSFPhotometry(
        CircularGaussianPRF(fwhm=2.3548 * SIGMA_NM / PIXEL_NM),
        (7, 7),
        finder=DAOStarFinder(7.0, 2.0),
        aperture_radius=3.0,
    )
    with warnings.catch_warnings():
        # It remarks on every spot that does not fit; those match no bead.
        warnings.simplefilter("ignore")
        spots = fit(image, error=noise)
    return np.column_stack([spots["x_fit"], spots["y_fit"]])


def distances(
    found: np.ndarray, there: list[dict[str, float]]
) -> list[tuple[float, float]]:
    """Return how far beside each bead it was found; those not found are left out."""
    close = []
    for bead in there:
        apart = found - (bead["x_px"], bead["y_px"])
        nearest = apart[np.hypot(*apart.T).argmin()]
        if np.hypot(*nearest) < 1.0:
            close.append((float(nearest[0]), float(nearest[1])))
    return close
