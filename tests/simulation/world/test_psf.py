"""The image of a point is the one that the books have."""

import math

import numpy as np
import pytest

from modules.simulation.world.psf import LEVELS_UM, PointSpread, bessel_j0

GREEN = (520.0, 1.4, 1.515)


def test_the_bessel_function_is_its_integral() -> None:
    v = np.concatenate([np.linspace(0.0, 6.0, 50), np.linspace(6.0, 120.0, 50)])
    # The midpoint rule over half a turn converges beyond all powers.
    angle = (np.arange(400) + 0.5) * math.pi / 400
    integral = np.cos(v[:, None] * np.sin(angle)).mean(axis=1)

    np.testing.assert_allclose(bessel_j0(v), integral, atol=6e-8)


@pytest.mark.parametrize("z_um", [0.0, 0.4, 0.9])
def test_all_light_is_somewhere(z_um: float) -> None:
    spread = PointSpread(*GREEN, 0.1)
    r_um = (np.arange(2500) + 0.5) * 0.002

    light = spread.intensity(r_um, z_um) * 2 * math.pi * r_um * 0.002

    # Rings beyond 5 um hold the rest: their sum falls with 1 / r.
    assert light.sum() == pytest.approx(1.0, abs=0.012)


def test_in_focus_it_is_the_airy_pattern() -> None:
    spread = PointSpread(*GREEN, 0.1)
    first_dark_um = 0.61 * 0.520 / 1.4
    r_um = np.linspace(0.0, 2 * first_dark_um, 400)

    light = spread.intensity(r_um, 0.0)

    inside = r_um < 1.3 * first_dark_um
    assert r_um[inside][light[inside].argmin()] == pytest.approx(
        first_dark_um, rel=0.01
    )
    assert light[inside].min() < 1e-4 * light[0]
    # Born & Wolf, section 8.5.2: the first bright ring has 1.75 % of the maximum.
    ring = light[(r_um > first_dark_um) & (r_um < 1.6 * first_dark_um)]
    assert ring.max() / light[0] == pytest.approx(0.0175, rel=0.02)


def test_along_the_axis_it_falls_as_paraxial_optics_say_at_small_apertures() -> None:
    # Born & Wolf, section 8.8.1: (sin(u/4) / (u/4))^2, u = 2 pi NA^2 z / (lambda n).
    spread = PointSpread(520.0, 0.2, 1.0, 1.0)
    axis = np.zeros(1)
    for z_um in (3.0, 8.0, 15.0):
        quarter = 2 * math.pi * 0.2**2 * z_um / 0.520 / 4
        expected = (math.sin(quarter) / quarter) ** 2
        found = spread.intensity(axis, z_um)[0] / spread.intensity(axis, 0.0)[0]
        assert found == pytest.approx(expected, abs=0.015)


@pytest.mark.parametrize("number", [0, 3, 9, len(LEVELS_UM) - 1])
def test_stamps_are_where_they_say(number: int) -> None:
    level = PointSpread(*GREEN, 0.1).level(number)
    along = np.arange(level.size) - level.size // 2
    for step in range(level.phases + 1):
        stamp = level.stamps[step, level.phases // 2].reshape(level.size, level.size)
        place = (stamp.sum(axis=1) * along).sum()

        # Rings that the edge of the stamp cuts off weigh on one side: 2 nm of 100.
        assert place == pytest.approx(step / level.phases - 0.5, abs=0.02)
        assert stamp.sum() == pytest.approx(1.0, abs=1e-5)
        np.testing.assert_allclose(stamp, stamp[:, ::-1], atol=1e-6)


@pytest.mark.parametrize("pixel_um", [0.02, 0.065, 0.65, 6.5, 50.0])
def test_any_pixel_of_a_camera_has_stamps(pixel_um: float) -> None:
    level = PointSpread(*GREEN, pixel_um).level(0)

    middle = level.stamps[level.phases // 2, level.phases // 2]
    assert middle.argmax() == level.size**2 // 2
    assert level.size <= 70
