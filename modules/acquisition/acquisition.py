"""The acquisition module: runs one plan at a time and tells how it goes."""

from __future__ import annotations

from functools import partial
from typing import Final, NamedTuple

import msgspec

from hal.acquisition import (
    PERSON,
    FilmEngine,
    FilmPlan,
    Plan,
    PlanEngine,
    RunEngine,
    RunProgress,
    RunStatus,
)
from hal.base import (
    ErrorRecord,
    ModuleState,
    StateError,
    Value,
    new_ulid,
)
from hal.kernel import (
    Context,
    Loop,
    Module,
    ModuleStateChanged,
    StopModule,
    SystemMode,
    current_principal,
    handles,
)
from hal.messages import (
    AnalysisFailed,
    CameraFinished,
    CancelRun,
    ExtendRun,
    FramesReceived,
    FramesStored,
    GetRunPlan,
    GetRunStatus,
    GuardsOverruled,
    PauseRun,
    RecordingFailed,
    ReleaseRun,
    ResumeRun,
    RunAccepted,
    RunStatusChanged,
    StartRun,
    StopLive,
    SuspendRun,
)
from modules.acquisition.microscope import Microscope
from modules.acquisition.plan_microscope import PlanMicroscope
from modules.acquisition.study import study
from modules.acquisition.whole import named_cameras, set_mode

STALL_S: Final = 10.0
PREPARE_S: Final = 40.0
_KEPT: Final = 100
_USELESS: Final = frozenset(
    {
        ModuleState.DEGRADED,
        ModuleState.HUNG,
        ModuleState.RESTARTING,
        ModuleState.FAILED,
    }
)
"""States in which a module does nothing for a run."""
_BEGINS_ANEW: Final = frozenset({ModuleState.HUNG, ModuleState.RESTARTING})


class _Past(NamedTuple):
    """A run that is over."""

    status: RunStatus
    plan: FilmPlan | Plan


