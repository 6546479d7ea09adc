"""A microscope that follows plans as a test says, on a clock that needs no sleeping."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import numpy as np

from hal.acquisition import (
    AnyEvent,
    Armed,
    CameraRegion,
    Change,
    ChannelName,
    EventRow,
    FinishedFilm,
    ImageEvent,
    Plan,
    PlanEngine,
    Reached,
    RunStatus,
    StimulationEvent,
    Studied,
    Taken,
)
from hal.acquisition.plans import explicit
from hal.base import ErrorRecord
from hal.frames import PackedMask
from hal.testing import FakeClock

RUN_ID = "run1"
CAMERA = "cam"
MOVE_S = 0.5
EXPOSURE_S = 0.1
DAPI, FITC = ChannelName("DAPI"), ChannelName("FITC")


class WorldClock(FakeClock):
    """Lets waits pass at once, and calls the test at each."""

    def __init__(self) -> None:
        super().__init__()
        self.at_wait: Callable[[], object] = lambda: None

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        if not event.is_set():
            self.advance(timeout_s)
        self.at_wait()
        return event.is_set()


class PlanBench:
    """An engine, the rig it sees, and everything that it does and reports."""

    def __init__(
        self,
        *events: AnyEvent,
        plan: Plan | None = None,
        deadline_s: float | None = None,
        cameras: tuple[str, ...] = (CAMERA,),
    ) -> None:
        self.clock = WorldClock()
        self.calls: list[str] = []
        self.times_s: dict[str, float] = {}
        """When each call was made for the first time."""
        self.acts: dict[str, Callable[[], object]] = {}
        self.rows: list[EventRow] = []
        self.reports: list[RunStatus] = []
        self.takes: list[tuple[str, int, int, int]] = []
        """Camera, frame, event and number of what came."""
        self.takes_at_most = 10**9
        self.stores = True
        """Whether every frame that comes is stored at once."""
        self.take_error: ErrorRecord | None = None
        self.restored: tuple[ErrorRecord, ...] = ()
        self.rested: tuple[ErrorRecord, ...] = ()
        self.call_offs: list[str] = []
        self.analyses: dict[str, ErrorRecord | None] = {}
        self.not_caught_up: tuple[ErrorRecord, ...] = ()
        self.masks = [[0, 1, 1], [0, 0, 0]]
        self._first_plan = plan or explicit(events)
        self._cameras = cameras
        self._deadline_s = deadline_s
        self.engine = PlanEngine(
            RUN_ID,
            self._first_plan,
            lambda: self.study(self._first_plan),
            self,
            self.clock,
            self.reports.append,
        )

    def study(self, plan: Plan) -> Studied:
        if plan.n_images is None:
            return Studied({self._cameras[0]: None}, self._deadline_s)
        planned = dict.fromkeys(self._cameras, 0)
        for event in plan:
            if isinstance(event, ImageEvent):
                planned[event.camera or self._cameras[0]] += 1
        return Studied(planned, self._deadline_s)

    def run(self) -> RunStatus:
        """Prepare and run it; return how it ended."""
        self.engine.prepare(40.0)
        self.engine.run(lambda: None)
        return self.reports[-1]

    def on(self, call: str, act: Callable[[], object]) -> None:
        """Have `act` done within the calls that begin so."""
        self.acts[call] = act

    def fail(self, call: str, *errors: BaseException) -> None:
        """Have that call raise these one after the other, and the last ever after."""
        left = list(errors)

        def act() -> None:
            raise left.pop(0) if len(left) > 1 else left[0]

        self.on(call, act)

    def told(self, *words: str) -> list[str]:
        """Return the calls that begin with one of these words."""
        return [call for call in self.calls if call.startswith(words)]

    def states(self) -> list[str]:
        """Return the states that were reported, each once in a row."""
        found: list[str] = []
        for report in self.reports:
            if not found or found[-1] != report.state:
                found.append(str(report.state))
        return found

    # -- the rig --------------------------------------------------------------------

    def feeds(self, cameras: tuple[str, ...]) -> Mapping[str, str]:
        return {}

    def arm(self, camera: str, frames: int | None, *, on_request: bool) -> Armed:
        assert on_request
        self._do(f"arm {camera} {frames}")
        return Armed(EXPOSURE_S, frames)

    def begin_analyses(self) -> Mapping[str, ErrorRecord | None]:
        self._act("begin analyses")
        return self.analyses

    def end_analyses(self) -> tuple[ErrorRecord, ...]:
        self._act("end analyses")
        return ()

    def catch_up(self) -> tuple[ErrorRecord, ...]:
        self._act("catch up")
        return self.not_caught_up

    def mask(self, number: int, event: StimulationEvent) -> PackedMask:
        self._do(f"mask {event.mask_from} {number}")
        return PackedMask.of(np.array(self.masks, np.uint8))

    def project(self, projector: str, mask: PackedMask, duration_s: float) -> None:
        self._do(f"project {projector} {mask.unpack().sum()} px {duration_s:g}")
        self.clock.advance(duration_s)

    def open_recording(self) -> tuple[str, ...]:
        self._do("open")
        return ("film.dax", "film.xml")

    def resume_recording(self) -> None:
        self._do("resume")

    def start(self, camera: str) -> None:
        self._do(f"start {camera}")

    def stop(self, camera: str) -> None:
        self._do(f"stop {camera}")
        progress = self.engine.progress
        if camera in progress.cameras:
            came = progress.cameras[camera].ledger.snapshot().received
            progress.ended(camera, came, None)

    def finish_recording(self, state: str, drain_s: float) -> FinishedFilm:
        self._do(f"finish {state}")
        return FinishedFilm(("film.dax", "film.xml"), self.engine.progress.counts(), ())

    def remember(self, plan: Plan) -> None:
        self._do("remember")

    def set_region(self, camera: str, region: CameraRegion) -> None:
        self._do(f"region {camera} {region.width_px}x{region.height_px}")

    def change(self, change: Change) -> Reached:
        said = [
            f"{axis[0]}={getattr(change, axis):g}"
            for axis in ("x_um", "y_um", "z_um")
            if getattr(change, axis) is not None
        ]
        if change.channel is not None:
            said.append(str(change.channel))
        said += [f"{p.device}.{p.name}={p.value}" for p in change.properties]
        self._do("change " + " ".join(said))
        self.clock.advance(MOVE_S)
        return Reached(change.x_um, change.y_um, change.z_um)

    def light(self, channel: ChannelName, *, on: bool) -> None:
        self._do(f"light {channel} {'on' if on else 'off'}")

    def take(
        self, camera: str, frame: int, event: int, count: int, exposure_s: float | None
    ) -> Taken:
        began_s = self.clock.monotonic_s()
        self._do(f"take {camera} {frame} x{count} {exposure_s}")
        self.engine.look()
        error = self.take_error if count > self.takes_at_most else None
        count = min(count, self.takes_at_most)
        self.clock.advance(count * (exposure_s or EXPOSURE_S))
        if count:
            self.takes.append((camera, frame, event, count))
            if self.stores:
                self.engine.progress.stored(camera, frame, frame + count - 1)
        return Taken(count, began_s, error)

    def call_off(self, camera: str) -> None:
        self.call_offs.append(camera)

    def focus(self, device: str, tries: int, motor_offset_um: float | None) -> float:
        self._do(f"focus {device} {tries}")
        return 7.0

    def note(self, rows: tuple[EventRow, ...]) -> None:
        self.rows += rows

    def rest(self) -> tuple[ErrorRecord, ...]:
        self._do("rest")
        return self.rested

    def restore(self) -> tuple[ErrorRecord, ...]:
        self._do("restore")
        return self.restored

    def _do(self, call: str) -> None:
        self.calls.append(call)
        self.times_s.setdefault(call, self.clock.monotonic_s())
        self._act(call)

    def _act(self, call: str) -> None:
        for begin, act in list(self.acts.items()):
            if call.startswith(begin):
                act()


def image(t: int = 0, **values: object) -> ImageEvent:
    """Return an image event at timepoint `t`."""
    return ImageEvent(index={"t": t}, **values)  # type: ignore[arg-type]
