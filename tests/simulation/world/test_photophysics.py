"""Bleaching and blinking follow the dose: exposure times power, never time."""

from pathlib import Path

import numpy as np
import pytest

from modules.simulation.world import LIGHT_SOURCE, World
from modules.simulation.world.dyes import DYES, FILAMENTS, MOLECULES
from modules.simulation.world.photophysics import Blinking, emitted, faded
from modules.simulation.world.sample import TILE_UM, TILES_KEPT, Sample
from tests.simulation.world.filming import Bench

BLUE = {"wavelength_nm": 488.0, "is_on": 1.0}
DYE = DYES[MOLECULES]


def cells(path: Path, **parameters: float) -> Bench:
    """Return stained cells under a blue laser, which shows little but filaments."""
    bench = Bench(path, background_per_s=0.0, **parameters)
    bench.laser = bench.world.device("laser", LIGHT_SOURCE)
    bench.laser.write(**BLUE, power_mw=50.0)
    return bench


def test_a_stain_fades_exponentially_with_the_dose(tmp_path: Path) -> None:
    bench = cells(tmp_path / "w")
    dose, light = [], []
    for _ in range(12):
        exposure = bench.expose(0.5)
        image = bench.renderer.photons(exposure, bench.view)
        dose.append(exposure.dose[FILAMENTS])
        light.append(float(image.sum()))

    slope, _ = np.polyfit(dose, np.log(light), 1)
    half = np.log(2.0) * DYES[FILAMENTS].bleaches_after
    assert dose[-1] > half
    # Other dyes give some per cent of the light, and fade more slowly.
    assert slope == pytest.approx(-1 / DYES[FILAMENTS].bleaches_after, rel=0.03)


def test_the_same_dose_does_the_same_however_it_is_delivered(tmp_path: Path) -> None:
    images = []
    for name, power_mw, exposures in (("a", 50.0, [2.0]), ("b", 10.0, [1.0] * 10)):
        bench = cells(tmp_path / name)
        bench.laser.write(power_mw=power_mw)
        for exposure_s in exposures:
            bench.photons(exposure_s)
        bench.laser.write(power_mw=50.0)
        images.append(bench.photons(0.01))

    np.testing.assert_allclose(*images, rtol=1e-4, atol=1e-6)


def test_bleaching_can_be_faster_and_off(tmp_path: Path) -> None:
    left = []
    for bleaching in (0.0, 1.0, 3.0):
        bench = cells(tmp_path / f"{bleaching}", bleaching=bleaching)
        before = bench.photons(0.001).sum()
        bench.photons(2.0)
        left.append(bench.photons(0.001).sum() / before)

    assert left[0] == pytest.approx(1.0, abs=1e-6)
    assert left[2] == pytest.approx(left[1] ** 3, rel=0.05)
    assert left[1] < 0.7


def test_only_what_was_lit_is_bleached(tmp_path: Path) -> None:
    bench = cells(tmp_path / "w", field_um=40.0)
    before = bench.photons(0.001)
    bench.stage.write(x_um=30.0)
    bench.photons(20.0)
    bench.stage.write(x_um=0.0)
    after = bench.photons(0.001)

    # The lit field began 10 um right of the middle; doses are kept by 10 um.
    right, left = after[:, 120:].sum() / before[:, 120:].sum(), after[:, :30].sum()
    assert right < 0.05
    assert left / before[:, :30].sum() == pytest.approx(1.0, abs=0.02)


def test_light_of_an_exposure_is_the_integral_over_it() -> None:
    dye = DYES[FILAMENTS]
    dose = np.linspace(0.0, 4e5, 4001)
    steps = faded(dye, 1.0, (dose[1:] + dose[:-1]) / 2) * np.diff(dose)

    assert emitted(dye, 1.0, 4e5) == pytest.approx(float(steps.sum()), rel=1e-6)
    assert emitted(dye, 0.0, 4e5) == 4e5
    assert emitted(dye, 1.0, 1e-9) == pytest.approx(1e-9)


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Blinking, int]:
    world = World.create(tmp_path_factory.mktemp("lives") / "w", sample="molecules")
    molecules = Sample(world).within(-100.0, -100.0, 100.0, 100.0)
    return Blinking(world, molecules), len(molecules)


