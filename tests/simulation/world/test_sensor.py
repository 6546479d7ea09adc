"""Noise obeys the photon transfer line, and belongs to exposure and pixel."""

from pathlib import Path

import numpy as np
import pytest

from modules.simulation.world import World
from modules.simulation.world.sensor import Sensor, SensorSettings
from modules.simulation.world.view import View

SIDE = 64
SETTINGS = SensorSettings(
    quantum_efficiency=0.8,
    offset=100.0,
    electrons_per_count=0.5,
    read_noise_e=1.6,
    full_well_e=30_000.0,
    bits=16,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.create(tmp_path / "w")


def view(binning: int = 1, roi: tuple[int, int, int, int] | None = None) -> View:
    return View((SIDE, SIDE), roi or (0, 0, SIDE, SIDE), binning, 0.1)


def counts(
    world: World,
    photons: float,
    *,
    frames: int = 1,
    camera: str = "camera1",
    settings: SensorSettings = SETTINGS,
    region: View | None = None,
) -> np.ndarray:
    region = region or view()
    shape = region.height // region.binning, region.width // region.binning
    sensor = Sensor(world, camera, region, settings)
    stack = np.zeros((frames, *shape), np.uint16)
    for number, frame in enumerate(stack):
        sensor.read(np.full(shape, photons, np.float32), number, frame)
    return stack


def test_variance_is_a_line_of_the_mean(world: World) -> None:
    levels = np.array([0.0, 0.3, 2.0, 10.0, 50.0, 400.0, 3000.0])
    means, variances = [], []
    for photons in levels:
        stack = counts(world, photons, frames=400).astype(float)
        means.append(stack.mean() - SETTINGS.offset)
        variances.append(stack.var(axis=0, ddof=1).mean())

    np.testing.assert_allclose(means, levels * 0.8 / 0.5, rtol=2e-3, atol=0.05)
    # Read noise differs by 10 % from pixel to pixel, which adds 1 % to its square.
    read = 1.01 * (1.6 / 0.5) ** 2 + 1 / 12
    # 1.6 million samples: their variance is known to 0.11 %; five times that.
    np.testing.assert_allclose(variances, np.array(means) / 0.5 + read, rtol=6e-3)


def test_skewness_is_that_of_shot_noise(world: World) -> None:
    settings = SensorSettings(1.0, 1000.0, 0.05, 0.3, 30_000.0, 16)
    e = (counts(world, 20.0, frames=200, settings=settings) - 1000.0) * 0.05
    e -= e.mean(axis=0)

    skewness = (e**3).mean() / (e**2).mean() ** 1.5

    # Poisson: 1 / sqrt(mean); known to 0.003 from 800,000 samples.
    assert skewness == pytest.approx(1 / np.sqrt(20.0), abs=0.012)


def test_response_is_straight_until_the_pixel_is_full(world: World) -> None:
    settings = SensorSettings(1.0, 100.0, 1.0, 0.3, 5000.0, 16)
    means = [
        float(counts(world, photons, settings=settings).mean()) - 100.0
        for photons in (1000.0, 2000.0, 4000.0, 6000.0, 1e6)
    ]

    np.testing.assert_allclose(means[:3], [1000.0, 2000.0, 4000.0], rtol=2e-3)
    assert means[3] == means[4] == pytest.approx(5000.0, abs=0.5)


def test_counts_end_at_the_converters_highest(world: World) -> None:
    settings = SensorSettings(1.0, 100.0, 0.1, 1.0, 30_000.0, 12)

    assert (counts(world, 1e5, settings=settings) == 4095).all()
    assert counts(world, 0.0, settings=settings).min() >= 0


def test_pixels_differ_in_offset_as_their_data_sheet_says(world: World) -> None:
    means = counts(world, 0.0, frames=300).astype(float).mean(axis=0)

    assert means.mean() == pytest.approx(100.0, abs=0.05)
    assert means.std() == pytest.approx(0.7, rel=0.15)


def test_a_pixel_is_the_same_in_every_region(world: World) -> None:
    settings = SensorSettings(0.8, 100.0, 0.5, 0.3, 30_000.0, 16)
    whole = counts(world, 0.0, frames=300, settings=settings).mean(axis=0)
    roi = (10, 40, 30, 20)
    part = counts(world, 0.0, frames=300, settings=settings, region=view(roi=roi)).mean(
        axis=0
    )

    same = np.corrcoef(whole[40:60, 10:40].ravel(), part.ravel())[0, 1]
    assert same > 0.95


def test_binned_pixels_add_light_and_noise(world: World) -> None:
    stack = counts(world, 100.0, frames=300, region=view(binning=2)).astype(float)

    assert stack.shape[1:] == (32, 32)
    mean = 100.0 * 0.8 / 0.5
    assert stack.mean() - 400.0 == pytest.approx(mean, rel=5e-3)
    variance = mean / 0.5 + 4 * 1.01 * (1.6 / 0.5) ** 2 + 1 / 12
    assert stack.var(axis=0, ddof=1).mean() == pytest.approx(variance, rel=0.02)


def test_noise_belongs_to_exposure_and_camera(world: World) -> None:
    first, second = counts(world, 50.0, frames=2)
    other = counts(world, 50.0, camera="camera2")[0]

    assert np.array_equal(first, counts(world, 50.0)[0])
    for image in (second, other):
        assert abs(np.corrcoef(first.ravel(), image.ravel())[0, 1]) < 0.08
