"""Runs a plan event by event: move, light, expose, and account for each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from hal.acquisition.event_row import EventOutcome
from hal.acquisition.event_rows import EventRows
from hal.acquisition.event_source import EventSource
from hal.acquisition.pauses import Pauses
from hal.acquisition.performer import Numbered, Performer
from hal.acquisition.plans import (
    AfterFailure,
    AnyEvent,
    ImageEvent,
    Plan,
    SetupEvent,
    StimulationEvent,
    WaitEvent,
)
from hal.acquisition.rig import PlanRig, Taken
from hal.acquisition.run_engine import REPORT_S, RunEngine
from hal.acquisition.run_status import RunState, RunStatus
from hal.acquisition.timetable import Timetable
from hal.base import (
    Cancelled,
    Clock,
    ErrorRecord,
    HalError,
    PlanError,
    RunError,
    get_logger,
)

MOST_AT_ONCE: Final = 1000
"""So many frames are asked for in one request at the most."""
_CALL_OFF_S: Final = 0.1
_PAUSED_S: Final = 0.5
_WORTH_TELLING_S: Final = 0.02

log = get_logger(module="acquisition")


class Studied(NamedTuple):
    """What a plan comes to on this microscope."""

    planned: Mapping[str, int | None]
    """The cameras, each with how many frames of it are planned; the first is the one
    of events that name none."""
    deadline_s: float | None = None
    """The run fails when it takes longer, pauses not counted."""


class _EndsRun(Exception):
    """Carries what no policy of an event can change."""

    def __init__(self, error: HalError) -> None:
        self.error = error


class PlanEngine(RunEngine):
    """One run of a plan; see `RunEngine`.

    One event at a time is taken from the plan, so a pause holds back all that has not
    begun, and neither changes what is done nor in which order.

    Runs on: as `RunEngine`; `pauses` and `extend` any.

    Guarantees:
        Every image event has its own frame index, which it leaves as a gap if it fails.
        What fails is tried again, passed over or ends the run, as the plan says.
        Light and motion are at rest when it ends, and settings as they were.
    """

    on_request = True

    def __init__(
        self,
        run_id: str,
        plan: Plan,
        study: Callable[[], Studied],
        rig: PlanRig,
        clock: Clock,
        report: Callable[[RunStatus], None],
    ) -> None:
        """Begin with a run that is pending.

        Args:
            run_id: Its identity.
            plan: What to do.
            study: Checks the plan, when the run is prepared.
            rig: The microscope.
            clock: Whose time counts.
            report: Called with each new status.
        """
        super().__init__(run_id, {}, rig, clock, report)
        self._study = study
        self.pauses = Pauses(self.progress.news.set)
        self._source = EventSource(plan)
        self._plan_rig = rig
        self._deadline_s: float | None = None
        self._spent_s = 0.0
        self._spent_until_s: float | None = None
        self._times = Timetable(clock)
        self._rows = EventRows(rig, self._times, clock)
        self._performer = Performer(rig, self._rows, self._times, clock, self._took)
        self._n_done = 0
        self._called_off_s = -math.inf
        self._is_ending = False

    @property
    def plan(self) -> Plan:
        """What it does, with what was added."""
        return self._source.plan

    def extend(self, more: Plan, studied: Studied) -> None:
        """Add a plan to the end of the one that is going on.

        Args:
            more: What to do then.
            studied: What it comes to.

        Raises:
            StateError: All events were done.
            PlanError: It cannot be added, or needs a camera that takes no part.
        """
        for name in studied.planned:
            if name not in self._cameras:
                raise PlanError(
                    f"camera '{name}' takes no part in this run: it cannot be added now"
                )
        self._source.extend(more)
        for name, frames in studied.planned.items():
            before = self.progress.cameras[name].planned
            both = None if frames is None or before is None else before + frames
            self.progress.plan_more(name, both)
        if self._deadline_s is not None:
            more_s = studied.deadline_s
            self._deadline_s = None if more_s is None else self._deadline_s + more_s

    def look(self) -> None:
        """Show that the engine is alive, and see whether it may go on."""
        self._beat()
        if self._is_ending:
            return
        self._check_cancelled()
        self._count_time()
        if self.pauses.is_wanted and self._status.state is RunState.RUNNING:
            self._change(state=RunState.PAUSING, why_paused=self.pauses.why)
            self._tell()
        if self.pauses.is_wanted and (camera := self._performer.taking):
            now_s = self._clock.monotonic_s()
            if now_s - self._called_off_s >= _CALL_OFF_S:
                self._called_off_s = now_s
                self._plan_rig.call_off(camera)
        try:
            self._check_modules()
        except HalError as exc:
            raise _EndsRun(exc) from exc
        self._tick()

    # -- beginning and end --------------------------------------------------------

    def _set_up(self) -> None:
        self._step("checking the plan")
        studied = self._study()
        self._cameras = tuple(studied.planned)
        self._deadline_s = studied.deadline_s
        self.progress.add_cameras(studied.planned)
        self._plan_rig.remember(self.plan)
        first = self._source.peek()
        if first is not None and isinstance(first[1], SetupEvent):
            region = first[1].roi
            if region is not None:
                camera = first[1].camera or self._cameras[0]
                self._plan_rig.set_region(camera, region)

    def _restore(self) -> tuple[ErrorRecord, ...]:
        return self._plan_rig.restore()

    def _rest(self) -> tuple[ErrorRecord, ...]:
        self._is_ending = True
        self.pauses.clear()
        failed = self._plan_rig.rest()
        self._rows.flush()
        return failed

    def _conduct(self) -> None:
        self._start_all()
        self._performer.begin(self._cameras, self._exposures_s)
        self._times.start()
        try:
            while (numbered := self._next()) is not None:
                self._hold()
                self._do(numbered)
        except _EndsRun as end:
            raise end.error from end
        self._is_ending = True
        self._step("storing", event=None, wait_remaining_s=None)
        self._rows.flush()
        for camera in self._cameras:
            self._rig.stop(camera)
        self._follow()

    def _counted(self) -> dict[str, object]:
        return {
            "follows_plan": True,
            "n_events_total": self.plan.n_events,
            "n_events_consumed": self._n_done,
            "lag_ms": 1000 * self._times.lag_s,
        }

    # -- event by event -----------------------------------------------------------

    def _next(self) -> Numbered | None:
        """Return the next event; None when even the last frame has led to no more."""
        if self._source.peek() is None:
            self._step("analysing")
            for problem in self._plan_rig.catch_up():
                self.progress.analysis_failed(problem.source, problem)
        return self._source.next()

    def _do(self, numbered: Numbered) -> None:
        number, event = numbered
        if event.reset_timer:
            self._times.start()
        self._change(event=number, index=event.index, phase=event.phase)
        if isinstance(event, WaitEvent):
            self._wait_out(number, event)
            return
        self._wait_until(self._times.due_s(event.min_start_time_s))
        batch = [numbered]
        if isinstance(event, ImageEvent):
            batch += self._followers(event)
        self._rows.begin(batch, self._performer.camera)
        if isinstance(event, StimulationEvent) and not self._has_mask(number, event):
            return
        self._do_batch(batch)

    def _has_mask(self, number: int, event: StimulationEvent) -> bool:
        """Ask where to stimulate; without an answer the event is passed over.

        Whatever the policy: an analysis that fails ends no run.
        """
        self._hold()
        try:
            self._performer.get_mask(number, event)
        except HalError as exc:
            if isinstance(exc, Cancelled) and self.progress.cancelled.is_set():
                raise
            error = ErrorRecord.from_exception(exc, event.mask_from)
            self._give_up(number, event, error, 1, AfterFailure.SKIP)
            return False
        return True

    def _followers(self, event: ImageEvent) -> list[Numbered]:
        """Take the events from the plan that need nothing but one more frame now."""
        found: list[Numbered] = []
        while len(found) < MOST_AT_ONCE - 1 and (ahead := self._source.peek()):
            other = ahead[1]
            if not isinstance(other, ImageEvent) or not _is_like(event, other):
                break
            taken = self._source.next()
            assert taken is not None
            found.append(taken)
        return found

    def _do_batch(self, batch: list[Numbered]) -> None:
        """Do events that belong together; fewer at a time, if something fails."""
        tries = 0
        while batch:
            number, event = batch[0]
            policy = self.plan.policy(event)
            self._hold()
            tries += 1
            self._rows.tried(number)
            count, error = self._try(batch)
            if count:
                self._n_done += count
                batch, tries = batch[count:], 1
                if error is not None and batch:
                    self._rows.tried(batch[0][0])
            if error is None or not batch:
                tries = 0
                continue
            self._performer.failed()
            number, event = batch[0]
            if tries <= policy.retries:
                log.warning("event tried again", number=number, why=error.text)
                continue
            self._give_up(number, event, error, tries, policy.then)
            batch, tries = batch[1:], 0

    def _try(self, batch: list[Numbered]) -> tuple[int, ErrorRecord | None]:
        """Return how many of these were done, and why the next one was not."""
        try:
            taken = self._performer.perform(batch)
        except HalError as exc:
            if isinstance(exc, Cancelled) and self.progress.cancelled.is_set():
                raise
            return 0, ErrorRecord.from_exception(exc, "acquisition")
        return taken.count, taken.error

    def _took(self, camera: str, frame: int, taken: Taken) -> None:
        """Note frames that have come."""
        if self._status.started_at_s is None:
            ago_s = self._clock.monotonic_s() - taken.began_s
            self._change(started_at_s=self._clock.wall_s() - ago_s)
        self.progress.received(camera, frame, frame + taken.count - 1)

    def _give_up(
        self,
        number: int,
        event: AnyEvent,
        error: ErrorRecord,
        tries: int,
        then: AfterFailure,
    ) -> None:
        what = f"event {number} {_place(event)}"
        said = f" after {tries} tries" if tries > 1 else ""
        skips = then is AfterFailure.SKIP
        outcome = EventOutcome.SKIPPED if skips else EventOutcome.FAILED
        frame = self._rows.failed(number, outcome, error.text)
        if not skips:
            failure = error.to_exception()
            failure.add_note(f"It ended the run at {what}{said}.")
            raise _EndsRun(failure)
        self._n_done += 1
        text = f"{what} was passed over{said}: {error.text}"
        if frame is not None:
            camera = self._performer.camera(event)
            self.progress.pass_over(camera, frame)
            text = f"{what}, frame {frame} of {camera}, is missing{said}: {error.text}"
        self.progress.tolerate(
            ErrorRecord(kind=error.kind, text=text, source=error.source)
        )

    # -- time ---------------------------------------------------------------------

    def _wait_out(self, number: int, event: WaitEvent) -> None:
        now_s = self._clock.monotonic_s()
        due_s = self._times.due_s(event.min_start_time_s)
        begin_s = now_s if due_s is None else max(now_s, due_s)
        self._rows.begin([(number, event)], self._performer.camera)
        self._wait_until(begin_s + event.duration_s)
        self._rows.done(number, began_s=begin_s)
        self._n_done += 1

    def _wait_until(self, due_s: float | None) -> None:
        """Return when it is due; a pause meanwhile goes on beyond that."""
        self._hold()
        if due_s is None:
            return
        while (left_s := due_s - self._clock.monotonic_s()) > 0.0:
            self.progress.news.clear()
            self.look()
            if self.pauses.is_wanted:
                self._hold()
                continue
            if left_s > _WORTH_TELLING_S:
                self._change(state=RunState.WAITING, wait_remaining_s=left_s)
                self._rows.flush()
            self._clock.wait(self.progress.news, min(left_s, REPORT_S))
        self._hold()
        self._change(state=RunState.RUNNING, wait_remaining_s=None)

    def _hold(self) -> None:
        """Return when nobody wants a pause; nothing is lit meanwhile."""
        self.look()
        if not self.pauses.is_wanted:
            return
        try:
            self._performer.darken()
        except HalError as exc:
            raise _EndsRun(exc) from exc
        self._rows.flush()
        while self.pauses.is_wanted:
            self.progress.news.clear()
            self._change(state=RunState.PAUSED, why_paused=self.pauses.why)
            self._tell()
            self.look()
            self._clock.wait(self.progress.news, _PAUSED_S)
        self._change(state=RunState.RUNNING, why_paused="")
        self._tell()

    def _count_time(self) -> None:
        """See whether the run takes too long; a pause does not count."""
        now_s = self._clock.monotonic_s()
        last_s, self._spent_until_s = self._spent_until_s, now_s
        if last_s is None or self._status.state is RunState.PAUSED:
            return
        self._spent_s += now_s - last_s
        if self._deadline_s is not None and self._spent_s > self._deadline_s:
            late = RunError(f"the run took longer than {self._deadline_s:g} s")
            raise _EndsRun(late)


def _is_like(event: ImageEvent, other: ImageEvent) -> bool:
    """Whether `other`, right after `event`, needs nothing but one more frame.

    That does not depend on the time: a plan that is late is done in the same way.
    """
    return (
        not other.reset_timer
        and other.min_start_time_s in (None, event.min_start_time_s)
        and other.camera == event.camera
        and other.exposure_s == event.exposure_s
        and other.channel == event.channel
        and other.on_failure == event.on_failure
        and other.phase == event.phase
        and (other.x_um, other.y_um, other.z_um) == (event.x_um, event.y_um, event.z_um)
        and other.properties == event.properties
        and other.index.get("p") == event.index.get("p")
    )


def _place(event: AnyEvent) -> str:
    """Return where in its plan an event is: `(t=3, p=1)`."""
    return "(" + ", ".join(f"{axis}={n}" for axis, n in event.index.items()) + ")"