def on_photons(lives: tuple[Blinking, int], dose: float, gain: float) -> np.ndarray:
    blinking, count = lives
    return blinking.emitted(np.full(count, dose), np.full(count, gain))


def test_molecules_begin_in_equilibrium(lives: tuple[Blinking, int]) -> None:
    on = on_photons(lives, 0.0, 1.0) > 0.5
    duty = DYE.on_photons / (DYE.on_photons + DYE.off_photons)

    # Binomial: standard deviation 0.0017 of 16,000.
    assert on.mean() == pytest.approx(duty, abs=0.006)


def test_blinks_are_exponential_in_the_dose(lives: tuple[Blinking, int]) -> None:
    step = DYE.on_photons / 10
    on = np.stack([on_photons(lives, n * step, step) > step / 2 for n in range(60)])
    began = on[1:] & ~on[:-1]
    # How many of those that came on stay on for so long.
    lengths = []
    for n, who in zip(*np.nonzero(began[:20]), strict=True):
        after = on[n + 1 :, who]
        lengths.append(len(after) if after.all() else int(after.argmin()))
    survival = [np.mean(np.array(lengths) >= k) for k in range(1, 21)]
    rate = -np.polyfit(np.arange(1, 21) * step, np.log(survival), 1)[0]

    # It ends by going dark, or for ever.
    expected = 1 / DYE.on_photons + 1 / DYE.bleaches_after
    assert len(lengths) > 800
    assert rate == pytest.approx(expected, rel=0.1)


def test_molecules_give_their_photons_and_end(lives: tuple[Blinking, int]) -> None:
    total = on_photons(lives, 0.0, 1e9)

    # Exponential: the mean of 16,000 is known to 0.8 %.
    assert total.mean() == pytest.approx(DYE.bleaches_after, rel=0.03)
    assert not on_photons(lives, 1e9, 1e9).any()


def test_parts_of_an_exposure_add_up(lives: tuple[Blinking, int]) -> None:
    whole = on_photons(lives, 1e4, 6e4)
    parts = sum(on_photons(lives, 1e4 + n * 1e4, 1e4) for n in range(6))

    np.testing.assert_allclose(parts, whole, atol=1e-6)


def test_the_sample_is_the_same_from_everywhere(tmp_path: Path) -> None:
    world = World.create(tmp_path / "w")
    whole = Sample(world).within(-60.0, -60.0, 60.0, 60.0)
    part = Sample(world).within(20.0, -10.0, 40.0, 5.0)

    chosen = (whole.x_um >= 20.0) & (whole.x_um < 40.0)
    chosen &= (whole.y_um >= -10.0) & (whole.y_um < 5.0)
    assert len(part) > 100
    assert set(part.number) == set(whole.number[chosen])
    assert len(set(whole.number)) == len(whole)


def test_a_long_journey_does_not_fill_the_memory(tmp_path: Path) -> None:
    sample = Sample(World.create(tmp_path / "w", sample="beads"))
    first = sample.within(-5.0, -5.0, 5.0, 5.0)
    for n in range(2 * TILES_KEPT):
        sample.within(n * TILE_UM - 5.0, -5.0, n * TILE_UM + 5.0, 5.0)

    assert len(sample._tiles) == TILES_KEPT
    again = sample.within(-5.0, -5.0, 5.0, 5.0)
    assert np.array_equal(first.x_um, again.x_um)


@pytest.mark.parametrize("sample", ["cells", "molecules", "beads"])
def test_another_seed_is_another_sample(sample: str, tmp_path: Path) -> None:
    found = [
        Sample(World.create(tmp_path / str(seed), seed=seed, sample=sample)).within(
            -25.0, -25.0, 25.0, 25.0
        )
        for seed in (1, 2)
    ]

    assert not np.isin(found[0].x_um, found[1].x_um).any()
