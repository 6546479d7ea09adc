"""Runs a plan from beginning to end: prepare, conduct, wind up whatever happened."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, TypeVar

import msgspec

from hal.acquisition.plan import FilmPlan
from hal.acquisition.plans import Plan
from hal.acquisition.progress import RunProgress
from hal.acquisition.rig import Rig
from hal.acquisition.run_status import RunState, RunStatus
from hal.acquisition.shortfall import lost_frames
from hal.base import Cancelled, Clock, DeviceTimeout, ErrorRecord, HalError
from hal.frames import LedgerCounts

SILENCE_S: Final = 10.0
"""So long beyond its exposure time a camera may say nothing before the run fails."""
STORING_S: Final = 90.0
"""So long the recorder may store nothing of what has come.

Longer than camera and recorder bear it: they know better why, and say so first.
"""
REPORT_S: Final = 0.1
_DRAIN_S: Final = 10.0

T = TypeVar("T")


class RunEngine(ABC):
    """One run from beginning to end; made anew for each, so nothing leaks over.

    Runs on: `run` its loop's thread; `progress` is told from any.

    Guarantees:
        `run` always comes to a terminal status, which it reports last.
        Every camera that may be exposing is stopped, then every feed, and the
        recording is finished, each step contained, on every way out.
    """

    on_request = False
    """Whether cameras expose when they are asked to, instead of all the time."""

    def __init__(
        self,
        run_id: str,
        planned: Mapping[str, int | None],
        rig: Rig,
        clock: Clock,
        report: Callable[[RunStatus], None],
    ) -> None:
        """Begin with a run that is pending.

        Args:
            run_id: Its identity.
            planned: The cameras, each with how many frames of it are planned.
            rig: The microscope.
            clock: Whose time counts.
            report: Called with each new status.
        """
        self.progress = RunProgress(planned, clock)
        self._rig = rig
        self._clock = clock
        self._report = report
        self._beat: Callable[[], None] = _no_beat
        self.ended = threading.Event()
        """Set when `run` is over."""
        self._cameras = tuple(planned)
        self._feeds: tuple[str, ...] = ()
        """Each after what it is made of."""
        self._exposures_s: dict[str, float] = {}
        self._is_abandoned = False
        self._is_resuming = False
        self._last_report_s = clock.monotonic_s()
        self._status = RunStatus(run_id=run_id, state=RunState.PENDING)

    @property
    def status(self) -> RunStatus:
        """The newest status."""
        return self._status

    def prepare(self, timeout_s: float) -> None:
        """Arm the cameras and create the files; nothing is exposed.

        Runs on: worker.

        Raises:
            HalError: Whatever is wrong with the run; nothing is left of it.
        """
        give_up_s = self._clock.monotonic_s() + timeout_s
        undo: list[Callable[[], object]] = []
        try:
            undo.append(self._restore)
            self._set_up()
            made_of = self._rig.feeds(self._cameras)
            self._feeds = tuple(made_of)
            for name in (*self._cameras, *self._feeds):
                self._step(f"arming {name}")
                planned = self.progress.cameras[made_of.get(name, name)].planned
                armed = self._rig.arm(name, planned, on_request=self.on_request)
                undo.append(partial(self._rig.stop, name))
                self._exposures_s[name] = armed.exposure_s
                if name in made_of:
                    self.progress.add_feed(name, made_of[name], armed.frames)
                self._check_late(give_up_s, timeout_s)
            undo.append(self._rig.end_analyses)
            for name, problem in self._rig.begin_analyses().items():
                self.progress.analyses.add(name)
                if problem is not None:
                    self.progress.analysis_failed(name, problem)
            self._step("opening files")
            files = self._rig.open_recording()
            undo.append(partial(self._rig.finish_recording, RunState.ERROR, 0.0))
            # Whoever asked for the run may have given it up by now.
            self._check_late(give_up_s, timeout_s)
            self._change(files=files)
        except BaseException:
            for step in undo:
                self._contained(step, [])
            self.ended.set()
            raise

    def run(self, beat: Callable[[], None]) -> None:
        """Take a prepared run; returns when all is stored, closed and verified.

        Args:
            beat: Called often, to show that the engine is alive.
        """
        self._beat = beat
        failure: ErrorRecord | None = None
        try:
            self._conduct()
        except BaseException as exc:  # noqa: BLE001 - ends the run, not the wind-up
            # What a module gave up without being told to is a failure like others.
            if not (isinstance(exc, Cancelled) and self.progress.cancelled.is_set()):
                failure = ErrorRecord.from_exception(exc, "acquisition")
        try:
            self._wind_up(failure)
        finally:
            self.ended.set()

    def look(self) -> None:
        """Show that the engine is alive; called while it waits for the microscope."""
        self._beat()

    def abandon(self, error: ErrorRecord) -> RunStatus:
        """Return the final status of a run whose engine itself failed or hangs."""
        self._change(
            state=RunState.ERROR,
            fatal_error=error,
            background_errors=self.progress.close(),
            finished_at_s=self._clock.wall_s(),
        )
        self._is_abandoned = True
        return self._status

    @property
    @abstractmethod
    def plan(self) -> FilmPlan | Plan:
        """What it does."""

    # -- what each kind of run does in its own way --------------------------------

    def _set_up(self) -> None:
        """Do what has to be done before the cameras are armed."""
        self._beat()

    def _restore(self) -> tuple[ErrorRecord, ...]:
        """Undo that, as far as it went; return what failed."""
        return ()

    @abstractmethod
    def _conduct(self) -> None:
        """Do all of the plan; return when every frame is stored.

        Raises:
            HalError: It cannot go on, in the class of the reason.
            Cancelled: By request.
        """

    def _rest(self) -> tuple[ErrorRecord, ...]:
        """Bring to rest what the plan used, first thing at the end; what failed."""
        return ()

    def _counted(self) -> dict[str, object]:
        """Return how far the run is, as fields of its status."""
        return {}

    # -- the way of every run -----------------------------------------------------

    def _start_all(self) -> None:
        self._step("recording", state=RunState.RUNNING)
        # Who takes frames is there before the first one comes.
        for name in (*reversed(self._feeds), *self._cameras):
            self._rig.start(name)
        self.progress.restart_stall_clocks()

    def _follow(self) -> None:
        """Return when every camera has ended and its frames are stored.

        Raises:
            HalError: A camera or the recorder failed, in the class of its error.
            DeviceTimeout: Frames stopped coming.
            Cancelled: By request.
        """
        while True:
            self.progress.news.clear()
            self._beat()
            self._check_cancelled()
            self._check_modules()
            for name in self.progress.cameras:
                self._check_silence(name)
            if all(camera.is_done for camera in self.progress.cameras.values()):
                return
            self._tick()
            self._clock.wait(self.progress.news, REPORT_S)

    def _check_modules(self) -> None:
        """See whether cameras and recorder can go on.

        Raises:
            HalError: One of them cannot, in the class of its error.
        """
        if self._is_resuming:
            return  # asked while waiting for that very recorder
        for camera in self.progress.cameras.values():
            if camera.errors:
                raise camera.errors[0].to_exception()
        lost = self.progress.recorder_error.get_and_clear()
        if lost is not None:
            self._resume_recording(lost)

    def _resume_recording(self, lost: ErrorRecord) -> None:
        """Go on after the recorder has begun anew; the frames wait in their rings."""
        self._step("going on with the recording")
        self._is_resuming = True
        try:
            self._rig.resume_recording()
        except HalError as exc:
            # Why it cannot go on comes second: first, why it had to.
            first = next(iter(self.progress.cameras))
            self.progress.failed(first, ErrorRecord.from_exception(exc, lost.source))
            raise lost.to_exception() from exc
        finally:
            self._is_resuming = False
        self._step("recording")
        self.progress.restart_stall_clocks()

    def _check_silence(self, name: str) -> None:
        camera = self.progress.cameras[name]
        last_news_s = camera.last_news_s
        if camera.made_of:
            source = self.progress.cameras[camera.made_of]
            if source.sent is None:
                return  # only then a feed that says nothing is a sign of anything
            last_news_s = max(last_news_s, source.last_news_s)
        silent_s = self._clock.monotonic_s() - last_news_s
        if camera.is_done or silent_s <= SILENCE_S + 3 * self._exposures_s[name]:
            return
        counts = camera.ledger.snapshot()
        # Who is held up by the recorder is silent, too, and so is a feed's camera.
        storing = camera.sent is not None or any(
            progress.is_behind
            for other, progress in self.progress.cameras.items()
            if name in (other, progress.made_of)
        )
        if storing and silent_s <= STORING_S:
            return
        if storing:
            raise DeviceTimeout(
                f"the recorder has stored nothing for {silent_s:.1f} s: "
                f"{counts.received} frames of {name} came, {counts.stored} are stored"
            )
        silent = DeviceTimeout(
            f"no frame for {silent_s:.1f} s: "
            f"{counts.received} came, {counts.stored} are stored"
        )
        silent.source = name
        raise silent

    def _wind_up(self, failure: ErrorRecord | None) -> None:
        """Stop, finish and report; nothing in here prevents what comes after it."""
        problems: list[ErrorRecord] = []
        if failure is not None or self.progress.cancelled.is_set():
            self._announce("stopping", problems, state=RunState.CANCELLING)
        problems += self._contained(self._rest, problems) or ()
        for camera in self._exposures_s:
            self._contained(partial(self._rig.stop, camera), problems)
        problems += self._contained(self._restore, problems) or ()
        self._end_analyses(problems)
        counts = self.progress.counts()
        self._announce("verifying", problems)
        state = self._outcome(failure or _first(problems), counts)
        finished = self._contained(
            partial(self._rig.finish_recording, state, _DRAIN_S), problems
        )
        if finished is not None:
            counts = self.progress.settled(finished.frames)
            problems += finished.problems
            self._change(files=finished.files)
        passed_over = self.progress.passed_over
        problems = [*self.progress.close(), *problems]
        cut_short = failure is not None or self._is_cut_short(counts)
        problems = [
            *lost_frames(counts, cut_short=cut_short, passed_over=passed_over),
            *problems,
        ]
        if not cut_short:
            failure = _first(problems)
        self._change(
            state=self._outcome(failure, counts),
            step="",
            frames=counts,
            finished_at_s=self._clock.wall_s(),
            fatal_error=failure,
            background_errors=_others([*self.progress.tolerated, *problems], failure),
            event=None,
            wait_remaining_s=None,
        )
        self._contained(self._tell, [])

    def _end_analyses(self, problems: list[ErrorRecord]) -> None:
        """Have all frames looked at; what goes wrong in that fails no run."""
        self._announce("analysing", problems)
        failed: list[ErrorRecord] = []
        failed += self._contained(self._rig.end_analyses, failed) or ()
        for problem in failed:
            self.progress.analysis_failed(problem.source, problem)

    def _outcome(
        self, failure: ErrorRecord | None, counts: dict[str, LedgerCounts]
    ) -> RunState:
        if failure is not None:
            return RunState.ERROR
        return RunState.CANCELLED if self._is_cut_short(counts) else RunState.DONE

    def _is_cut_short(self, counts: dict[str, LedgerCounts]) -> bool:
        """Whether it was cancelled, and not too late to change anything."""
        all_there = all(
            count.planned is not None and count.stored == count.planned
            for count in counts.values()
        )
        return self.progress.cancelled.is_set() and not all_there

    def _announce(
        self, text: str, problems: list[ErrorRecord], **changes: object
    ) -> None:
        """Report a step of the wind-up, whatever has become of the listeners."""
        self._contained(partial(self._step, text, check=False, **changes), problems)

    def _contained(
        self, step: Callable[[], T], problems: list[ErrorRecord]
    ) -> T | None:
        try:
            return step()
        except BaseException as exc:  # noqa: BLE001 - the other steps must follow
            problems.append(ErrorRecord.from_exception(exc, "acquisition"))
            return None

    def _check_late(self, give_up_s: float, timeout_s: float) -> None:
        if self._clock.monotonic_s() > give_up_s:
            raise DeviceTimeout(f"preparing the run took over {timeout_s:g} s")

    def _check_cancelled(self) -> None:
        if self.progress.cancelled.is_set():
            raise Cancelled("cancelled by request")

    def _step(self, text: str, *, check: bool = True, **changes: object) -> None:
        self._beat()
        if check:
            self._check_cancelled()
        self._change(step=text, **changes)
        self._tell()

    def _tick(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._last_report_s >= REPORT_S:
            self._last_report_s = now_s
            self._change()
            self._tell()

    def _tell(self) -> None:
        if not self._is_abandoned:  # else the end of the run was reported already
            self._report(self._status)

    def _change(self, **changes: object) -> None:
        counts = changes.get("frames") or self.progress.counts()
        assert isinstance(counts, dict)
        cameras = [counts[name] for name in self._cameras if name in counts]
        received = sum(count.received for count in cameras)
        self._status = msgspec.structs.replace(
            self._status,
            n_frames_received=received,
            queues={"storage": received - sum(count.stored for count in cameras)},
            **(self._counted() | changes | {"frames": counts}),
        )


def _no_beat() -> None:
    pass


def _first(problems: list[ErrorRecord]) -> ErrorRecord | None:
    return problems[0] if problems else None


def _others(
    problems: list[ErrorRecord], failure: ErrorRecord | None
) -> tuple[ErrorRecord, ...]:
    """Return the problems besides `failure`, each once.

    A camera or the recorder says again at the end why it could not go on.
    """
    found = {(problem.source, problem.text): problem for problem in reversed(problems)}
    if failure is not None:
        found.pop((failure.source, failure.text), None)
    return tuple(reversed(found.values()))
