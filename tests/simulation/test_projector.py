"""R94: the simulated projector, alone and in a world."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hal.base import DeviceError
from hal.testing.contracts import ProjectorContract
from modules.simulation import SimLightSource, SimProjector, SimShutter
from modules.simulation.world import CAMERA, LIGHT_SOURCE, PROJECTOR, World, layout
from modules.simulation.world.dyes import PUNCTA
from modules.simulation.world.exposures import Exposures
from modules.simulation.world.masked import doses, illuminate
from modules.simulation.world.renderer import Renderer
from modules.simulation.world.sample import Emitters, Sample
from modules.simulation.world.view import View

PIXEL_UM = 0.2


class TestSimProjector(ProjectorContract):
    def make_device(self) -> SimProjector:
        return SimProjector(rows=32, columns=48)


class Lab:
    """A camera looks at spots; a laser behind a projector may bleach them."""

    def __init__(self, path: Path, **world: Any) -> None:
        usual = {"sample": "spots", "background_per_s": 0.0, "seed": 7}
        self.world = World.create(path, **(usual | world))
        self.camera = self.world.device("camera1", CAMERA)
        lamp = self.world.device("lamp", LIGHT_SOURCE)
        lamp.write(wavelength_nm=555.0, power_mw=1.0, is_on=True)
        self.laser = SimLightSource(
            world="sample", wavelength_nm=555.0, max_power_mw=1e5
        )
        self.projector = SimProjector(
            world="sample", before="laser", rows=128, columns=128, pixel_um=PIXEL_UM
        )
        for name, device in (("laser", self.laser), ("dmd", self.projector)):
            device.enter(self.world.path, name)
            device.open()
        self.laser.set_power(20_000.0)
        self.exposures = Exposures(self.world)
        self.renderer = Renderer(self.world, "camera1")
        self.view = View((128, 128), (0, 0, 128, 128), 1, PIXEL_UM)
        self.emitters: Emitters = Sample(self.world).within(-12, -12, 12, 12)
        self._frame = 0

    def photons(self) -> np.ndarray[Any, Any]:
        """Return the light of a new exposure."""
        self._frame += 1
        exposure = self.exposures.expose(self.camera, 1, self._frame, 0.05)
        return self.renderer.photons(exposure, self.view).astype(np.float64)

    def disc(self, who: int, radius_px: float = 6.0) -> np.ndarray[Any, Any]:
        """Return a mask around one emitter."""
        y, x = np.ogrid[:128, :128]
        x_px = self.emitters.x_um[who] / PIXEL_UM + 63.5
        y_px = self.emitters.y_um[who] / PIXEL_UM + 63.5
        return np.asarray((x - x_px) ** 2 + (y - y_px) ** 2 <= radius_px**2)

    def project(self, mask: np.ndarray[Any, Any], duration_s: float = 0.005) -> None:
        self.laser.set_on(True)
        self.projector.project(mask, duration_s)
        self.laser.set_on(False)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "w", bleaching=20.0)


def test_what_is_in_the_mask_gets_darker_and_nothing_else(lab: Lab) -> None:
    before = lab.photons()
    disc = lab.disc(3)

    lab.project(disc)

    after = lab.photons()
    assert before[disc].sum() > 100.0
    assert after[disc].sum() < 0.05 * before[disc].sum()
    others = np.hypot(lab.emitters.x_um - lab.emitters.x_um[3], 0.0) > 3.0
    assert others.sum() >= 3
    for who in np.flatnonzero(others):
        here = lab.disc(int(who))
        # The lamp bleaches all of them, a little.
        assert after[here].sum() > 0.5 * before[here].sum()


def test_light_behind_a_dark_projector_reaches_no_camera(lab: Lab) -> None:
    dark = lab.exposures.expose(lab.camera, 1, 90, 0.05)
    lab.laser.set_on(True)
    lit = lab.exposures.expose(lab.camera, 1, 91, 0.05)

    np.testing.assert_array_equal(lit.gain, dark.gain)


def test_a_world_whose_only_light_is_behind_a_projector_keeps_its_lamp(
    tmp_path: Path,
) -> None:
    world = World.create(tmp_path / "w")
    world.device("laser", LIGHT_SOURCE).write(is_on=False)
    world.device("dmd", PROJECTOR).note = ("laser",)

    exposure = Exposures(world).expose(world.device("c", CAMERA), 1, 0, 0.1)

    assert exposure.gain[PUNCTA] > 0.0


def test_a_laser_that_is_off_or_behind_a_shutter_gives_no_dose(lab: Lab) -> None:
    all_of_it = np.ones((128, 128), bool)
    lab.projector.project(all_of_it, 0.001)
    shutter = SimShutter(world="sample", before="laser")
    shutter.enter(lab.world.path, "shutter")
    shutter.open()
    lab.project(all_of_it)

    assert not doses(lab.world.file, 1, lab.emitters).any()

    shutter.set_shutter(True)
    lab.project(all_of_it)

    assert doses(lab.world.file, 1, lab.emitters).all()


def test_a_late_follower_sees_the_sample_as_it_was_at_each_exposure(lab: Lab) -> None:
    images = []
    for _ in range(2):
        images.append(lab.photons())
        lab.project(lab.disc(3))
    late = Renderer(World.open(lab.world.path), "camera1")

    for number, image in enumerate(images, 1):
        exposure = lab.exposures.find(number)
        assert exposure is not None
        np.testing.assert_array_equal(late.photons(exposure, lab.view), image)


def test_what_is_repeated_is_projected_again_only_where_it_was_undone(
    lab: Lab,
) -> None:
    lab.photons()
    lab.project(lab.disc(3))
    once = doses(lab.world.file, 10, lab.emitters)
    second = lab.photons()
    lab.project(lab.disc(3))

    lab.exposures.rewind(2)

    np.testing.assert_array_equal(doses(lab.world.file, 10, lab.emitters), once)
    np.testing.assert_array_equal(lab.photons(), second)


def test_a_kill_before_it_was_counted_leaves_nothing(lab: Lab) -> None:
    lab.project(lab.disc(3))
    lab.world.file.journal["since"][0] = 0  # as it was before the last step
    assert not doses(lab.world.file, 1, lab.emitters).any()

    lab.project(lab.disc(2))

    assert np.flatnonzero(doses(lab.world.file, 1, lab.emitters)).tolist() == [2]
    size = lab.world.path.stat().st_size
    assert size == layout.SIZE + layout.MASKED_EXPOSURE.itemsize


def test_light_is_delivered_where_the_stage_was(lab: Lab) -> None:
    stage = lab.world.device("stage", "xy_stage")
    stage.write(x_um=-3.0)
    lab.project(lab.disc(3))

    found = doses(lab.world.file, 1, lab.emitters)

    assert not found[3]
    there = np.hypot(
        lab.emitters.x_um + 3.0 - lab.emitters.x_um[3],
        lab.emitters.y_um - lab.emitters.y_um[3],
    )
    assert set(np.flatnonzero(found)) <= set(np.flatnonzero(there < 1.5))


def test_a_state_file_has_room_for_so_many_masks(lab: Lab) -> None:
    lab.world.file.journal["since"][0] = layout.MASKED
    here = lab.world.device("dmd", PROJECTOR)

    with pytest.raises(DeviceError, match="100000 masks were projected"):
        illuminate(lab.world, here, np.ones((4, 4), bool), PIXEL_UM, 0.1)


def test_a_mask_that_cannot_be_written_is_an_error(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many masks cannot be told from a full disk in any other way."""
    monkeypatch.setattr(layout, "SIZE", 2**62)
    here = lab.world.device("dmd", PROJECTOR)

    with pytest.raises(DeviceError, match="no room in world state"):
        illuminate(lab.world, here, np.ones((4, 4), bool), PIXEL_UM, 0.1)


def test_a_mask_with_too_many_pixels_is_refused(lab: Lab) -> None:
    here = lab.world.device("dmd", PROJECTOR)

    with pytest.raises(DeviceError, match="256x256 at the most"):
        illuminate(lab.world, here, np.ones((4, 257), bool), PIXEL_UM, 0.1)


def test_a_halt_makes_it_dark_for_its_world(lab: Lab) -> None:
    lab.world.device("dmd", PROJECTOR).write(is_dark=False)

    lab.projector.halt()

    assert lab.world.device("dmd", PROJECTOR)["is_dark"]
