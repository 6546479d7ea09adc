"""What modules do for a script, by their role."""

from __future__ import annotations

import json

import numpy as np
import pytest

import hal
from hal.base import (
    BadInput,
    InvalidMessage,
    Leased,
    LimitError,
    ParameterError,
    StateError,
    UnsupportedError,
)
from hal.messages import GetStagePosition, StagePosition
from hal.testing import wait_until
from tests.scripting.conftest import PATIENCE_S

ALL_ROLES = """<hal name="All" directory="{folder}">
  <module name="camera1" class="cameras.camera">
    <driver class="simulation.camera" width_px="32" height_px="16" exposure_s="0.002"/>
  </module>
  <module name="stage" class="stages.xy_stage">
    <driver class="simulation.xy_stage"/>
  </module>
  <module name="z" class="stages.z_stage"><driver class="simulation.z_stage"/></module>
  <module name="laser" class="light_sources.light_source">
    <driver class="simulation.light_source" wavelength_nm="488" max_power_mw="50"/>
  </module>
  <module name="shutter" class="light_sources.shutter">
    <driver class="simulation.shutter"/>
  </module>
  <module name="wheel" class="filter_wheels.filter_wheel">
    <driver class="simulation.filter_wheel" filters="empty, 525/50"/>
  </module>
  <module name="focus" class="focus.focus_sensor">
    <driver class="simulation.focus_quadrant"/>
  </module>
  <module name="heater" class="temperature.temperature">
    <driver class="simulation.temperature_controller"/>
  </module>
  <module name="room" class="temperature.temperature">
    <driver class="simulation.temperature_sensor"/>
  </module>
  <module name="recorder" class="recorder.recorder" isolation="none"/>
  <module name="average" class="feeds.feed" source="camera1" kind="average"
          frames_to_average="2"/>
</hal>
"""


def test_each_role_does_what_it_is_for(tmp_path):
    path = tmp_path / "all.xml"
    path.write_text(ALL_ROLES.format(folder=tmp_path), "utf-8")
    with hal.open(path) as scope:
        assert scope.stage.move(10, np.float64(20)) == StagePosition(10.0, 20.0)
        assert scope.stage.move_by(np.int64(1), 2.0) == scope.stage.position
        assert scope.stage.position == StagePosition(11.0, 22.0)
        assert scope.z.move(3).z_um == 3.0
        assert scope.z.move_by(-1.0).z_um == scope.z.position.z_um == 2.0
        scope.z.halt()
        lit = scope.laser.on(power_mw=5)
        assert (lit.power_mw, lit.is_on) == (5.0, True)
        assert not scope.laser.off().is_on
        assert scope.laser.on().power_mw == 5.0
        assert scope.laser.read().is_on
        scope.shutter.open()
        scope.shutter.close()
        assert scope.wheel.move_to("525/50") == 2
        assert scope.wheel.move_to(1) == 1
        assert scope.focus.read().signal_sum > 0
        assert scope.heater.set_target(37).target_c == 37.0
        assert scope.heater.read().target_c == 37.0
        assert scope.heater.set_target(None).target_c is None
        assert scope.room.read().temperature_c < 60
        with pytest.raises(UnsupportedError, match="room measures, but cannot"):
            scope.room.set_target(37)
        with scope_film(scope):
            assert scope.camera1.latest().shape == (16, 32)
            assert scope.average.latest().shape == (16, 32)


class scope_film:  # noqa: N801
    """A film that goes on within a block."""

    def __init__(self, scope):
        self.scope = scope

    def __enter__(self):
        self.run = self.scope.film(None)
        return self.run

    def __exit__(self, *_exc):
        self.run.cancel()
        self.run.wait(progress=False)


def test_parameters_are_set_all_or_none(scope):
    camera = scope.camera1

    assert camera.set(exposure_s=0.003, binning=np.int64(2)) == {
        "exposure_s": 0.003,
        "binning": 2,
    }
    with pytest.raises(ParameterError, match="camera1: binning=99: expected a whole"):
        camera.set(exposure_s=0.004, binning=99)
    with pytest.raises(ParameterError, match="did you mean 'exposure_s'"):
        camera.set(expsure_s=0.004)
    assert camera.exposure_s == camera.get("exposure_s") == 0.003
    assert camera.set() == {}