class AcquisitionModule(Module):
    """Validates plans, runs them in a loop of its own, and reports their status.

    A run is prepared (cameras armed, files created) before `StartRun` is answered, so
    that whatever is wrong with it is the answer.
    """

    role = "acquisition"
    stays_because = "the leases of its runs are kept in HAL's process"

    def __init__(
        self, name: str, context: Context, *, deadline_s: float = 5.0, **values: Value
    ) -> None:
        super().__init__(name, context, deadline_s=deadline_s, **values)
        self._engine: RunEngine | None = None
        self._past: dict[str, _Past] = {}
        self._request: StartRun
        """What began the last run that follows a plan."""
        self._suspended: dict[str, str] = {}
        """By guard: why no run may go on."""

    @handles(StartRun)
    def on_start_run(self, msg: StartRun) -> None:
        """Prepare a run on the worker, then start its engine."""
        self.require_ready()
        if self._engine is not None and self._engine.status.state.is_terminal:
            self._close_run(self._engine.status)  # the news of it is on its way
        if self._engine is not None:
            raise StateError(
                f"run {self._engine.status.run_id} is going on: one at a time"
            )
        run_id = new_ulid()
        film = msg.plan if isinstance(msg.plan, FilmPlan) else msg.plan.film
        engine: RunEngine
        rig: Microscope
        if film is not None:
            cameras = self._cameras(film)
            rig = Microscope(run_id, msgspec.structs.replace(msg, plan=film), self)
            deadline_s = msg.plan.deadline_s if isinstance(msg.plan, Plan) else None
            engine = FilmEngine(
                run_id,
                film,
                cameras,
                rig,
                self.clock,
                self._report,
                deadline_s=deadline_s,
            )
            for guard, why in self._suspended.items():
                self._warn(engine, guard, why)
        else:
            assert isinstance(msg.plan, Plan)
            cameras = self._cameras(FilmPlan(None))
            rig, engine = self._plan_run(run_id, msg, msg.plan, cameras)
        self._hold(run_id, cameras)
        self._engine = engine
        self.run_job(
            partial(self._prepare, engine),
            deadline_s=PREPARE_S + 10.0,
            then=lambda _: self._go(engine, rig),
        )

    @handles(CancelRun)
    def on_cancel(self, msg: CancelRun) -> None:
        """End a run; returns at once, its status tells the rest."""
        if self._engine is not None and self._engine.status.run_id == msg.run_id:
            set_mode(self, SystemMode.ABORTING, msg.run_id)
            self._engine.progress.cancel()

    @handles(PauseRun)
    def on_pause(self, msg: PauseRun) -> None:
        """Hold a run back; returns at once, its status tells the rest."""
        if (engine := self._going_on(msg.run_id)) is not None:
            self._plan_engine(engine).pauses.add(PERSON, f"by {current_principal()}")

    @handles(ResumeRun)
    def on_resume(self, msg: ResumeRun) -> None:
        """Let a run go on; what guards said before no longer counts."""
        if (engine := self._going_on(msg.run_id)) is None:
            return
        self._plan_engine(engine).pauses.clear()
        if self._suspended:
            # First told, then forgotten: a guard that suspends just now is not meant.
            self.send(GuardsOverruled(msg.run_id, tuple(self._suspended)))
            self._suspended.clear()

    @handles(SuspendRun)
    def on_suspend(self, msg: SuspendRun) -> None:
        """Hold back whatever run follows a plan, and those to come.

        A film cannot be held back: its status tells of the guard instead.
        """
        is_new = msg.by not in self._suspended
        self._suspended[msg.by] = msg.why
        if isinstance(self._engine, PlanEngine):
            self._engine.pauses.add(msg.by, msg.why)
        elif self._engine is not None and is_new:
            self._warn(self._engine, msg.by, msg.why)

    @handles(ReleaseRun)
    def on_release(self, msg: ReleaseRun) -> None:
        """Forget what a guard said."""
        self._suspended.pop(msg.by, None)
        if isinstance(self._engine, PlanEngine):
            self._engine.pauses.remove(msg.by)

    @handles(ExtendRun)
    def on_extend(self, msg: ExtendRun) -> None:
        """Check a plan on the worker, and add it to the end of the present one."""
        engine = self._going_on(msg.run_id)
        if engine is None:
            raise StateError(f"run {msg.run_id} is not going on: start another one")
        plan_engine = self._plan_engine(engine)
        cameras = self._cameras(FilmPlan(None))

        def extend() -> RunStatus:
            studied = study(self, self._request, msg.plan, cameras)
            plan_engine.extend(msg.plan, studied)
            return plan_engine.status

        self.run_job(extend, deadline_s=PREPARE_S)

    @handles(GetRunPlan)
    def on_get_plan(self, msg: GetRunPlan) -> FilmPlan | Plan:
        """Answer with what a run does, or did."""
        if (engine := self._going_on(msg.run_id)) is not None:
            return engine.plan
        return self._past_run(msg.run_id).plan

    @handles(GetRunStatus)
    def on_get_status(self, msg: GetRunStatus) -> RunStatus:
        """Answer with the newest status of a run."""
        if (engine := self._going_on(msg.run_id)) is not None:
            return engine.status
        return self._past_run(msg.run_id).status

    @handles(FramesReceived)
    def on_frames_received(self, msg: FramesReceived) -> None:
        """Pass the news to the engine, if it is about its run."""
        if (progress := self._progress(msg.run_id, msg.camera)) is not None:
            progress.received(msg.camera, msg.first, msg.last)

    @handles(FramesStored)
    def on_frames_stored(self, msg: FramesStored) -> None:
        """Pass the news to the engine, if it is about its run."""
        if (progress := self._progress(msg.run_id, msg.camera)) is not None:
            progress.stored(msg.camera, msg.first, msg.last)

    @handles(CameraFinished)
    def on_camera_finished(self, msg: CameraFinished) -> bool:
        """Pass the news to the engine; answers whether its run tells of the error."""
        progress = self._progress(msg.run_id, msg.camera)
        return progress is not None and progress.ended(
            msg.camera, msg.frames, msg.error
        )

    @handles(RecordingFailed)
    def on_recording_failed(self, msg: RecordingFailed) -> bool:
        """Pass the news to the engine; answers whether its run tells of the error."""
        progress = self._progress(msg.run_id, msg.camera)
        return progress is not None and progress.failed(msg.camera, msg.error)

    @handles(AnalysisFailed)
    def on_analysis_failed(self, msg: AnalysisFailed) -> bool:
        """Pass the news to the engine; answers whether its run tells of the error."""
        engine = self._going_on(msg.run_id)
        return engine is not None and engine.progress.analysis_failed(
            msg.analysis, msg.error
        )

    @handles(ModuleStateChanged)
    def on_module_state(self, msg: ModuleStateChanged) -> None:
        """End the run if a module it needs cannot go on."""
        if self._engine is None or ModuleState(msg.state) not in _USELESS:
            return
        progress = self._engine.progress
        if msg.module in progress.analyses:
            why = StateError(f"{msg.module} is {msg.state}: {msg.reason}")
            error = ErrorRecord.from_exception(why, msg.module)
            progress.analysis_failed(msg.module, error)
            return
        if any(camera.errors for camera in progress.cameras.values()):
            return  # it ends already, and this may be the same story
        why = StateError(f"{msg.module} is {msg.state}: {msg.reason}")
        error = ErrorRecord.from_exception(why, msg.module)
        if msg.module in progress.cameras:
            progress.failed(msg.module, error)
        elif msg.module not in self.context.names_of_role("recorder"):
            return
        elif ModuleState(msg.state) in _BEGINS_ANEW:
            progress.recorder_lost(error)
        else:
            progress.failed(next(iter(progress.cameras)), error)

    @handles(StopModule)
    def on_stop_module(self, msg: StopModule) -> None:
        """Cancel the run and give it a moment to wind up."""
        engine = self._engine
        if engine is None:
            super().on_stop_module(msg)
            return
        engine.progress.cancel()
        self.run_job(
            lambda: self.clock.wait(engine.ended, self.deadline_s),
            deadline_s=self.deadline_s + 1.0,
            what="wait for the run to end",
            then=lambda _: self.set_state(ModuleState.STOPPED),
        )

    def _plan_run(
        self, run_id: str, msg: StartRun, plan: Plan, cameras: tuple[str, ...]
    ) -> tuple[PlanMicroscope, PlanEngine]:
        """Return the engine of a plan, and the microscope it sees."""
        rig = PlanMicroscope(run_id, msg, self)
        self._request = msg
        check = partial(study, self, msg, plan, cameras)
        engine = PlanEngine(run_id, plan, check, rig, self.clock, self._report)
        for guard, why in self._suspended.items():
            engine.pauses.add(guard, why)
        return rig, engine

    @staticmethod
    def _warn(engine: RunEngine, guard: str, why: str) -> None:
        """Have the status of a film tell that a guard would have paused it."""
        told = StateError(f"{why} (a film cannot be paused, and went on)")
        engine.progress.tolerated.append(ErrorRecord.from_exception(told, guard))

    def _going_on(self, run_id: str) -> RunEngine | None:
        """Return the engine of that run; None if it is over, or never was."""
        engine = self._engine
        return engine if engine and engine.status.run_id == run_id else None

    @staticmethod
    def _plan_engine(engine: RunEngine) -> PlanEngine:
        if not isinstance(engine, PlanEngine):
            raise StateError(
                "a film exposes all the time: only a run that follows a plan can be "
                "paused or extended"
            )
        return engine

    def _past_run(self, run_id: str) -> _Past:
        if run_id not in self._past:
            raise StateError(f"there was no run {run_id} in this session")
        return self._past[run_id]

    def _cameras(self, plan: FilmPlan) -> tuple[str, ...]:
        return named_cameras(self, plan.cameras, "a film")

    def _progress(self, run_id: str, camera: str) -> RunProgress | None:
        """Return the account of the run of that id.

        Ignored are late news of other runs, and those of feeds that are only shown.
        """
        if self._engine is None or self._engine.status.run_id != run_id:
            return None
        progress = self._engine.progress
        return progress if camera in progress.cameras else None

    def _prepare(self, engine: RunEngine) -> None:
        try:
            if self.context.names_of_role("live"):
                self.ask(StopLive())
            engine.prepare(PREPARE_S)
        except BaseException:
            self.post_own(partial(self._forget, engine))
            raise

    def _go(self, engine: RunEngine, rig: Microscope) -> RunAccepted:
        def run(loop: Loop) -> None:
            rig.beat = engine.look
            engine.run(loop.beat)

        self.run_loop(
            run, stall_s=STALL_S, what="run", on_end=partial(self._run_ended, engine)
        )
        return RunAccepted(engine.status.run_id, engine.status)

    def _run_ended(
        self, engine: RunEngine, _loop: Loop, error: ErrorRecord | None
    ) -> None:
        self._close_run(engine.status if error is None else engine.abandon(error))

    def _report(self, status: RunStatus) -> None:
        """Tell how a run goes; the end only when the next one may begin."""
        if status.state.is_terminal:
            self.post_own(partial(self._close_run, status))
        else:
            self.send(RunStatusChanged(status.run_id, status))

    def _close_run(self, status: RunStatus) -> None:
        """Remember how a run ended, make way for the next, and tell; once."""
        if status.run_id in self._past:
            return
        engine = self._going_on(status.run_id)
        plan = FilmPlan(None) if engine is None else engine.plan
        self._past[status.run_id] = _Past(status, plan)
        while len(self._past) > _KEPT:
            del self._past[next(iter(self._past))]
        if engine is not None:
            self._forget(engine)
        self.send(RunStatusChanged(status.run_id, status))

    def _forget(self, engine: RunEngine) -> None:
        if self._engine is engine:
            self._engine = None
            self.context.leases.release(engine.status.run_id)
            set_mode(self, SystemMode.IDLE, "")

    def _hold(self, run_id: str, cameras: tuple[str, ...]) -> None:
        """Claim the cameras of the run, and all that could disturb them.

        Raises:
            Leased: Another run holds one of them.
        """
        others = set(self.context.names_of_role("camera")) - set(cameras)
        held = tuple(n for n in self.context.names_of_devices() if n not in others)
        self.context.leases.take(current_principal(), run_id, held, keeper=self.name)
        set_mode(self, SystemMode.ACQUIRING, run_id)
