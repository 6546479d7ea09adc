"""The microscope as the engine sees it: every call is a message with a deadline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from hal.acquisition import Armed, FinishedFilm, Plan, layout_of
from hal.base import ErrorRecord, HalError, ModuleDead, StateError, get_logger
from hal.kernel import Delivery, DescribeParameters, Module, ParameterList, Request
from hal.messages import (
    AnalysisBegun,
    AnalysisEnded,
    ArmCamera,
    BeginAnalysis,
    CameraArmed,
    CompanionsWritten,
    EndAnalysis,
    FeedDescription,
    FinishRecording,
    GetFeed,
    GetStagePosition,
    OpenRecording,
    RecordingFinished,
    RecordingOpened,
    ResumeRecording,
    StagePosition,
    StartCamera,
    StartRun,
    StopCamera,
    WriteCompanions,
)
from modules.acquisition.saved_feeds import saved_feeds

_SLICE_S: Final = 0.02
"""So soon it is noticed that a run is to end, or to pause."""
_DRAIN_S: Final = 60.0
"""So long analyses may go on when the cameras have ended."""
_RESUMES: Final = 3
"""So many successors of the recorder are asked to go on with a film."""

R = TypeVar("R")
log = get_logger(module="acquisition")


class Microscope:
    """A `Rig` made of modules.

    Runs on: worker while a run is prepared, then the engine's loop.
    """

    def __init__(self, run_id: str, request: StartRun, module: Module) -> None:
        self.run_id = run_id
        self.beat: Callable[[], None] = lambda: None
        """Called while waiting, so that the watchdog sees the engine alive."""
        self._request = request
        self._module = module
        self._armed: dict[str, CameraArmed] = {}
        self._opened_by: OpenRecording | None = None
        self._base = ""
        self._feeds: dict[str, FeedDescription] = {}
        self._analyses: tuple[str, ...] = ()
        """Those that watch the run."""
        self._analysis_files: tuple[str, ...] = ()

    def feeds(self, cameras: tuple[str, ...]) -> dict[str, str]:
        """Return the feeds that are saved with these cameras, each with its camera."""
        self._feeds = {
            name: self._ask(GetFeed(), name, FeedDescription)
            for name in self._module.context.names_of_role("feed")
        }
        return saved_feeds(self._feeds, cameras)

    def arm(self, camera: str, frames: int | None, *, on_request: bool) -> Armed:
        """Get a camera or feed ready for so many frames of the camera."""
        feed = self._feeds.get(camera)
        source = None if feed is None else self._armed[feed.source]
        request = ArmCamera(self.run_id, frames, source, on_request)
        armed = self._ask(request, camera, CameraArmed)
        self._armed[camera] = armed
        return Armed(armed.exposure_s, armed.frames)

    def begin_analyses(self) -> dict[str, ErrorRecord | None]:
        """Have those who watch the armed cameras begin; return why some cannot."""
        found: dict[str, ErrorRecord | None] = {}
        request = BeginAnalysis(
            self.run_id, tuple(self._armed.values()), self._request.plan
        )
        for name in self._module.context.names_of_role("analysis"):
            try:
                if self._ask(request, name, AnalysisBegun).takes_part:
                    found[name] = None
                    self._analyses += (name,)
            except HalError as exc:
                found[name] = ErrorRecord.from_exception(exc, name)
        return found

    def end_analyses(self) -> tuple[ErrorRecord, ...]:
        """Have them look at all frames that came, and end; return what failed."""
        stem = str(Path(self._request.directory) / self._base) if self._base else ""
        request = EndAnalysis(self.run_id, _DRAIN_S, stem)
        names, self._analyses = self._analyses, ()
        deliveries = [(name, self._post(request, name)) for name in names]
        failed: tuple[ErrorRecord, ...] = ()
        for name, delivery in deliveries:
            self._await(delivery)
            try:
                ended = delivery.result()
                if isinstance(ended, AnalysisEnded):
                    self._analysis_files += ended.files
            except HalError as exc:
                failed += (ErrorRecord.from_exception(exc, name),)
        return failed

    def open_recording(self) -> tuple[str, ...]:
        """Create the files; return their paths."""
        plan = self._request.plan
        has_events = isinstance(plan, Plan) and plan.film is None
        layouts = {}
        if isinstance(plan, Plan):
            found = {camera: layout_of(plan, camera) for camera in self._armed}
            layouts = {camera: layout for camera, layout in found.items() if layout}
        self._opened_by = OpenRecording(
            run_id=self.run_id,
            cameras=tuple(self._armed.values()),
            frames=plan.n_images if isinstance(plan, Plan) else plan.frames,
            directory=self._request.directory,
            name=self._request.name,
            formats=self._request.formats,
            overwrite=self._request.overwrite,
            notes=self._request.notes,
            stage_um=self._stage_um(),
            parameters=self._parameters(),
            has_events=has_events,
            layouts=layouts,
        )
        opened = self._ask(self._opened_by, None, RecordingOpened)
        self._base = opened.base
        return opened.files

    def resume_recording(self) -> None:
        """Have the recorder's successor go on with the files."""
        if self._opened_by is None:
            raise StateError("no recording was opened: there is nothing to resume")
        resume = ResumeRecording(self._opened_by, self._base)
        # It waits in the mailbox until the successor has started. One that dies as well
        # is followed by another, until the supervisor has had enough.
        for _ in range(_RESUMES):
            try:
                self._ask(resume, None, RecordingOpened)
                return
            except ModuleDead as exc:
                failure = exc
        raise failure

    def start(self, camera: str) -> None:
        """Let an armed camera expose, or an armed feed take what its source brings."""
        self._send(StartCamera(self.run_id), camera)

    def stop(self, camera: str) -> None:
        """End the film of a camera or feed and wait until it stands still."""
        self._send(StopCamera(self.run_id), camera)

    def finish_recording(self, state: str, drain_s: float) -> FinishedFilm:
        """Store what is on its way, close, verify, and write the sidecar."""
        finish = FinishRecording(self.run_id, state, drain_s)
        try:
            done = self._ask(finish, None, RecordingFinished)
        except (ModuleDead, StateError):  # the recorder is another one now
            self.resume_recording()
            done = self._ask(finish, None, RecordingFinished)
        files, problems = self._analysis_files + done.files, done.problems
        if done.files:
            companions, failures = self._companions()
            files, problems = companions + files, problems + failures
        return FinishedFilm(files, done.frames, problems)

    def _companions(self) -> tuple[tuple[str, ...], tuple[ErrorRecord, ...]]:
        """Have cameras write files of their own; return those, and what went wrong."""
        stem = str(Path(self._request.directory) / self._base)
        files: tuple[str, ...] = ()
        failures: tuple[ErrorRecord, ...] = ()
        for camera, armed in self._armed.items():
            if not armed.has_companions:
                continue
            try:
                request = WriteCompanions(self.run_id, stem)
                files += self._ask(request, camera, CompanionsWritten).files
            except HalError as exc:
                failures += (ErrorRecord.from_exception(exc, camera),)
        return files, failures

    def _stage_um(self) -> tuple[float, float] | None:
        """Where the stage is; None where there is none, or several, or it is silent."""
        stages = self._module.context.names_of_role("stage")
        if len(stages) != 1:
            return None
        try:
            at = self._position(stages[0])
        except HalError as exc:
            log.warning("stage position unknown", why=str(exc))
            return None
        return at.x_um, at.y_um

    def _position(self, stage: str) -> StagePosition:
        return self._ask(GetStagePosition(), stage, StagePosition)

    def _parameters(self) -> tuple[ParameterList, ...]:
        """All modules' parameters; a module that does not answer is left out, noted."""
        found = []
        for name in self._module.context.names():
            if name == self._module.name:
                # The acquisition module's worker may be the one that is asking.
                found.append(ParameterList(name, "", False, self._module.specs()))
                continue
            try:
                found.append(self._ask(DescribeParameters(), name, ParameterList))
            except HalError as exc:
                log.warning("parameters unknown", of=name, why=str(exc))
        return tuple(found)

    def _ask(
        self,
        message: Request,
        to: str | None,
        expected: type[R],
        deadline_s: float | None = None,
    ) -> R:
        answer = self._send(message, to, deadline_s)
        if not isinstance(answer, expected):
            raise StateError(
                f"{to or 'the receiver'} answered {type(answer).__name__}, "
                f"expected {expected.__name__}"
            )
        return answer

    def _send(
        self, message: Request, to: str | None, deadline_s: float | None = None
    ) -> Any:
        delivery = self._post(message, to, deadline_s)
        self._await(delivery)
        return delivery.result()

    def _post(
        self, message: Request, to: str | None, deadline_s: float | None = None
    ) -> Delivery:
        return self._module.send(
            message,
            to=to,
            run_id=self.run_id,
            deadline_s=deadline_s,
            reply=_is_looked_at_here,
        )

    def _await(self, delivery: Delivery) -> None:
        """Wait for it; the engine looks around meanwhile, and may have had enough."""
        # The watchdog ends the delivery at its deadline.
        while not delivery.wait(_SLICE_S):
            self.beat()


def _is_looked_at_here(_delivery: Delivery) -> None:
    pass
