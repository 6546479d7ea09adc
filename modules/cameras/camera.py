"""The camera module: takes films into a ring of frames."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final

from hal.acquisition import CameraAbility
from hal.base import ErrorRecord, Float, StateError
from hal.devices import Camera
from hal.frames import FrameRing, FrameRings
from hal.kernel import DeviceModule, Loop, handles
from hal.messages import (
    ArmCamera,
    CallOffFrames,
    CameraArmed,
    CameraFinished,
    CompanionsWritten,
    FramesReceived,
    GetCameraAbility,
    StartCamera,
    StopCamera,
    TakeFrames,
    WriteCompanions,
)
from modules.cameras.ability import camera_ability
from modules.cameras.grab import Grab
from modules.cameras.requests import RequestedFrames

STALL_S: Final = 5.0
"""A driver call of the grab loop may take this long beyond the exposure time."""


class CameraModule(DeviceModule[Camera]):
    """Owns one camera; its frames go into a ring of the camera's name.

    A film is armed, started, and ends by itself or by `StopCamera`.
    """

    role = "camera"
    driver_kind: ClassVar[type[Any]] = Camera

    block_s = Float(
        30.0,
        unit="s",
        low=0.1,
        high=3600.0,
        help="How long a full ring may hold up the camera before the film fails.",
    )
    patience_s = Float(
        5.0,
        unit="s",
        low=0.1,
        high=3600.0,
        help="How long a frame asked for may take beyond its exposure.",
    )

    _run_id = ""
    _filmed = ""
    """Run of the last film that was started."""
    _frames: int | None = None
    _ring: FrameRing | None = None
    _grab: Grab | None = None
    _on_request = False
    _requested: RequestedFrames | None = None

    @handles(ArmCamera)
    def on_arm(self, msg: ArmCamera) -> None:
        """Make the ring for a film; on the worker, because its memory takes a while."""
        camera = self.device
        if self._grab is not None or self._requested is not None:
            raise StateError(f"{self.name} is busy with run {self._run_id}")
        rings = self.context.service(FrameRings)

        def make_ring() -> FrameRing:
            camera.arm()
            rings.remove(self.name)
            return rings.create(self.name, camera.frame_shape, camera.dtype)

        self.run_job(make_ring, then=lambda ring: self._armed(msg, ring))

    def _armed(self, msg: ArmCamera, ring: FrameRing) -> CameraArmed:
        camera = self._driver
        self._ring, self._run_id, self._frames = ring, msg.run_id, msg.frames
        self._on_request = msg.on_request
        height, width = camera.frame_shape
        x_px, y_px, _, _ = camera.roi
        return CameraArmed(
            camera=self.name,
            frames=self._frames,
            height=height,
            width=width,
            dtype=camera.dtype.name,
            exposure_s=camera.exposure_s,
            pixel_size_um=camera.pixel_size_um * camera.binning,
            binning=camera.binning,
            roi_x_px=x_px,
            roi_y_px=y_px,
            extension=camera.extension,
            simulated=camera.is_simulated,
            has_companions=camera.has_companions,
        )

    @handles(GetCameraAbility)
    def on_get_ability(self, msg: GetCameraAbility) -> CameraAbility:
        """Tell what exposures it can make, and how long its frames take."""
        return camera_ability(self.device)

    @handles(StartCamera)
    def on_start_camera(self, msg: StartCamera) -> None:
        """Start the grab loop, or wait for what is requested."""
        camera = self.device
        is_going_on = self._grab is not None or self._requested is not None
        if self._ring is None or msg.run_id != self._run_id or is_going_on:
            raise StateError(f"{self.name} is not armed for run {msg.run_id}")
        self._filmed = self._run_id
        if self._on_request:
            self._requested = RequestedFrames(
                self.name,
                camera,
                self._ring,
                run_id=self._run_id,
                block_s=self.block_s,
                patience_s=self.patience_s,
                clock=self.clock,
                tell=self._tell,
            )
            self.run_job(self._requested.begin)
            return
        grab = Grab(
            self.name,
            camera,
            self._ring,
            run_id=self._run_id,
            frames=self._frames,
            block_s=self.block_s,
            clock=self.clock,
            tell=self._tell,
        )
        self.run_loop(
            grab.run,
            stall_s=STALL_S + 2 * camera.exposure_s,
            what="grab frames",
            on_end=self._grab_ended,
            serves_jobs=True,
        )
        self._grab = grab

    @handles(TakeFrames)
    def on_take_frames(self, msg: TakeFrames) -> None:
        """Expose for events of a plan, on the worker."""
        requested = self._requested
        if requested is None or msg.run_id != requested.run_id:
            raise StateError(f"{self.name} takes no frames for run {msg.run_id}")
        self.run_job(
            partial(requested.take, msg),
            deadline_s=requested.time_for_s(msg) + self.deadline_s,
            what="take frames",
        )

    @handles(CallOffFrames)
    def on_call_off(self, msg: CallOffFrames) -> None:
        """End what is requested after the present frame."""
        if self._requested is not None and msg.run_id == self._requested.run_id:
            self._requested.call_off()

    @handles(WriteCompanions)
    def on_write_companions(self, msg: WriteCompanions) -> None:
        """Write what only the camera knows of its last film; on the worker."""
        camera, stem = self.device, Path(msg.stem)
        if msg.run_id != self._filmed:
            raise StateError(f"{self.name} has not filmed run {msg.run_id} last")
        self.run_job(
            lambda: camera.write_companions(stem),
            then=lambda paths: CompanionsWritten(tuple(str(path) for path in paths)),
            deadline_s=msg.deadline_s,
            what="write companions",
        )

    @handles(StopCamera)
    def on_stop_camera(self, msg: StopCamera) -> None:
        """End the film of that run; completes when the camera stands still."""
        if msg.run_id != self._run_id:
            return
        self._run_id = ""
        requested = self._requested
        if requested is not None:
            requested.abort()
            self._driver.halt()
            self.run_job(
                requested.end,
                deadline_s=STALL_S + 2 * self._driver.exposure_s,
                then=lambda _: self._requests_ended(requested),
            )
            return
        if self._grab is None:
            self._drop_ring()
            return
        for loop in self.loops:
            loop.stop()
        self._driver.halt()
        # Jobs of this module are not served by a loop that is to end, so this one
        # runs, and the message completes, once the loop has ended.
        deadline_s = STALL_S + 2 * self._driver.exposure_s
        self.run_job(
            lambda: None, deadline_s=deadline_s, what="wait for the grab loop to end"
        )

    @property
    def is_running(self) -> bool:
        """Whether a film is armed or going on: its frames have their shape by now."""
        is_armed = self._ring is not None and not self._ring.ended
        return is_armed or super().is_running

    def make_safe(self, *, hung: bool, is_free: bool) -> None:
        if self._ring is not None:  # whoever reads it would wait for ever
            self._ring.end(f"{self.name} was given up")
        super().make_safe(hung=hung, is_free=is_free)

    def _tell(self, batch: FramesReceived) -> None:
        """Tell of frames that have come; runs on the camera thread."""
        self.context.trace.frames(
            "received", batch.camera, batch.run_id, batch.first, batch.last
        )
        self.send(batch)

    def _grab_ended(self, _loop: Loop, error: ErrorRecord | None) -> None:
        grab, self._grab = self._grab, None
        assert grab is not None
        assert self._ring is not None
        error = grab.error or error
        # The loop ends the ring itself, unless it hangs.
        self._ring.end(None if error is None else error.text)
        finished = CameraFinished(grab.run_id, self.name, grab.count, error)
        if error is None:
            self.send(finished)
        else:
            self.send_failure(finished, "film failed", error, run=grab.run_id)

    def _requests_ended(self, requested: RequestedFrames) -> None:
        self._requested = None
        self.send(CameraFinished(requested.run_id, self.name, requested.count))

    def _drop_ring(self) -> None:
        self._ring = None
        self.context.service(FrameRings).remove(self.name)
