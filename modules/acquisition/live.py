"""The live module: cameras that show and do not record."""

from __future__ import annotations

from functools import partial
from typing import Final

from hal.base import HalError, StateError, new_ulid
from hal.kernel import Module, StopModule, SystemMode, handles
from hal.messages import (
    ArmCamera,
    CameraFinished,
    LiveChanged,
    StartCamera,
    StartLive,
    StopCamera,
    StopLive,
)
from modules.acquisition.whole import named_cameras, set_mode

_BEGIN_S: Final = 25.0


class LiveModule(Module):
    """Starts cameras for whoever looks, and stops them before a run begins.

    Live is a film that nobody stores: its frames go into the rings, from which displays
    take the newest.
    """

    role = "live"
    stays_because = "it holds no hardware: it only asks the cameras"

    _run_id = ""
    _cameras: tuple[str, ...] = ()
    _left: frozenset[str] = frozenset()
    """Cameras that have not ended."""

    @handles(StartLive)
    def on_start_live(self, msg: StartLive) -> None:
        """Arm and start the cameras on the worker; what was live before ends first."""
        self.require_ready()
        cameras = self._named(msg.cameras)
        before, before_cameras = self._run_id, self._cameras
        self._run_id, self._cameras = new_ulid(), cameras
        self._left = frozenset(cameras)
        self.run_job(
            partial(self._begin, before, before_cameras, msg.frames),
            deadline_s=_BEGIN_S,
            then=lambda _: self._begun(),
        )

    @handles(StopLive)
    def on_stop_live(self, msg: StopLive) -> None:
        """Stop the cameras on the worker."""
        if not self._run_id:
            return
        stop = partial(self._halt, self._run_id, self._cameras)
        self.run_job(stop, deadline_s=_BEGIN_S, then=lambda _: self._over(""))

    @handles(CameraFinished)
    def on_camera_finished(self, msg: CameraFinished) -> bool:
        """Note that a camera shows no more; answers whether its error is told."""
        if msg.run_id != self._run_id:
            return False
        self._left -= {msg.camera}
        if msg.error is not None:
            why = f"{msg.camera}: {msg.error.text}"
            self.log.warning("live ended", camera=msg.camera, why=msg.error.text)
            # The other cameras would go on exposing, and nobody would stop them.
            self.run_job(
                partial(self._give_up, self._run_id, self._cameras),
                deadline_s=_BEGIN_S,
                then=lambda _: self._over(why),
            )
            return True
        if not self._left:
            self._over("")
        return False

    @handles(StopModule)
    def on_stop_module(self, msg: StopModule) -> None:
        """Forget it: the cameras stop by themselves."""
        self._over("")
        super().on_stop_module(msg)

    def _named(self, names: tuple[str, ...]) -> tuple[str, ...]:
        cameras = named_cameras(self, names, "live")
        if self.context.leases.runs:
            raise StateError(f"run {self.context.leases.runs[0]} is going on")
        return cameras

    def _begin(
        self, before: str, before_cameras: tuple[str, ...], frames: int | None
    ) -> None:
        run_id, cameras = self._run_id, self._cameras
        if before:
            self._halt(before, before_cameras)
        try:
            for camera in cameras:
                self.ask(ArmCamera(run_id, frames), to=camera)
            for camera in cameras:
                self.ask(StartCamera(run_id), to=camera)
        except HalError as exc:
            why = exc.text
            self._give_up(run_id, cameras)
            self.post_own(lambda: self._over(why))
            raise

    def _halt(self, run_id: str, cameras: tuple[str, ...]) -> None:
        """Stop all of them; one that cannot does not keep the others exposing."""
        failure: HalError | None = None
        for camera in cameras:
            try:
                self.ask(StopCamera(run_id), to=camera)
            except HalError as exc:
                failure = failure or exc
        if failure is not None:
            raise failure

    def _give_up(self, run_id: str, cameras: tuple[str, ...]) -> None:
        """Stop all of them because one failed, which is what is told."""
        try:
            self._halt(run_id, cameras)
        except HalError as exc:
            self.log.warning("camera not stopped", why=str(exc))

    def _begun(self) -> None:
        if self._run_id:  # a snap may be over by now
            set_mode(self, SystemMode.LIVE, "")
            self.send(LiveChanged(True, self._cameras))

    def _over(self, why: str) -> None:
        if not self._run_id:
            return
        cameras, self._run_id, self._cameras = self._cameras, "", ()
        if self.context.leases.mode is SystemMode.LIVE:
            set_mode(self, SystemMode.IDLE, "")
        self.send(LiveChanged(False, cameras, why))
