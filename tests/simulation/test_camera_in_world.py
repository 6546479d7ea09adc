"""The simulated camera keeps its promises in a world as well."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hal.base import DeviceError, ParameterError, StateError
from hal.testing import FakeClock
from hal.testing.contracts import CameraContract
from modules.simulation import SimCamera
from modules.simulation.world import World
from tests.simulation.world.filming import camera_in, film_of


class TestSimCameraInWorld(CameraContract):
    halt_within_s = 0.05
    roi_step_px = 1
    binnings = (1, 2, 3, 8)

    @pytest.fixture(autouse=True)
    def _world(self, tmp_path: Path) -> None:
        self.state = World.create(tmp_path / "w", sample="beads").path

    def make_device(self) -> SimCamera:
        camera = SimCamera(world="sample", width_px=131, height_px=64)
        camera.enter(self.state, "camera1")
        return camera


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.create(tmp_path / "w", sample="beads")


def test_its_frames_carry_their_index_unless_told_otherwise(world: World) -> None:
    film = film_of(camera_in(world, index_pixels=True), 3)

    assert [SimCamera.frame_index_of(frame) for frame in film] == [0, 1, 2]
    assert film_of(camera_in(world, "camera2"), 1)[0].flat[0] > 90


def test_frames_come_no_faster_than_rows_are_read(world: World) -> None:
    clock = FakeClock()
    camera = camera_in(world, exposure_s=0.001, row_time_s=1e-4, max_fps=1e6)
    camera.clock = clock
    camera.start(None)
    out = np.zeros(camera.frame_shape, np.uint16)

    # Two halves of 80 rows are read at once.
    assert camera.frame_period_s() == pytest.approx(0.004)
    clock.advance(0.0039)
    assert camera.read_into(out, 0.0) is None
    clock.advance(0.0002)
    assert camera.read_into(out, 0.0) is not None
    camera.stop()
    camera.set_parameters({"roi_height_px": 20})
    assert camera.frame_period_s() == pytest.approx(0.001)


def test_an_order_gives_one_frame(world: World) -> None:
    clock = FakeClock()
    camera = camera_in(world, trigger_by="software", exposure_s=0.1)
    camera.clock = clock
    with pytest.raises(StateError, match="expected it to be running"):
        camera.trigger()
    camera.start(3)
    out = np.zeros(camera.frame_shape, np.uint16)

    clock.advance(10.0)
    assert camera.read_into(out, 0.0) is None
    camera.trigger()
    camera.trigger()
    assert camera.read_into(out, 0.0) is None
    clock.advance(0.15)
    stamp = camera.read_into(out, 0.0)
    assert stamp is not None
    assert (stamp.counter, stamp.hardware_s) == (0, pytest.approx(10.1))
    # The second was ordered while the first was exposed, and comes after it.
    assert camera.read_into(out, 0.0) is None
    clock.advance(0.06)
    assert camera.read_into(out, 0.0) is not None


def test_orders_work_without_a_world_too() -> None:
    camera = SimCamera(
        width_px=8, height_px=8, trigger_by="software", exposure_s=0.0, max_fps=1e6
    )
    camera.open()
    camera.start(1)
    camera.trigger()

    assert camera.read_into(np.zeros((8, 8), np.uint16), 1.0) is not None
    with pytest.raises(StateError, match="trigger_by='software'"):
        SimCamera().trigger()


def test_who_is_followed_must_be_there(world: World) -> None:
    camera = camera_in(world, "camera2", trigger_by="hardware", follows="camera1")

    with pytest.raises(StateError, match=r"another camera of world 'sample'.*: none"):
        camera.arm()
    camera_in(world, "camera3")
    with pytest.raises(StateError, match="there are: camera3"):
        camera.start(1)
    itself = camera_in(world, "camera4", trigger_by="hardware", follows="camera4")
    with pytest.raises(StateError, match="there are: camera2, camera3"):
        itself.arm()


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"trigger_by": "hardware"}, "expected a world, and in `follows`"),
        ({"trigger_by": "hardware", "follows": "a"}, "expected a world"),
        ({"follows": "camera1"}, "expected trigger_by='hardware'"),
        ({"world": "w", "pixel_size_um": 0.01}, "expected 0.02 to 50 um"),
        ({"read_noise_e": 0.0}, "read_noise_e=0.0: expected"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(
    values: dict[str, float | str], what: str
) -> None:
    with pytest.raises(ParameterError, match=what):
        SimCamera(**values)


def test_a_camera_that_was_told_of_no_world_does_not_open() -> None:
    with pytest.raises(
        StateError, match="world='sample': expected that it has entered"
    ):
        SimCamera(world="sample").open()


def test_a_world_that_is_gone_is_told_on_entering(tmp_path: Path) -> None:
    camera = SimCamera(world="sample")

    with pytest.raises(DeviceError, match="gone cannot be used"):
        camera.enter(tmp_path / "gone", "camera1")


def test_it_enters_another_world_only_while_it_is_closed(tmp_path: Path) -> None:
    first, second = (World.create(tmp_path / name, sample="empty") for name in "ab")
    camera = camera_in(first)
    with pytest.raises(StateError, match="is open: it cannot change worlds"):
        camera.enter(second.path, "camera1")
    camera.close()

    camera.enter(second.path, "camera1")
    camera.open()
    film_of(camera, 1)

    assert (first.file.count, second.file.count) == (0, 1)


def test_the_truth_tells_where_the_light_came_from(
    world: World, tmp_path: Path
) -> None:
    camera = camera_in(
        world, width_px=200, height_px=200, exposure_s=0.01, ground_truth=True
    )
    film = (film_of(camera, 2) - camera.offset) * camera.gain_e

    (path,) = camera.write_companions(tmp_path / "movie_0001")

    assert path == tmp_path / "movie_0001.camera1.truth.csv"
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert {row["frame"] for row in rows} == {"0", "1"}
    assert {row["channel"] for row in rows} == {"beads"}
    whole = [r for r in rows if all(9 < float(r[a]) < 190 for a in ("x_px", "y_px"))]
    assert len(whole) > 4
    for row in whole:
        image = film[int(row["frame"])]
        x, y = round(float(row["x_px"])), round(float(row["y_px"]))
        light = image[y - 7 : y + 8, x - 7 : x + 8]
        assert np.unravel_index(light.argmax(), light.shape) == (7, 7)
        # 4,000 electrons are known to 2 %, and background adds 1 %.
        expected = float(row["photons"]) * camera.quantum_efficiency
        assert light.sum() == pytest.approx(expected, rel=0.15)
        assert float(row["x_um"]) == pytest.approx((x - 99.5) * 0.1, abs=0.06)


def test_there_is_no_truth_unless_it_is_asked_for(world: World, tmp_path: Path) -> None:
    camera = camera_in(world)
    film_of(camera, 1)

    assert not camera.has_companions
    assert camera.write_companions(tmp_path / "movie") == ()
    assert not SimCamera(ground_truth=True).has_companions


def test_a_truth_that_cannot_be_written_says_so(world: World, tmp_path: Path) -> None:
    camera = camera_in(world, ground_truth=True)
    film_of(camera, 1)

    with pytest.raises(DeviceError, match=r"truth\.csv cannot be written"):
        camera.write_companions(tmp_path / "absent" / "movie")


def test_a_region_beside_the_light_is_filmed_without_sample(world: World) -> None:
    camera = camera_in(world, pixel_size_um=8.0, roi_height_px=1)

    (frame,) = film_of(camera, 1)

    assert frame.shape[0] == 1
    assert abs(float(frame.mean()) - camera.offset) < 10.0


def in_limits(name: str) -> st.SearchStrategy[object]:
    parameter = SimCamera.parameters()[name]
    if parameter.kind == "float":
        return st.floats(0.0, 100.0) | st.floats(allow_nan=True, allow_infinity=True)
    if parameter.kind == "int":
        return st.integers(-1, 70)
    if parameter.kind == "bool":
        return st.booleans()
    return st.sampled_from(["", "free", "software", "hardware", "camera1"])


NAMES = sorted(set(SimCamera.parameters()) - {"world", "width_px", "height_px"})


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_whatever_it_is_told_it_films_or_says_why(
    data: st.DataObject, world: World
) -> None:
    names = data.draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=6))
    values = {name: data.draw(in_limits(name)) for name in names}
    camera = SimCamera(width_px=48, height_px=40, world="sample")
    camera.clock = FakeClock()
    camera.enter(world.path, "camera1")
    camera.open()
    try:
        camera.set_parameters(values)
        camera.start(2)
        if camera.trigger_by == "software":
            camera.trigger()
        camera.clock.advance(camera.frame_period_s() * 1.001)
        out = np.zeros(camera.frame_shape, camera.dtype)
        assert camera.read_into(out, 0.0) is not None
    except (ParameterError, StateError):
        pass  # anything else is not declared
    finally:
        camera.close()
