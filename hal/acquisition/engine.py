"""Runs a film: arm, open, expose, follow, and wind up whatever happened."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, TypeVar

import msgspec

from hal.acquisition.plan import FilmPlan
from hal.acquisition.progress import FilmProgress
from hal.acquisition.rig import Rig
from hal.acquisition.run_status import RunState, RunStatus
from hal.base import (
    Cancelled,
    Clock,
    DeviceTimeout,
    ErrorRecord,
    HalError,
    RunError,
)
from hal.frames import LedgerCounts

SILENCE_S: Final = 10.0
"""So long beyond its exposure time a camera may say nothing before the run fails."""
STORING_S: Final = 90.0
"""So long the recorder may store nothing of what has come.

Longer than camera and recorder bear it: they know better why, and say so first.
"""
_REPORT_S: Final = 0.1
_DRAIN_S: Final = 10.0

T = TypeVar("T")


class FilmEngine:
    """One film from beginning to end; made anew for each, so nothing leaks over.

    Runs on: `run` its loop's thread; `progress` is told from any.

    Guarantees:
        `run` always comes to a terminal status, which it reports last.
        Every camera that may be exposing is stopped, then every feed, and the
        recording is finished, each step contained, on every way out.
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
        self._cameras = tuple(self.progress.cameras)
        self._feeds: tuple[str, ...] = ()
        """Each after what it is made of."""
        self._exposures_s: dict[str, float] = {}
        self._is_abandoned = False
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
        undo: list[Callable[[], object]] = []
        try:
            made_of = self._rig.feeds(self._cameras)
            self._feeds = tuple(made_of)
            for name in (*self._cameras, *self._feeds):
                self._step(f"arming {name}")
                armed = self._rig.arm(name, self._plan.frames)
                undo.append(partial(self._rig.stop, name))
                self._exposures_s[name] = armed.exposure_s
                if name in made_of:
                    self.progress.add_feed(name, made_of[name], armed.frames)
                self._check_late(give_up_s, timeout_s)
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
        """Take a prepared film; returns when all is stored, closed and verified.

        Args:
            beat: Called often, to show that the engine is alive.
        """
        self._beat = beat
        failure: ErrorRecord | None = None
        try:
            self._expose()
            self._follow()
        except BaseException as exc:  # noqa: BLE001 - ends the run, not the wind-up
            # What a module gave up without being told to is a failure like others.
            if not (isinstance(exc, Cancelled) and self.progress.cancelled.is_set()):
                failure = ErrorRecord.from_exception(exc, "acquisition")
        try:
            self._wind_up(failure)
        finally:
            self.ended.set()

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

    def _expose(self) -> None:
        self._step("recording", state=RunState.RUNNING)
        self._change(started_at_s=self._clock.wall_s())
        # Who takes frames is there before the first one comes.
        for name in (*reversed(self._feeds), *self._cameras):
            self._rig.start(name)
        self.progress.restart_stall_clocks()

    def _follow(self) -> None:
        """Return when every camera's frames are stored.

        Raises:
            HalError: A camera or the recorder failed, in the class of its error.
            DeviceTimeout: Frames stopped coming.
            Cancelled: By request.
        """
        while True:
            self.progress.news.clear()
            self._beat()
            self._check_cancelled()
            for name, camera in self.progress.cameras.items():
                if camera.errors:
                    raise camera.errors[0].to_exception()
                self._check_silence(name)
            lost = self.progress.recorder_error.get_and_clear()
            if lost is not None:
                self._resume_recording(lost)
            if all(camera.is_done for camera in self.progress.cameras.values()):
                return
            self._tick()
            self._clock.wait(self.progress.news, _REPORT_S)

    def _resume_recording(self, lost: ErrorRecord) -> None:
        """Go on after the recorder has begun anew; the frames wait in their rings."""
        self._step("going on with the recording")
        try:
            self._rig.resume_recording()
        except HalError as exc:
            # Why it cannot go on comes second: first, why it had to.
            first = next(iter(self.progress.cameras))
            self.progress.failed(first, ErrorRecord.from_exception(exc, lost.source))
            raise lost.to_exception() from exc
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
        for camera in self._exposures_s:
            self._contained(partial(self._rig.stop, camera), problems)
        counts = self.progress.counts()
        self._announce("verifying", problems)
        state = self._outcome(failure or _first(problems), counts)
        finished = self._contained(
            partial(self._rig.finish_recording, state, _DRAIN_S), problems
        )
        if finished is not None:
            counts = finished.frames
            problems += finished.problems
            self._change(files=finished.files)
        problems = [*self.progress.close(), *problems]
        cut_short = failure is not None or self._is_cut_short(counts)
        problems = [*_lost(counts, cut_short=cut_short), *problems]
        if not cut_short:
            failure = _first(problems)
        self._change(
            state=self._outcome(failure, counts),
            step="",
            frames=counts,
            finished_at_s=self._clock.wall_s(),
            fatal_error=failure,
            background_errors=_others(problems, failure),
        )
        self._contained(self._tell, [])

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
        if now_s - self._last_report_s >= _REPORT_S:
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
        self._status = msgspec.structs.replace(
            self._status,
            n_events_consumed=min((c.stored for c in cameras), default=0),
            n_frames_received=sum(c.received for c in cameras),
            **(changes | {"frames": counts}),
        )


def _no_beat() -> None:
    pass


def _lost(counts: dict[str, LedgerCounts], *, cut_short: bool) -> Iterator[ErrorRecord]:
    """Yield which frames are missing; of a film cut short, out of those taken."""
    for name, count in counts.items():
        whole = not (count.gap_count or count.mismatch_count)
        if not (whole if cut_short else count.complete):
            text = describe_shortfall(count)
            yield ErrorRecord(kind=RunError.__name__, text=text, source=name)


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
