"""Preflight looks at the modules that run: their limits, their times, what is there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import useq

from hal.acquisition import CameraAbility, ChannelName, Preflight, preflight
from hal.acquisition.plans import (
    ImageEvent,
    Plan,
    WaitEvent,
    combine,
    explicit,
    from_useq,
    load_plan,
    wait,
)
from hal.base import Carrier, DeviceError, PlanError
from hal.messages import (
    GetCameraAbility,
    GetLightAbility,
    GetShutterAbility,
    GetWheelAbility,
    LightAbility,
    SetParameters,
    ShutterAbility,
    StartRun,
    WheelAbility,
)
from hal.testing import Part, RunningHal, part, running_hal
from modules.acquisition import gathering
from modules.acquisition.abilities import RigAbilities
from modules.acquisition.acquisition import AcquisitionModule
from modules.acquisition.gathering import gather_abilities
from modules.cameras.ability import camera_ability
from modules.cameras.camera import CameraModule
from modules.channels.channel import ChannelModule
from modules.filter_wheels.filter_wheel import FilterWheelModule
from modules.light_sources.light_source import LightSourceModule
from modules.light_sources.shutter import ShutterModule
from modules.simulation import (
    SimCamera,
    SimFilterWheel,
    SimLightSource,
    SimShutter,
    SimXYStage,
    SimZStage,
)
from modules.stages.xy_stage import XYStageModule
from modules.stages.z_stage import ZStageModule
from tests.isolation.bench import isolated_part
from tests.modules.bench import sim_part

DAPI, FITC, CY5 = (ChannelName(name) for name in ("DAPI", "FITC", "Cy5"))
XY = SimXYStage(
    x_low_um=-500.0,
    x_high_um=500.0,
    y_low_um=-300.0,
    y_high_um=300.0,
    speed_um_s=1000.0,
    acceleration_um_s2=20_000.0,
    settle_s=0.05,
)
Z = SimZStage(z_low_um=-50.0, z_high_um=50.0, speed_um_s=100.0)
WHEEL = SimFilterWheel(filters="empty,525/50,605/70,700/75", slot_time_s=0.1)


def channel(label: str, light: str, filter: str, **values: Any) -> Part:
    return part(
        label.lower(),
        ChannelModule,
        label=label,
        light=light,
        filter_wheel="wheel",
        filter=filter,
        **values,
    )


def microscope() -> list[Part]:
    return [
        sim_part(exposure_s=0.05, row_time_s=0.01),
        part("stage", XYStageModule, driver=XY),
        part("z", ZStageModule, driver=Z),
        part("wheel", FilterWheelModule, driver=WHEEL),
        part("lamp", LightSourceModule, driver=SimLightSource(switch_s=0.02)),
        part("laser", LightSourceModule, driver=SimLightSource(max_power_mw=50.0)),
        part("shutter1", ShutterModule, driver=SimShutter(open_s=0.03, close_s=0.01)),
        channel("DAPI", "lamp", "empty", power_mw=0.0),
        channel("FITC", "laser", "2", power_mw=10.0, shutter="shutter1"),
        channel("Cy5", "laser", "700/75", power_mw=20.0, lit_area_cm2=0.01),
    ]


@contextmanager
def asked(
    folder: Path, *parts: Part, carrier: Carrier | None = None, **request: Any
) -> Iterator[RigAbilities]:
    with running_hal(*parts, carrier=carrier) as hal:
        yield abilities(hal, folder, **request)


def abilities(hal: RunningHal, folder: Path, **request: Any) -> RigAbilities:
    module = hal.module("acquisition", AcquisitionModule)
    wanted = StartRun(plan=explicit([ImageEvent()]), directory=str(folder), **request)
    cameras = module.context.names_of_role("camera")
    return gather_abilities(module, wanted, cameras)


def planned(**fields: Any) -> Plan:
    return from_useq(useq.MDASequence(**fields))


def only_problem(found: Preflight) -> Any:
    (problem,) = found.problems
    return problem


def test_preflight_looks_at_the_modules_that_run(
    tmp_path: Path, carrier: Carrier | None
) -> None:
    with asked(tmp_path, *microscope(), carrier=carrier) as able:
        pass

    assert able.devices["wheel"]
    assert (able.camera, able.stage, able.focus_drive) == ("camera1", "stage", "z")
    assert able.cameras == {
        "camera1": CameraAbility(
            exposure_s=0.05,
            low_exposure_s=0.0,
            high_exposure_s=60.0,
            readout_s=pytest.approx(0.03),
            frame_period_s=0.08,
            frame_bytes=512,
        )
    }
    assert able.channels[CY5].power_mw == 20.0
    assert able.channels[FITC].devices == ("laser", "shutter1", "wheel")
    assert able.time_to_move_xy_s((1.0, 2.0), (301.0, -200.0)) == XY.time_to_move_s(
        (1.0, 2.0), (301.0, -200.0)
    )
    assert able.time_to_move_z_s(1.0, -9.0) == Z.time_to_move_s(1.0, -9.0) == 0.1
    # Three slots further is one slot back; the laser gets another power.
    assert able.time_to_change_channel_s(None, DAPI) == 0.0
    assert able.time_to_change_channel_s(DAPI, CY5) == WHEEL.time_to_move_s(1, 4) == 0.1
    assert able.time_to_change_channel_s(CY5, FITC) == 0.2
    assert able.time_to_light_s(DAPI) == 0.02
    assert able.time_to_light_s(FITC) == pytest.approx(0.02)
    assert able.time_to_light_s(None) == 0.0

    found = preflight(
        planned(
            stage_positions=[(0, 0, 0), (501, -301, 51)],
            channels=[{"config": "FICT", "exposure": 10}],
        ),
        able,
    )
    told = {(problem.field, problem.limit): problem.text for problem in found.problems}
    assert set(told) == {
        ("x_um", 500.0),
        ("y_um", -300.0),
        ("z_um", 50.0),
        ("channel", None),
    }
    words = "expected one of Cy5, DAPI, FITC; did you mean 'FITC'?"
    assert words in told["channel", None]


def test_setting_a_power_takes_time_where_it_changes(tmp_path: Path) -> None:
    def made(name: str, light: str, power_mw: float) -> Part:
        return part(name, ChannelModule, light=light, power_mw=power_mw)

    parts = [
        part("lamp", LightSourceModule, driver=SimLightSource(switch_s=0.02)),
        part("laser", LightSourceModule, driver=SimLightSource(switch_s=0.5)),
        *(made("dim", "laser", 1.0), made("bright", "laser", 2.0)),
        *(made("white", "lamp", 5.0), made("dark", "lamp", 0.0), made("red", "", 0.0)),
    ]
    with asked(tmp_path, *parts) as able:
        pass

    def took_s(start: str, end: str) -> float | None:
        first = ChannelName(start) if start else None
        return able.time_to_change_channel_s(first, ChannelName(end))

    assert (took_s("", "white"), took_s("", "dark")) == (0.02, 0.0)
    assert (took_s("dim", "bright"), took_s("dim", "dim")) == (0.5, 0.0)
    # Each light keeps its power while another one is used.
    assert (took_s("white", "dim"), took_s("dim", "red")) == (0.0, 0.0)
    assert took_s("dim", "unknown") is None


class OneWayWheel(SimFilterWheel):
    """Turns forward only, a second for each slot."""

    def time_to_move_s(self, start: int | str, end: int | str) -> float:
        return float((self._slot_of(end) - self._slot_of(start)) % len(self.names))


def test_a_wheel_tells_each_way_apart(tmp_path: Path) -> None:
    wheel = part("wheel", FilterWheelModule, driver=OneWayWheel(filters="a,b,c"))
    with running_hal(wheel) as hal:
        said = hal.ask(GetWheelAbility())

    rows = ((0.0, 1.0, 2.0), (2.0, 0.0, 1.0), (1.0, 2.0, 0.0))
    assert said == WheelAbility(filters=("a", "b", "c"), slot=1, move_s=rows)


def test_an_interval_that_is_too_short_is_refused_with_the_shortest_possible(
    tmp_path: Path,
) -> None:
    def lapse(interval_s: float) -> Plan:
        return planned(
            stage_positions=[(0, 0), (100, 0)],
            channels=[{"config": "DAPI", "exposure": 100}],
            time_plan={"interval": interval_s, "loops": 3},
        )

    with asked(tmp_path, *microscope()) as able:
        pass
    problem = only_problem(preflight(lapse(0.3), able))

    move_s = XY.time_to_move_s((0.0, 0.0), (100.0, 0.0))
    image_s = 0.02 + 0.1 + 0.02 + 0.03
    assert problem.field == "interval_s"
    assert problem.limit == pytest.approx(2 * move_s + 2 * image_s)
    assert f"takes {problem.limit:.6g} s: expected at least that" in problem.text
    assert not preflight(lapse(problem.limit), able).problems
    assert preflight(lapse(problem.limit - 0.001), able).problems


def test_waits_pass_and_count(tmp_path: Path) -> None:
    image = ImageEvent(exposure_s=0.1)
    waiting = combine(explicit([image, WaitEvent(duration_s=7.0)]), wait(5.0))
    with asked(tmp_path, *microscope()) as able:
        found = preflight(combine(waiting, explicit([image])), able)

    assert not found.problems
    assert found.duration_s == pytest.approx(2 * (0.1 + 0.03) + 12.0)


def test_the_disk_must_have_room_for_all_formats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = []

    def room(folder: Path) -> int:
        looked_at.append(folder)
        return real(folder) and 16 * 2**20 + 512 * 10

    real = gathering.free_bytes
    monkeypatch.setattr(gathering, "free_bytes", room)
    folder = tmp_path / "not" / "made"
    formats = ("dax", "ome-tiff")
    with asked(folder, *microscope(), formats=formats) as able:
        pass

    def lapse(images: int) -> Plan:
        return planned(time_plan={"interval": 1, "loops": images})

    assert looked_at == [folder, folder.parent, tmp_path]
    assert not folder.parent.exists()
    assert not preflight(lapse(5), able).problems
    assert "disk: the plan writes" in only_problem(preflight(lapse(6), able)).text


class BrokenStage(SimXYStage):
    """A stage that cannot say where it is."""

    def _do_position(self) -> tuple[float, float]:
        raise DeviceError("no answer from the controller")


class SilentStage(SimXYStage):
    """A stage that does not come back when it is asked where it is."""

    gate = threading.Event()

    def _do_position(self) -> tuple[float, float]:
        self.gate.wait(60.0)
        return super()._do_position()


class AbsentWheel(SimFilterWheel):
    """A wheel that cannot be opened."""

    def _do_open(self) -> None:
        raise DeviceError("nobody at that port")


@pytest.mark.parametrize("stage_class", [BrokenStage, SilentStage])
def test_a_device_that_does_not_answer_does_not_work(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    gate: threading.Event,
    stage_class: type[SimXYStage],
) -> None:
    monkeypatch.setattr(SilentStage, "gate", gate)
    monkeypatch.setattr(gathering, "ANSWER_S", 3.0)
    parts = [
        sim_part(),
        part("stage", XYStageModule, driver=stage_class(), deadline_s=60.0),
        part("wheel", FilterWheelModule, driver=AbsentWheel(filters="a,b")),
        part("c", ChannelModule, filter_wheel="wheel", filter="b"),
    ]
    with asked(tmp_path, *parts) as able:
        pass
        gate.set()

    assert (able.devices["stage"], able.devices["wheel"]) == (False, False)
    assert able.devices["camera1"]
    found = preflight(planned(stage_positions=[(1, 2)], channels=["c"]), able)
    assert {(each.field, each.value) for each in found.problems} == {
        ("x_um", "stage"),
        ("y_um", "stage"),
        ("channel", "wheel"),
    }
    assert all("does not work now" in each.text for each in found.problems)
    assert not preflight(planned(time_plan={"interval": 1, "loops": 1}), able).problems


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"filter": "525/5"}, "filter '525/5' is not in wheel: expected one of empty"),
        ({"filter": "9"}, "its filter '9' is not in wheel"),
        ({"power_mw": 51.0}, "its power_mw=51: expected at most 50 mW of laser"),
    ],
)
def test_a_channel_that_its_devices_cannot_be_is_refused(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    with running_hal(*microscope()) as hal:
        hal.ask(SetParameters({"fitc": change}))
        able = abilities(hal, tmp_path)

    assert words in only_problem(preflight(planned(channels=["FITC"]), able)).text
    assert not preflight(planned(channels=["DAPI"]), able).problems


def test_channels_that_came_to_have_one_name_are_refused(tmp_path: Path) -> None:
    with running_hal(*microscope()) as hal:
        hal.ask(SetParameters({"fitc": {"label": "Cy5"}}))

        with pytest.raises(PlanError, match="channel Cy5 is two modules, 'fitc' and"):
            abilities(hal, tmp_path)


class VagueWheel(SimFilterWheel):
    times_are_exact = False


class VagueLight(SimLightSource):
    times_are_exact = False


class VagueShutter(SimShutter):
    times_are_exact = False


class VagueCamera(SimCamera):
    times_are_exact = False


class VagueStage(SimXYStage):
    def move_timing(self) -> Any:
        return None


def test_times_that_a_driver_cannot_tell_are_unknown_and_said_to_be(
    tmp_path: Path,
) -> None:
    parts = [
        sim_part(),
        part("stage", XYStageModule, driver=VagueStage()),
        part("wheel", FilterWheelModule, driver=VagueWheel(filters="a,b")),
        part("lamp", LightSourceModule, driver=VagueLight()),
        part("shutter1", ShutterModule, driver=VagueShutter()),
        part(
            "c",
            ChannelModule,
            light="lamp",
            shutter="shutter1",
            filter_wheel="wheel",
            filter="b",
        ),
    ]
    with running_hal(*parts) as hal:
        wheel = hal.ask(GetWheelAbility())
        lamp = hal.ask(GetLightAbility())
        shutter = hal.ask(GetShutterAbility())
        able = abilities(hal, tmp_path)

    assert wheel == WheelAbility(filters=("a", "b"), slot=1)
    assert lamp == LightAbility(max_power_mw=100.0, power_mw=0.0, is_on=False)
    assert shutter == ShutterAbility(is_open=False)
    assert camera_ability(VagueCamera(exposure_s=0.2)).frame_period_s is None
    found = preflight(planned(stage_positions=[(10, 0)], channels=["c"]), able)
    assert not found.problems
    assert {text.partition(":")[0] for text in found.warnings} == {
        "moves of the stage",
        "changes of the channel",
        "switching light",
    }


def test_a_camera_in_a_process_of_its_own_is_able_to_the_same() -> None:
    values = {"width_px": 64, "height_px": 32, "exposure_s": 0.02, "row_time_s": 0.01}
    isolated = isolated_part("camera1", CameraModule, SimCamera, **values)

    with running_hal(isolated) as hal:
        assert hal.ask(GetCameraAbility()) == camera_ability(SimCamera(**values))


def test_the_example_can_be_run_on_the_microscope_it_is_for(tmp_path: Path) -> None:
    configs = Path(__file__).parents[2] / "xml_configs"
    with running_hal(configs / "sim.xml", log_folder=tmp_path) as hal:
        assert not hal.problems
        able = abilities(hal, tmp_path)

    found = preflight(load_plan(configs / "plans" / "timelapse.yaml"), able)

    assert not found.problems
    assert not found.warnings
    assert found.n_images == 36
    assert 16.0 < (found.duration_s or 0.0) < 30.0
