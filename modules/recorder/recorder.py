"""The recorder module: the only one that writes films."""

from __future__ import annotations

from functools import partial
from typing import Final

from hal.acquisition import RunState
from hal.base import ErrorRecord, ModuleState, StateError
from hal.frames import FrameRings
from hal.kernel import Loop, Module, RunLost, StopModule, handles
from hal.messages import (
    FinishRecording,
    FramesStored,
    OpenRecording,
    RecordEvents,
    RecordingFailed,
    RecordingOpened,
    ResumeRecording,
)
from modules.recorder.recording import Recording
from modules.recorder.track import Track

STALL_S: Final = 60.0
"""So long a single write may take before the recorder counts as hung."""
DEVICE_STALL_S: Final = 300.0
"""So long a device may take to store what was written to it."""
LOST_DRAIN_S: Final = 5.0
"""How long the frames of a run that nobody conducts any more are waited for."""


class RecorderModule(Module):
    """Stores every frame of every camera of a run, and proves it.

    One film at a time; each camera's frames are written on a thread of their own.
    """

    role = "recorder"
    isolation = "process"
    end_s = 60.0

    _recording: Recording | None = None
    _stopping = False

    @handles(OpenRecording)
    def on_open(self, msg: OpenRecording) -> None:
        """Create the files and begin to follow the rings."""
        self.require_ready()
        if self._recording is not None:
            raise StateError(f"still recording run {self._recording.run_id}")
        rings = self.context.service(FrameRings)
        self.run_job(
            partial(Recording.open, msg, rings, self.clock, self._tell, self.name),
            deadline_s=20.0,
            then=self._opened,
        )

    @handles(ResumeRecording)
    def on_resume(self, msg: ResumeRecording) -> RecordingOpened | None:
        """Open the files of a film again whose recorder was killed."""
        self.require_ready()
        request, recording = msg.opened_by, self._recording
        if recording is not None and recording.run_id == request.run_id:
            return RecordingOpened(recording.base, recording.files)
        rings = self.context.service(FrameRings)
        resume = partial(
            Recording.resume, request, msg.base, rings, self.clock, self._tell
        )
        self.run_job(
            partial(resume, self.name), deadline_s=msg.deadline_s, then=self._opened
        )
        return None

    @handles(RecordEvents)
    def on_events(self, msg: RecordEvents) -> None:
        """Write rows of the table of events."""
        recording = self._recording
        if recording is None or recording.run_id != msg.run_id:
            raise StateError(f"there is no recording of run {msg.run_id}")
        self.run_job(partial(recording.add_events, msg.rows))

    @handles(FinishRecording)
    def on_finish(self, msg: FinishRecording) -> None:
        """Bring the film to its end; answers with a `RecordingFinished`."""
        recording = self._recording
        if recording is None or recording.run_id != msg.run_id:
            raise StateError(f"there is no recording of run {msg.run_id}")
        self._recording = None
        self.run_job(
            partial(recording.finish, msg.state, msg.drain_s, lambda: self._stopping),
            deadline_s=msg.deadline_s,
        )

    @handles(StopModule)
    def on_stop_module(self, msg: StopModule) -> None:
        """Close all files, verified or not, and wait until they are."""
        self._stopping = True
        self.set_state(ModuleState.STOPPING)
        for loop in self.loops:
            loop.stop()
        # A film that is being finished is a job ahead of this one.
        self.run_job(
            self.let_go,
            what="close files",
            then=lambda _: self.set_state(ModuleState.STOPPED),
        )

    @handles(RunLost)
    def on_run_lost(self, msg: RunLost) -> None:
        """Store what its cameras still bring, and close the files."""
        recording = self._recording
        if recording is None or recording.run_id != msg.run_id:
            return
        self._recording = None
        self.run_job(
            partial(
                recording.finish, RunState.ERROR, LOST_DRAIN_S, lambda: self._stopping
            ),
            deadline_s=FinishRecording.deadline_s,
            what="close files",
        )

    def make_safe(self, *, hung: bool, is_free: bool) -> None:
        """Store what ended cameras left in their rings, unless that is what hangs."""
        recording = self._recording
        if recording is not None and not hung:
            recording.store_rest(LOST_DRAIN_S)

    def let_go(self) -> None:
        """Close all files, so that what was stored is whole and says how it ended."""
        recording, self._recording = self._recording, None
        if recording is not None:
            recording.finish(RunState.ERROR, 0.0, lambda: True)

    def _opened(self, recording: Recording) -> RecordingOpened:
        self._recording = recording
        for track in recording.tracks:
            self.run_loop(
                track.run,
                stall_s=STALL_S,
                what=f"record {track.camera}",
                on_end=partial(self._track_ended, track),
            )
        self.run_loop(
            recording.care().run, stall_s=DEVICE_STALL_S, what="look after the disk"
        )
        return RecordingOpened(recording.base, recording.files)

    def _tell(self, batch: FramesStored) -> None:
        """Acknowledge stored frames; runs on the thread that wrote them."""
        self.context.trace.frames(
            "stored", batch.camera, batch.run_id, batch.first, batch.last
        )
        self.send(batch)

    def _track_ended(
        self, track: Track, _loop: Loop, error: ErrorRecord | None
    ) -> None:
        if error is not None:
            track.give_up()
            failed = RecordingFailed(track.run_id, track.camera, error)
            self.send_failure(
                failed, "recording failed", error, camera=track.camera, run=track.run_id
            )
