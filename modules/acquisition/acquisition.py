"""The acquisition module: runs one plan at a time and tells how it goes."""

from __future__ import annotations

from functools import partial
from typing import Final

from hal.acquisition import FilmEngine, FilmProgress, RunStatus
from hal.base import (
    ErrorRecord,
    ModuleState,
    PlanError,
    StateError,
    Value,
    did_you_mean,
    new_ulid,
    one_of,
)
from hal.kernel import (
    Context,
    Loop,
    Module,
    ModuleStateChanged,
    StopModule,
    SystemMode,
    SystemModeChanged,
    current_principal,
    handles,
)
from hal.messages import (
    CameraFinished,
    CancelRun,
    FramesReceived,
    FramesStored,
    GetRunStatus,
    RecordingFailed,
    RunAccepted,
    RunStatusChanged,
    StartRun,
)
from modules.acquisition.microscope import Microscope

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
        self._engine: FilmEngine | None = None
        self._past: dict[str, RunStatus] = {}

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
        cameras = self._cameras(msg)
        run_id = new_ulid()
        rig = Microscope(run_id, msg, self)
        engine = FilmEngine(run_id, msg.plan, cameras, rig, self.clock, self._report)
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
            self._set_mode(SystemMode.ABORTING, msg.run_id)
            self._engine.progress.cancel()

    @handles(GetRunStatus)
    def on_get_status(self, msg: GetRunStatus) -> RunStatus:
        """Answer with the newest status of a run."""
        if self._engine is not None and self._engine.status.run_id == msg.run_id:
            return self._engine.status
        if msg.run_id in self._past:
            return self._past[msg.run_id]
        raise StateError(f"there was no run {msg.run_id} in this session")

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

    @handles(ModuleStateChanged)
    def on_module_state(self, msg: ModuleStateChanged) -> None:
        """End the run if a module it needs cannot go on."""
        if self._engine is None or ModuleState(msg.state) not in _USELESS:
            return
        progress = self._engine.progress
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

    def _cameras(self, msg: StartRun) -> tuple[str, ...]:
        known = self.context.names_of_role("camera")
        if not known:
            raise PlanError("there is no camera: a film needs a module of that role")
        for name in msg.plan.cameras:
            if name not in known:
                raise PlanError(
                    f"there is no camera '{name}': expected one of {one_of(known)}"
                    f"{did_you_mean(name, known)}"
                )
        return msg.plan.cameras or known

    def _progress(self, run_id: str, camera: str) -> FilmProgress | None:
        """Return the account of the run of that id.

        Ignored are late news of other runs, and those of feeds that are only shown.
        """
        if self._engine is None or self._engine.status.run_id != run_id:
            return None
        progress = self._engine.progress
        return progress if camera in progress.cameras else None

    def _prepare(self, engine: FilmEngine) -> None:
        try:
            engine.prepare(PREPARE_S)
        except BaseException:
            self.post_own(partial(self._forget, engine))
            raise

    def _go(self, engine: FilmEngine, rig: Microscope) -> RunAccepted:
        def run(loop: Loop) -> None:
            rig.beat = loop.beat
            engine.run(loop.beat)

        self.run_loop(
            run, stall_s=STALL_S, what="run", on_end=partial(self._run_ended, engine)
        )
        return RunAccepted(engine.status.run_id, engine.status)

    def _run_ended(
        self, engine: FilmEngine, _loop: Loop, error: ErrorRecord | None
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
        self._past[status.run_id] = status
        while len(self._past) > _KEPT:
            del self._past[next(iter(self._past))]
        if self._engine is not None and self._engine.status.run_id == status.run_id:
            self._forget(self._engine)
        self.send(RunStatusChanged(status.run_id, status))

    def _forget(self, engine: FilmEngine) -> None:
        if self._engine is engine:
            self._engine = None
            self.context.leases.release(engine.status.run_id)
            self._set_mode(SystemMode.IDLE, "")

    def _hold(self, run_id: str, cameras: tuple[str, ...]) -> None:
        """Claim the cameras of the run, and all that could disturb them.

        Raises:
            Leased: Another run holds one of them.
        """
        others = set(self.context.names_of_role("camera")) - set(cameras)
        held = tuple(n for n in self.context.names_of_devices() if n not in others)
        self.context.leases.take(current_principal(), run_id, held, keeper=self.name)
        self._set_mode(SystemMode.ACQUIRING, run_id)

    def _set_mode(self, mode: SystemMode, run_id: str) -> None:
        if self.context.leases.set_mode(mode):
            self.context.trace.record("mode", mode=mode, run=run_id)
            self.send(SystemModeChanged(mode, run_id))
