"""Films end to end in process: what the camera showed is what is in the files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from hal.acquisition import RunState
from hal.app import Application, plan
from hal.base import Carrier
from hal.kernel import DescribeParameters, ParameterList
from hal.messages import MoveStage, SetParameters
from hal.storage import read_acquisition
from hal.testing import running_hal
from modules.simulation.camera import SimCamera
from tests.modules.bench import PATIENCE_S, camera_part

FRAMES = 25
XML = """<?xml version="1.0"?>
<hal name="Test" directory="{directory}">
  <module name="camera1" class="cameras.camera">
    <driver class="simulation.camera" width_px="96" height_px="64"/>
  </module>
  <module name="stage" class="stages.xy_stage">
    <driver class="simulation.xy_stage" speed_um_s="1e6"/>
  </module>
</hal>
"""


def camera(**values: Any) -> SimCamera:
    return SimCamera(**({"width_px": 96, "height_px": 64} | values))


def expected(driver: SimCamera, frames: int) -> Any:
    """What the camera shows, taken without HAL."""
    driver.open()
    driver.start(frames)
    film = np.zeros((frames, *driver.frame_shape), np.uint16)
    for frame in film:
        assert driver.read_into(frame, PATIENCE_S) is not None
    driver.stop()
    driver.close()
    return film


def read(path: Path, shape: tuple[int, int]) -> Any:
    if path.suffix == ".dax":
        return np.fromfile(path, "<u2").reshape(-1, *shape)
    return tifffile.imread(path).reshape(-1, *shape)


@pytest.mark.parametrize("film_format", ["dax", "ome-tiff"])
@pytest.mark.parametrize(
    "values", [{}, {"binning": 2, "roi_x_px": 10, "roi_width_px": 40}]
)
def test_every_pixel_of_every_frame_is_what_the_camera_showed(
    tmp_path: Path, film_format: str, values: dict[str, Any]
) -> None:
    with running_hal(camera_part(camera(**values))) as hal:
        run = hal.film(tmp_path, FRAMES, formats=(film_format,))
        status = run.wait(PATIENCE_S)

    assert status is not None
    assert status.state is RunState.DONE
    reference = camera(**values)
    film = read(Path(status.files[0]), reference.frame_shape)
    assert [SimCamera.frame_index_of(frame) for frame in film] == [*range(FRAMES)]
    assert (film == expected(reference, FRAMES)).all()


def test_several_cameras_and_formats_agree(
    tmp_path: Path, carrier: Carrier | None
) -> None:
    parts = [camera_part(camera(seed=seed), f"cam{seed}") for seed in (1, 2)]
    with running_hal(*parts, carrier=carrier) as hal:
        run = hal.film(tmp_path, FRAMES, name="both", formats=("dax", "ome-tiff"))
        status = run.wait(PATIENCE_S)

    assert status is not None
    assert status.state is RunState.DONE
    for seed in (1, 2):
        truth = expected(camera(seed=seed), FRAMES)
        for suffix in (".dax", ".ome.tiff"):
            film = read(tmp_path / f"both_cam{seed}{suffix}", truth.shape[1:])
            assert (film == truth).all()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "test.xml"
    path.write_text(XML.format(directory=tmp_path / "data"))
    return path


def test_a_configuration_films_and_its_sidecar_loads_as_settings(
    config: Path, tmp_path: Path
) -> None:
    films = tmp_path / "films"
    with running_hal(config, log_folder=tmp_path / "logs") as hal:
        assert hal.problems == ()
        hal.ask(SetParameters({"camera1": {"exposure_s": 0.003, "binning": 2}}))
        hal.ask(MoveStage(10.0, 20.0))
        run = hal.film(films, 3, name="first", notes="seen")
        status = run.wait(PATIENCE_S)

    assert status is not None
    assert status.state is RunState.DONE
    said = read_acquisition(films / "first.xml")
    assert (said["notes"], said["stage_position"]) == ("seen", "10.00,20.00")
    assert said["simulated"] == "True"
    assert said["frames.camera1.verified"] == "3"

    app = Application(
        plan(config, settings=films / "first.xml"), log_folder=tmp_path / "logs"
    )
    try:
        app.start()
        delivery = app.system.send(DescribeParameters(), to="camera1")
        delivery.wait()
        parameters = delivery.result()
    finally:
        app.stop()
    assert isinstance(parameters, ParameterList)
    values = {spec.name: spec.value for spec in parameters.specs}
    assert (values["exposure_s"], values["binning"]) == (0.003, 2)


def test_films_are_numbered_and_never_collide(config: Path, tmp_path: Path) -> None:
    films = tmp_path / "films"
    for _ in range(2):
        with running_hal(config, log_folder=tmp_path / "logs") as hal:
            for _ in range(2):
                status = hal.film(films, 1).wait(PATIENCE_S)
                assert status is not None
                assert status.state is RunState.DONE

    assert sorted(path.name for path in films.glob("*.dax")) == [
        f"movie_{number:04d}.dax" for number in range(1, 5)
    ]
