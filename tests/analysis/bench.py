"""What the tests of analyses are built from: one that does what a test prepares."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from hal.acquisition import (
    AnyEvent,
    ChannelName,
    ImageEvent,
    Plan,
    RunHandle,
    RunStatus,
    StimulationEvent,
)
from hal.acquisition.plans import explicit
from hal.analysis import AnalysisModule, WatchedRun
from hal.base import Text, Value
from hal.devices import Mask, Projector
from hal.frames import FrameInfo, Pixels
from hal.kernel import Context
from hal.testing import Part, RunningHal, part
from modules.cameras.camera import CameraModule
from modules.projectors.projector import ProjectorModule
from modules.simulation import SimCamera

SIZE_PX = 16
PATIENCE_S = 30.0
LASER = ChannelName("laser")


class Script:
    """What an analysis does, and what was asked of it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.threads: set[str] = set()
        self.at_begin: Callable[[], object] = lambda: None
        self.at_frame: Callable[[FrameInfo], object] = lambda info: None
        self.at_mask: Callable[[StimulationEvent], Any] = lambda event: np.eye(SIZE_PX)
        self.at_end: Callable[[Path | None], Iterable[Path]] = lambda stem: ()
        self.score: float | None = None
        self.module: ScriptedAnalysis | None = None
        self.run: WatchedRun | None = None

    @property
    def frames(self) -> list[int]:
        """Indices of the frames that were analysed, in their order."""
        return [int(c.split()[1]) for c in self.calls if c.startswith("frame")]

    def told(self, what: str) -> int:
        return sum(call.startswith(what) for call in self.calls)


class ScriptedAnalysis(AnalysisModule):
    """Follows a `Script`."""

    def __init__(
        self,
        name: str,
        context: Context,
        *,
        script: Script,
        deadline_s: float = 5.0,
        **values: Value,
    ) -> None:
        super().__init__(name, context, deadline_s=deadline_s, **values)
        self._script = script
        script.module = self

    def begin(self, run: WatchedRun) -> None:
        self._note("begin")
        self._script.run = run
        self._script.at_begin()

    def analyse(self, frame: Pixels, info: FrameInfo) -> None:
        self._script.at_frame(info)
        self._note(f"frame {info.index}")

    def mask(self, event: StimulationEvent) -> Any:
        self._note("mask")
        return self._script.at_mask(event)

    def focus_score(self) -> float:
        if self._script.score is None:
            return super().focus_score()
        return self._script.score

    def end(self, stem: Path | None) -> Iterable[Path]:
        self._note("end")
        return self._script.at_end(stem)

    def _note(self, call: str) -> None:
        self._script.calls.append(call)
        self._script.threads.add(threading.current_thread().name)


class FragileAnalysis(AnalysisModule):
    """Its process ends without a word at a frame; otherwise it lights everything."""

    deadly = Text("", help="Index of that frame; empty for none.")

    def analyse(self, frame: Pixels, info: FrameInfo) -> None:
        self._shape = frame.shape
        if str(info.index) == self.deadly:
            os._exit(3)

    def mask(self, event: StimulationEvent) -> Any:
        return np.ones(self._shape, bool)


class NotingProjector(Projector):
    """Notes how many pixels it was to light, and for how long."""

    is_simulated = True

    def __init__(self, **values: Value) -> None:
        super().__init__(**values)
        self.shown: list[tuple[int, float]] = []
        self.at_show: Callable[[], object] = lambda: None
        self._is_lit = False

    @property
    def height_px(self) -> int:
        return SIZE_PX

    @property
    def width_px(self) -> int:
        return SIZE_PX

    def _do_show(self, mask: Mask, duration_s: float) -> None:
        self.at_show()
        self.shown.append((int(mask.sum()), duration_s))
        self._is_lit = True

    def _do_clear(self) -> None:
        self._is_lit = False

    def _do_is_dark(self) -> bool:
        return not self._is_lit

    def _do_halt(self) -> None:
        self._is_lit = False


def camera_part(name: str = "camera1", **values: Value) -> Part:
    size = {"width_px": SIZE_PX, "height_px": SIZE_PX, "exposure_s": 0.0}
    return part(name, CameraModule, driver=SimCamera(**(size | values)))


def analysis_part(script: Script, name: str = "smart", **values: Value) -> Part:
    return part(name, ScriptedAnalysis, script=script, **values)


def projector_part(driver: Projector) -> Part:
    return part("dmd", ProjectorModule, driver=driver)


def image(t: int = 0, **values: Any) -> ImageEvent:
    return ImageEvent(index={"t": t}, **values)


def stimulation(t: int = 0, **values: Any) -> StimulationEvent:
    usual = {"mask_from": "smart", "projector": "dmd", "duration_s": 0.001}
    # None of these tests may fail because the machine is busy.
    return StimulationEvent(index={"t": t}, **({"deadline_s": 20.0} | usual | values))


def begin(hal: RunningHal, folder: Path, *events: AnyEvent | Plan) -> RunHandle:
    """Start a run of these events, or of one plan."""
    first = events[0]
    plan = first if isinstance(first, Plan) else explicit(events)  # type: ignore[arg-type]
    return hal.run(folder, plan)


def end_of(run: RunHandle) -> RunStatus:
    status = run.wait(PATIENCE_S)
    assert status is not None, f"still {run.status}"
    return status


def errors(status: RunStatus) -> list[str]:
    """Return what went wrong without ending the run."""
    return [str(error) for error in status.background_errors]
