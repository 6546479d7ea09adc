"""Runs a film: arm, open, expose, follow, and wind up whatever happened."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec

from hal.acquisition.plan import FilmPlan
from hal.acquisition.progress import FilmProgress
from hal.acquisition.rig import FinishedFilm, Rig
from hal.acquisition.run_status import RunState, RunStatus
from hal.base import Cancelled, Clock, DeviceTimeout, ErrorRecord, RunError
from hal.frames import LedgerCounts

SILENCE_S: Final = 10.0
"""So long beyond its exposure time a camera may say nothing before the run fails."""
_REPORT_S: Final = 0.1
_DRAIN_S: Final = 10.0


class FilmEngine:
    """One film from beginning to end; made anew for each, so nothing leaks over.

    Runs on: `run` its loop's thread; `progress` is told from any.

    Guarantees:
        `run` always comes to a terminal status, which it reports last.
        Every camera that may be exposing is stopped and the recording is finished,
        each step contained, on every way out.
    """

    def __init__(
        self,
        run_id: str,
        plan: FilmPlan,
        cameras: tuple[str, ...],
        rig: Rig,
        clock: Clock,
        report: Callable[[RunStatus], None],
    ) -> None:
        self.progress = FilmProgress(cameras, plan.frames, clock)
        self._plan = plan
        self._rig = rig
        self._clock = clock
        self._report = report
        self._beat: Callable[[], None] = _no_beat
        self.ended = threading.Event()
        """Set when `run` is over."""
        self._exposures_s: dict[str, float] = {}
        self._last_report_s = clock.monotonic_s()
        self._status = RunStatus(
            run_id=run_id, state=RunState.PENDING, n_events_total=plan.frames
        )

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
        try:
            for camera in self.progress.cameras:
                self._step(f"arming {camera}")
                self._exposures_s[camera] = self._rig.arm(camera, self._plan.frames)
                if self._clock.monotonic_s() > give_up_s:
                    raise DeviceTimeout(f"preparing the run took over {timeout_s:g} s")
            self._step("opening files")
            self._change(files=self._rig.open_recording())
        except BaseException:
            for camera in self._exposures_s:
                self._contained(partial(self._rig.stop, camera), [])
            raise

    def run(self, beat: Callable[[], None]) -> None:
        """Take a prepared film; returns when all is stored, closed and verified.

        Args:
            beat: Called often, to show that the engine is alive.
        """
        self._beat = beat
        failure: ErrorRecord | None = None
        try:
            self._expose()
            self._follow()
        except Cancelled:
            pass
        except BaseException as exc:  # noqa: BLE001 - ends the run, not the wind-up
            failure = ErrorRecord.from_exception(exc, "acquisition")
        try:
            self._wind_up(failure)
        finally:
            self.ended.set()

    def abandon(self, error: ErrorRecord) -> RunStatus:
        """Return the final status of a run whose engine itself failed or hangs."""
        self._change(
            state=RunState.ERROR, fatal_error=error, finished_at_s=self._clock.wall_s()
        )
        return self._status

    def _expose(self) -> None:
        self._step("recording", state=RunState.RUNNING)
        self._change(started_at_s=self._clock.wall_s())
        for camera in self.progress.cameras:
            self._rig.start(camera)
        self.progress.restart_stall_clocks()

    def _follow(self) -> None:
        """Return when every camera's frames are stored.

        Raises:
            RunError: A camera or the recorder failed.
            DeviceTimeout: Frames stopped coming.
            Cancelled: By request.
        """
        while True:
            self.progress.news.clear()
            self._beat()
            self._check_cancelled()
            for name, camera in self.progress.cameras.items():
                if camera.error:
                    raise RunError(f"{name}: {camera.error}")
                self._check_silence(name)
            if all(camera.is_done for camera in self.progress.cameras.values()):
                return
            self._tick()
            self._clock.wait(self.progress.news, _REPORT_S)

    def _check_silence(self, name: str) -> None:
        camera = self.progress.cameras[name]
        silent_s = self._clock.monotonic_s() - camera.last_news_s
        if camera.is_done or silent_s <= SILENCE_S + 3 * self._exposures_s[name]:
            return
        counts = camera.ledger.snapshot()
        who = "the recorder" if camera.sent is not None else name
        raise DeviceTimeout(
            f"nothing from {who} for {silent_s:.1f} s: "
            f"{counts.received} frames of {name} came, {counts.stored} are stored"
        )

    def _wind_up(self, failure: ErrorRecord | None) -> None:
        """Stop, finish and report; nothing in here prevents what comes after it."""
        problems: list[ErrorRecord] = []
        if failure is not None or self.progress.cancelled.is_set():
            self._step("stopping", check=False, state=RunState.CANCELLING)
        for camera in self._exposures_s:
            self._contained(partial(self._rig.stop, camera), problems)
        counts = self.progress.counts()
        self._step("verifying", check=False)
        state = self._outcome(failure, counts)
        finished = self._contained(
            partial(self._rig.finish_recording, state, _DRAIN_S), problems
        )
        if finished is not None:
            counts = finished.frames
            problems += [_record(text) for text in finished.problems]
            self._change(files=finished.files)
        if failure is None and not self.progress.cancelled.is_set():
            failure = self._shortfall(counts, problems)
            problems = [problem for problem in problems if problem is not failure]
        self._change(
            state=self._outcome(failure, counts),
            step="",
            frames=counts,
            finished_at_s=self._clock.wall_s(),
            fatal_error=failure,
            background_errors=tuple(problems),
        )
        self._report(self._status)

    def _outcome(
        self, failure: ErrorRecord | None, counts: dict[str, LedgerCounts]
    ) -> RunState:
        if failure is not None:
            return RunState.ERROR
        if self.progress.cancelled.is_set() and not self._all_there(counts):
            return RunState.CANCELLED
        return RunState.DONE

    def _all_there(self, counts: dict[str, LedgerCounts]) -> bool:
        """Whether a cancel came too late to change anything."""
        planned = self._plan.frames
        return planned is not None and all(c.stored == planned for c in counts.values())

    def _shortfall(
        self, counts: dict[str, LedgerCounts], problems: list[ErrorRecord]
    ) -> ErrorRecord | None:
        """Return why a film that ran to its end is not complete, if so."""
        for name, count in counts.items():
            if not count.complete:
                return _record(f"{name}: {describe_shortfall(count)}")
        return problems[0] if problems else None

    def _contained(
        self, step: Callable[[], FinishedFilm | None], problems: list[ErrorRecord]
    ) -> FinishedFilm | None:
        try:
            return step()
        except BaseException as exc:  # noqa: BLE001 - the other steps must follow
            problems.append(ErrorRecord.from_exception(exc, "acquisition"))
            return None

    def _check_cancelled(self) -> None:
        if self.progress.cancelled.is_set():
            raise Cancelled("cancelled by request")

    def _step(self, text: str, *, check: bool = True, **changes: object) -> None:
        self._beat()
        if check:
            self._check_cancelled()
        self._change(step=text, **changes)
        self._report(self._status)

    def _tick(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._last_report_s >= _REPORT_S:
            self._last_report_s = now_s
            self._change()
            self._report(self._status)

    def _change(self, **changes: object) -> None:
        counts = changes.get("frames") or self.progress.counts()
        assert isinstance(counts, dict)
        self._status = msgspec.structs.replace(
            self._status,
            n_events_consumed=min(c.stored for c in counts.values()),
            n_frames_received=sum(c.received for c in counts.values()),
            **(changes | {"frames": counts}),
        )


def _no_beat() -> None:
    pass


def describe_shortfall(counts: LedgerCounts) -> str:
    """Return in words what is missing of a film."""
    planned = "" if counts.planned is None else f" of {counts.planned}"
    text = f"{counts.stored}{planned} frames stored"
    if counts.gap_count:
        text += f", {counts.gap_count} missing: {_ranges(counts.gaps)}"
    if counts.mismatch_count:
        text += (
            f", {counts.mismatch_count} read back otherwise than written: "
            f"{_ranges(counts.mismatched)}"
        )
    return text


def _ranges(indices: tuple[int, ...]) -> str:
    """Return `3-5, 9` for (3, 4, 5, 9); at most ten ranges."""
    spans: list[list[int]] = []
    for index in indices:
        if spans and index == spans[-1][1] + 1:
            spans[-1][1] = index
        else:
            spans.append([index, index])
    words = [f"{a}" if a == b else f"{a}-{b}" for a, b in spans[:10]]
    return ", ".join(words) + (" ..." if len(spans) > 10 else "")


def _record(text: str) -> ErrorRecord:
    return ErrorRecord.from_exception(RunError(text), "acquisition")
