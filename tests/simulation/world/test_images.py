"""Moving, focusing and lighting change the image as in a microscope."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from modules.simulation.world import EVERYTHING_NM, FILTER_WHEEL, LIGHT_SOURCE, SHUTTER
from modules.simulation.world.dyes import BEADS, DYES
from modules.simulation.world.psf import PointSpread
from modules.simulation.world.view import View
from tests.simulation.world.filming import PIXEL_UM, Bench

Image = np.ndarray


def shift_between(first: Image, second: Image) -> tuple[float, float]:
    """Return by how many columns and rows `second` is shifted, to a part of a pixel.

    Phase correlation (Kuglin & Hines 1975) tells whole pixels. Of what both images show
    the cross-power spectrum is then a plane wave, whose slope is the rest.
    """
    cross = cross_power(first, second)
    peak = np.fft.ifft2(cross / np.maximum(np.abs(cross), 1e-12)).real
    place = np.unravel_index(peak.argmax(), peak.shape)
    rows, columns = (
        int(n) - size if n > size // 2 else int(n)
        for n, size in zip(place, peak.shape, strict=True)
    )
    cross = cross_power(common(first, -rows, -columns), common(second, rows, columns))
    fy, fx = (np.fft.fftfreq(n) for n in cross.shape)
    y, x = np.broadcast_arrays(fy[:, None], fx[None, :])
    # Only frequencies that the optics pass.
    weight = np.abs(cross) * (np.hypot(y, x) < 0.2)
    slope = np.angle(cross) / (-2 * np.pi)
    normal = [
        [(weight * y * y).sum(), (weight * y * x).sum()],
        [(weight * y * x).sum(), (weight * x * x).sum()],
    ]
    rest = np.linalg.solve(
        np.array(normal), [(weight * y * slope).sum(), (weight * x * slope).sum()]
    )
    return columns + rest[1], rows + rest[0]


def common(image: Image, rows: int, columns: int) -> Image:
    """Return the part of an image that is also in one shifted the other way."""
    height, width = image.shape
    return image[
        max(0, rows) : height + min(0, rows), max(0, columns) : width + min(0, columns)
    ]


def cross_power(first: Image, second: Image) -> Image:
    window = np.hanning(len(first))[:, None] * np.hanning(first.shape[1])[None, :]
    a, b = (np.fft.fft2((image - image.mean()) * window) for image in (first, second))
    return b * a.conj()


@pytest.mark.parametrize("sample", ["cells", "beads"])
@pytest.mark.parametrize("move_um", [(10.0, 0.0), (0.0, -4.0), (1.23, 0.47)])
def test_the_image_shifts_as_the_stage_moves(
    sample: str, move_um: tuple[float, float], tmp_path: Path
) -> None:
    bench = Bench(tmp_path / "w", sample=sample, size_px=512, bleaching=0.0)
    before = bench.photons()
    bench.stage.write(x_um=move_um[0], y_um=move_um[1])
    after = bench.photons()

    columns, rows = shift_between(before, after)

    # The stage's position is what is in the middle, so the image goes the other way.
    # Stamps are placed to a sixteenth of a pixel, at random: less on average.
    assert columns == pytest.approx(-move_um[0] / PIXEL_UM, abs=0.05)
    assert rows == pytest.approx(-move_um[1] / PIXEL_UM, abs=0.05)


def sharpness(image: Image) -> float:
    """Return the sum of squares for the same light: the most used focus score."""
    return float((image**2).sum() / image.sum() ** 2)


def test_beads_are_sharpest_in_focus_and_blur_alike_on_both_sides(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path / "w", sample="beads", background_per_s=0.0, size_px=256)
    places = np.round(np.arange(-0.8, 0.81, 0.1), 3)
    found = []
    for z_um in places:
        bench.z.write(z_um=float(z_um))
        found.append(sharpness(bench.photons()))

    assert places[int(np.argmax(found))] == 0.0
    np.testing.assert_allclose(found, found[::-1], rtol=1e-6)
    assert all(a > b for a, b in itertools.pairwise(found[8:]))


def test_blur_follows_the_point_spread_function(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "w", sample="beads", background_per_s=0.0, size_px=256)
    spread = PointSpread(DYES[BEADS].emits_nm, 1.4, 1.515, PIXEL_UM)
    r_um = (np.arange(3000) + 0.5) * 0.001

    def expected(z_um: float) -> float:
        light = spread.intensity(r_um, z_um)
        ring = 2 * np.pi * r_um * 0.001
        return float((light**2 * ring).sum() / (light * ring).sum() ** 2)

    for z_um in (0.3, 0.5, 0.8):
        bench.z.write(z_um=0.0)
        sharp = sharpness(bench.photons())
        bench.z.write(z_um=z_um)
        blurred = sharpness(bench.photons())

        # Pixels of 0.4 Airy radii flatten the sharp image by some per cent.
        assert blurred / sharp == pytest.approx(expected(z_um) / expected(0.0), rel=0.2)


def test_light_is_neither_lost_nor_won_out_of_focus(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path / "w",
        sample="beads",
        background_per_s=0.0,
        size_px=1000,
        field_um=60.0,
    )
    light = []
    for z_um in (0.0, 0.37, 0.9, 1.5, 4.0):
        bench.z.write(z_um=z_um)
        light.append(bench.photons().sum())

    np.testing.assert_allclose(light, light[0], rtol=2e-3)


def test_far_from_focus_a_bead_is_the_disc_of_its_cone(tmp_path: Path) -> None:
    # Beads stand on a grid of 10 um: there is one in the middle.
    one = {"sample": "beads", "background_per_s": 0.0, "field_um": 9.0}
    bench = Bench(tmp_path / "w", size_px=400, **one)
    bench.z.write(z_um=5.0)

    image = bench.photons()

    slope = np.tan(np.arcsin(1.4 / 1.515))
    area_px = np.pi * (5.0 * slope / PIXEL_UM) ** 2
    lit = image > image.max() / 2
    assert lit.sum() == pytest.approx(area_px, rel=0.05)
    assert (image > 0.9 * image.max()).sum() > 0.75 * area_px


def lit_bench(path: Path, **parameters: float) -> Bench:
    bench = Bench(path, sample="beads", **parameters)
    bench.laser = bench.world.device("laser", LIGHT_SOURCE)
    bench.laser.write(wavelength_nm=488.0, power_mw=10.0, is_on=1.0)
    return bench


def test_light_is_proportional_to_exposure_and_power(tmp_path: Path) -> None:
    bench = lit_bench(tmp_path / "w")
    once = bench.photons(0.01)

    np.testing.assert_allclose(bench.photons(0.07), 7 * once, rtol=1e-5)
    bench.laser.write(power_mw=45.0)
    np.testing.assert_allclose(bench.photons(0.01), 4.5 * once, rtol=1e-5)
    bench.laser.write(is_on=0.0)
    assert not bench.photons().any()
    assert not bench.photons(0.0).any()


def test_a_closed_shutter_keeps_its_lights_from_the_sample(tmp_path: Path) -> None:
    bench = lit_bench(tmp_path / "w")
    shutter = bench.world.device("shutter1", SHUTTER)
    shutter.write(is_open=1.0)
    bright = bench.photons()

    shutter.write(is_open=0.0)
    assert not bench.photons().any()
    shutter.note = ("lamp",)
    assert np.array_equal(bench.photons(), bright)
    shutter.note = ("lamp", "laser")
    assert not bench.photons().any()


def test_a_filter_passes_the_part_of_the_emission_in_its_band(tmp_path: Path) -> None:
    bench = lit_bench(tmp_path / "w", background_per_s=0.0)
    wheel = bench.world.device("wheel", FILTER_WHEEL)
    everything = bench.photons().sum()
    parts = []
    for low_nm, high_nm in ((0.0, 520.0), (520.0, 600.0), (600.0, EVERYTHING_NM)):
        wheel.write(low_nm=low_nm, high_nm=high_nm)
        parts.append(bench.photons().sum())

    assert sum(parts) == pytest.approx(everything, rel=1e-6)
    assert min(parts) > 0.05 * everything
    wheel.write(low_nm=0.0, high_nm=0.0)
    assert not bench.photons().any()
    wheel.note = ("camera2",)
    assert bench.photons().sum() == pytest.approx(everything, rel=1e-6)


def test_a_region_shows_what_the_sensor_shows_there(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "w", size_px=256, bleaching=0.0)
    exposure = bench.expose()
    whole = bench.renderer.photons(exposure, bench.view)
    view = View((256, 256), (60, 90, 100, 70), 1, PIXEL_UM)

    part = bench.renderer.photons(exposure, view)

    np.testing.assert_allclose(part, whole[90:160, 60:160], rtol=0.02, atol=0.5)


def test_binned_pixels_hold_the_light_of_all_of_theirs(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "w", size_px=100)
    exposure = bench.expose()
    whole = bench.renderer.photons(exposure, bench.view)
    view = View((100, 100), (0, 0, 100, 100), 3, PIXEL_UM)

    binned = bench.renderer.photons(exposure, view)

    assert binned.shape == (33, 33)
    blocks = whole[:99, :99].reshape(33, 3, 33, 3).sum(axis=(1, 3))
    np.testing.assert_allclose(binned, blocks, rtol=1e-4, atol=1e-3)


def test_nothing_is_seen_beyond_the_illuminated_field(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "w", size_px=300, field_um=10.0)

    image = bench.photons()

    assert image[110:190, 110:190].min() > 0.0
    assert not image[:60].any()
    assert not image[:, -60:].any()


@pytest.mark.parametrize("wavelength_nm", [405.0, 488.0, 561.0, 640.0])
def test_each_laser_shows_another_part_of_the_cell(
    wavelength_nm: float, tmp_path: Path
) -> None:
    bench = Bench(tmp_path / "w", size_px=64)
    laser = bench.world.device("laser", LIGHT_SOURCE)
    laser.write(wavelength_nm=wavelength_nm, power_mw=10.0, is_on=1.0)

    gain = bench.expose().gain[:4]

    channel = [405.0, 488.0, 561.0, 640.0].index(wavelength_nm)
    assert int(np.argmax(gain)) == channel
    # An ordinary set of dyes: neighbours are told apart to some per cent.
    assert np.sort(gain)[-2] < 0.1 * gain[channel]


def test_drift_moves_the_image_with_the_worlds_own_time(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "w", sample="beads", size_px=256, drift_nm_s=500.0, seed=5)
    before, began_s = bench.photons(1.0), bench.world.clock_s()
    after, ended_s = bench.photons(1.0), bench.world.clock_s()

    first, second = bench.world.drift_um(began_s - 1.0), bench.world.drift_um(1.0)
    columns, rows = shift_between(before, after)
    assert (began_s, ended_s) == (1.0, 2.0)
    assert np.hypot(*np.subtract(second, first)[:2]) == pytest.approx(0.5, rel=0.6)
    assert columns == pytest.approx((second[0] - first[0]) / PIXEL_UM, abs=0.05)
    assert rows == pytest.approx((second[1] - first[1]) / PIXEL_UM, abs=0.05)
