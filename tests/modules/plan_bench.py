"""A small microscope for plans, and what a run leaves on the disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import useq

from hal.acquisition import EventRow, Plan, RunHandle, RunState, RunStatus
from hal.acquisition.plans import from_useq
from hal.devices import Camera
from hal.testing import Part, RunningHal, part, wait_until
from modules.channels.channel import ChannelModule
from modules.filter_wheels.filter_wheel import FilterWheelModule
from modules.light_sources.light_source import LightSourceModule
from modules.light_sources.shutter import ShutterModule
from modules.simulation import (
    SimFilterWheel,
    SimLightSource,
    SimShutter,
    SimXYStage,
    SimZStage,
)
from modules.stages.xy_stage import XYStageModule
from modules.stages.z_stage import ZStageModule
from tests.modules.bench import PATIENCE_S, camera_part, sim_part

FAST = {"speed_um_s": 1e6}


class Microscope:
    """Its drivers, so that a test can look at them and replace some."""

    def __init__(self, camera: Camera | None = None, **camera_values: Any) -> None:
        self.camera = camera
        self.camera_values = {"exposure_s": 0.001} | camera_values
        self.stage = SimXYStage(**FAST)
        self.z = SimZStage(**FAST)
        self.laser = SimLightSource(wavelength_nm=488.0, max_power_mw=50.0)
        self.shutter = SimShutter()
        self.wheel = SimFilterWheel(filters="empty, 525/50, 605/70")
        self.requested: dict[str, float] = {}
        """Parameters of the camera's module."""

    def parts(self) -> tuple[Part, ...]:
        if self.camera is None:
            camera = sim_part("camera1", **self.camera_values)
        else:
            camera = camera_part(self.camera, "camera1", **self.requested)
        lit = {"light": "laser", "power_mw": 10.0, "filter_wheel": "wheel"}
        return (
            camera,
            part("stage", XYStageModule, driver=self.stage),
            part("z", ZStageModule, driver=self.z),
            part("laser", LightSourceModule, driver=self.laser),
            part("shutter", ShutterModule, driver=self.shutter),
            part("wheel", FilterWheelModule, driver=self.wheel),
            part("fitc", ChannelModule, label="FITC", filter="525/50", **lit),
            part(
                "cy3",
                ChannelModule,
                label="Cy3",
                filter="605/70",
                shutter="shutter",
                **lit,
            ),
        )

    def assert_at_rest(self) -> None:
        """Nothing is lit, nothing moves."""
        assert not self.laser.is_on()
        assert not self.shutter.is_shutter_open()
        assert not self.stage.is_moving()
        assert not self.z.is_moving()


def plan_of(**fields: object) -> Plan:
    return from_useq(useq.MDASequence.model_validate(fields))


def ended(run: RunHandle) -> RunStatus:
    status = run.wait(PATIENCE_S)
    assert status is not None, run.status
    return status


def done(hal: RunningHal, folder: Path, plan: Plan, **values: Any) -> RunStatus:
    """Run a plan to its end, all of it."""
    status = ended(hal.run(folder, plan, **values))
    assert status.state is RunState.DONE, status
    return status


def rows(status: RunStatus) -> list[EventRow]:
    """Return the table of events beside the film."""
    (path,) = [Path(f) for f in status.files if f.endswith("_events.ndjson")]
    lines = path.read_bytes().splitlines()
    return [msgspec.json.decode(line, type=EventRow) for line in lines]


def pixels(status: RunStatus) -> bytes:
    (path,) = [Path(file) for file in status.files if file.endswith(".dax")]
    return path.read_bytes()


def until(ready: Callable[[], object], what: str) -> None:
    wait_until(ready, PATIENCE_S, what=what)
