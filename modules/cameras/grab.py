"""The grab loop: from the camera into the ring, every frame accounted for."""

from __future__ import annotations

from collections.abc import Callable

from hal.base import Clock, DeviceError, ErrorRecord, Halted
from hal.devices import Camera, FrameStamp
from hal.frames import FrameRing
from hal.kernel import Loop
from hal.messages import FramesReceived
from modules.cameras.filling import POLL_S, Filling


class Grab:
    """One film of one camera.

    Runs on: `run` camera; `count` any.

    Guarantees:
        Frames are indexed by the camera's own counter where it has one, so that a
        frame the camera lost leaves a gap in the index, never a shift.
        The driver is stopped and the ring ended on every way out.
    """

    def __init__(
        self,
        camera: str,
        driver: Camera,
        ring: FrameRing,
        *,
        run_id: str,
        frames: int | None,
        block_s: float,
        clock: Clock,
        tell: Callable[[FramesReceived], None],
    ) -> None:
        self.run_id = run_id
        self.error: ErrorRecord | None = None
        """What went wrong first."""
        self._camera = camera
        self._driver = driver
        self._ring = ring
        self._frames = frames
        self._filling = Filling(
            camera,
            driver,
            ring,
            run_id=run_id,
            block_s=block_s,
            clock=clock,
            tell=tell,
        )
        self._batches = self._filling.batches

    @property
    def count(self) -> int:
        """Frames published so far."""
        return self._filling.count

    def run(self, loop: Loop) -> None:
        """Take frames until there are enough, or the loop is to end.

        Raises:
            DeviceError: The camera failed.
            RunError: A reader held the ring up for too long.
        """
        try:
            self._film(loop)
        except BaseException as exc:
            self.error = ErrorRecord.from_exception(exc, self._camera)
            raise
        finally:
            self._batches.tell()
            try:
                self._driver.stop()
            finally:
                self._ring.end(None if self.error is None else self.error.text)

    def _film(self, loop: Loop) -> None:
        self._driver.start(self._frames)
        try:
            while not self._is_complete() and not loop.stopping.is_set():
                loop.beat()
                loop.serve_jobs()
                self._take(loop)
        except Halted:
            # `StopCamera` halts the driver, so that a long exposure ends at once.
            if not loop.stopping.is_set():
                raise

    def _is_complete(self) -> bool:
        return self._frames is not None and self._batches.next >= self._frames

    def _take(self, loop: Loop) -> None:
        def is_over() -> bool:
            loop.beat()
            if loop.stopping.is_set():
                return True
            loop.serve_jobs()
            return False

        slot = self._filling.reserve(is_over)
        if slot is None:
            return
        stamp = self._driver.read_into(slot, POLL_S)
        if stamp is None:
            self._batches.tell()
            return
        index = self._index(stamp)
        self._filling.publish(stamp, index, index)
        self._batches.tell_if_due()

    def _index(self, stamp: FrameStamp) -> int:
        if stamp.counter is None:
            return self._batches.next
        if stamp.counter < self._batches.next:
            raise DeviceError(
                f"{self._camera} repeated frame {stamp.counter}: "
                f"expected {self._batches.next} or later"
            )
        return stamp.counter
