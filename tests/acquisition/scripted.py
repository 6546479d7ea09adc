"""A microscope that does what a test prepares, on a clock that needs no sleeping."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import msgspec

from hal.acquisition import Armed, FilmEngine, FilmPlan, FinishedFilm, RunStatus
from hal.base import ErrorRecord
from hal.frames import FrameLedger, LedgerCounts
from hal.testing import FakeClock

FRAMES = 10
RUN_ID = "run1"


class HastyClock(FakeClock):
    """Lets the time of every wait pass at once, so that a test needs one thread."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        if not event.is_set():
            self.advance(timeout_s)
        return event.is_set()


class ScriptedRig:
    """A `Rig` that notes every call, and first does what was put into `acts`."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.acts: dict[str, Callable[[], object]] = {}
        self.finished: Callable[[], FinishedFilm] = lambda: FinishedFilm((), {}, ())
        self.final_state = ""
        self.made_of: dict[str, str] = {}
        """The feeds that are saved, each with its camera."""
        self.analyses: dict[str, ErrorRecord | None] = {}
        self.not_ended: tuple[ErrorRecord, ...] = ()
        self.planned: dict[str, int] = {}
        """Frames of those that have another number of them."""

    def feeds(self, cameras: tuple[str, ...]) -> Mapping[str, str]:
        return self.made_of

    def arm(self, camera: str, frames: int | None, *, on_request: bool) -> Armed:
        self._do(f"arm {camera}")
        return Armed(0.01, self.planned.get(camera, frames))

    def begin_analyses(self) -> Mapping[str, ErrorRecord | None]:
        self._act("begin analyses")
        return self.analyses

    def end_analyses(self) -> tuple[ErrorRecord, ...]:
        self._act("end analyses")
        return self.not_ended

    def open_recording(self) -> tuple[str, ...]:
        self._do("open")
        return ("film.dax", "film.xml")

    def start(self, camera: str) -> None:
        self._do(f"start {camera}")

    def stop(self, camera: str) -> None:
        self._do(f"stop {camera}")

    def finish_recording(self, state: str, drain_s: float) -> FinishedFilm:
        self.final_state = state
        self._do("finish")
        return self.finished()

    def _do(self, call: str) -> None:
        self.calls.append(call)
        self._act(call)

    def _act(self, call: str) -> None:
        self.acts.get(call, lambda: None)()


class Film:
    """An engine, its rig, and everything that it reports."""

    def __init__(
        self,
        *cameras: str,
        frames: int | None = FRAMES,
        rig: ScriptedRig | None = None,
        run_id: str = RUN_ID,
        deadline_s: float | None = None,
    ) -> None:
        self.cameras = cameras or ("left", "right")
        self.rig = rig or ScriptedRig()
        self.clock = HastyClock()
        self.reports: list[RunStatus] = []
        self.beats = 0
        self.engine = FilmEngine(
            run_id,
            FilmPlan(frames, self.cameras),
            self.cameras,
            self.rig,
            self.clock,
            self.reports.append,
            deadline_s=deadline_s,
        )
        self.progress = self.engine.progress
        self.rig.finished = self.finished
        for camera in self.cameras:
            self.on(f"start {camera}", lambda name=camera: self.deliver(name))

    def on(self, call: str, act: Callable[[], object]) -> None:
        """Have `act` done within that call of the rig."""
        self.rig.acts[call] = act

    def fail(self, call: str, error: BaseException) -> None:
        """Have that call of the rig raise."""

        def act() -> None:
            raise error

        self.on(call, act)

    def deliver(
        self, camera: str, received: int = FRAMES, stored: int | None = None
    ) -> None:
        """Tell of a camera that ended after frames came and were stored."""
        self.progress.received(camera, 0, received - 1)
        self.progress.stored(camera, 0, (received if stored is None else stored) - 1)
        self.progress.ended(camera, received, None)

    def finished(self, **verified: LedgerCounts) -> FinishedFilm:
        """Return what the recorder says: what the engine was told, unless given."""
        counts: Mapping[str, LedgerCounts] = self.progress.counts() | verified
        return FinishedFilm(("film.dax", "film.xml"), dict(counts), ())

    def run(self) -> RunStatus:
        """Prepare and run it; return how it ended."""
        self.engine.prepare(40.0)
        return self.go()

    def go(self) -> RunStatus:
        """Run a prepared film; return how it ended."""
        self.engine.run(self.beat)
        return self.reports[-1]

    def beat(self) -> None:
        self.beats += 1


def ledger(
    camera: str, planned: int | None = FRAMES, *, stored: tuple[range, ...]
) -> FrameLedger:
    """Return an account of frames that came and were stored."""
    account = FrameLedger(camera, planned)
    for frames in stored:
        for index in frames:
            account.received(index)
        account.stored(frames.start, frames.stop)
    return account


def counts(**changes: object) -> LedgerCounts:
    """Return the counts of a whole film, with changes."""
    whole = ledger("left", stored=(range(FRAMES),)).snapshot()
    return msgspec.structs.replace(whole, **changes)