def test_parameters_of_several_modules_are_set_all_or_none(scope):
    assert scope.set(camera1={"binning": 2}, stage={"settle_s": np.float32(0.5)}) == {
        "camera1": {"binning": 2},
        "stage": {"settle_s": 0.5},
    }
    with pytest.raises(ParameterError, match="stage: settle_s=-1"):
        scope.set(camera1={"binning": 4}, stage={"settle_s": -1.0})
    assert scope.camera1.binning == 2
    with pytest.raises(BadInput, match=r"no module 'sage'.*did you mean 'stage'"):
        scope.set(sage={"settle_s": 0.0})


def test_a_parameter_is_read_like_an_attribute_and_never_assigned(scope):
    with pytest.raises(AttributeError, match=r"changed with camera1\.set\(binning=2\)"):
        scope.camera1.binning = 2
    with pytest.raises(AttributeError, match=r"no 'bining'.*did you mean 'binning'"):
        scope.camera1.bining
    with pytest.raises(BadInput, match="camera1 has no 'bining'"):
        scope.camera1.get("bining")
    assert not hasattr(scope.camera1, "_repr_html_")
    assert {"binning", "latest", "set"} < set(dir(scope.camera1))


def test_parameters_are_a_table_for_people_and_a_mapping_for_programs(scope):
    table = scope.camera1.parameters()

    assert table["exposure_s"].unit == "s"
    assert set(table) >= {"binning", "block_s"}
    assert len(table) == len(list(table))
    head, *rows = repr(table).splitlines()
    assert head.split() == ["parameter", "value", "unit", "limits", "meaning"]
    assert any(
        row.split()[:6] == ["exposure_s", "0.002", "s", "0", "to", "60"] for row in rows
    )
    html = table._repr_html_()
    assert html.startswith("<table><caption>camera1</caption>")
    assert "<td>free, software, hardware</td>" in html
    assert repr(scope.settings.parameters()) == "settings has no parameters"


def test_anything_can_be_sent_to_a_module_and_errors_keep_their_class(scope):
    assert scope.stage.send(GetStagePosition()) == StagePosition(0.0, 0.0)
    with pytest.raises(BadInput, match=r"send to stage: expected a message, got 'x'"):
        scope.stage.send("x")
    with pytest.raises(LimitError, match="stage: x="):
        scope.stage.move(1e9, 0.0)
    with pytest.raises(InvalidMessage, match="x_um"):
        scope.stage.move("left", 0.0)


def test_what_a_run_uses_is_not_moved(scope):
    with scope_film(scope) as run:
        with pytest.raises(Leased, match=f"in use by run {run.run_id} of script:"):
            scope.stage.move(1.0, 1.0)
        assert scope.stage.position == StagePosition(0.0, 0.0)


def test_without_a_film_there_is_no_latest_image(scope):
    with pytest.raises(StateError, match="camera1 takes no images now: begin a film"):
        scope.camera1.latest()


def test_the_latest_image_is_a_copy_of_ones_own(scope):
    with scope_film(scope):
        pixels = scope.camera1.latest()
        pixels[:] = 0

        assert scope.camera1.latest().max() > 0


def test_ctrl_c_during_a_move_halts_it(config, interrupted):
    with hal.open(config, overrides=["stage.speed_um_s=100"]) as scope:
        system = scope._session.app.system

        def moves() -> bool:
            return any(s.module == "stage" and s.busy_with for s in system.statistics())

        interrupted(lambda: scope.stage.move(40_000.0, 0.0), when=moves)

        wait_until(lambda: not moves(), PATIENCE_S)
        assert scope.stage.position.x_um < 40_000.0
        scope.stage.set(speed_um_s=1e5)
        assert scope.stage.move(0.0, 0.0).x_um == 0.0
        trace = scope.trace_path
    told = [json.loads(line) for line in trace.read_text("utf-8").splitlines()]
    first = next(record for record in told if record.get("type") == "move stage")
    assert [error["kind"] for error in first["errors"]] == ["Halted"]
