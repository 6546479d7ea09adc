"""Frames on their way from a camera into its ring, whatever asks for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hal.base import Clock, RunError
from hal.devices import Camera, FrameStamp
from hal.frames import FrameInfo, FrameRing, IndexBatches, Pixels
from hal.messages import FramesReceived

POLL_S: Final = 0.2
"""The longest single wait, so that a stop and the watchdog are heard."""


class Filling:
    """Finds room for frames in the ring, publishes them, and tells of them.

    Runs on: the thread that owns the driver; `count` any.
    """

    def __init__(
        self,
        camera: str,
        driver: Camera,
        ring: FrameRing,
        *,
        run_id: str,
        block_s: float,
        clock: Clock,
        tell: Callable[[FramesReceived], None],
    ) -> None:
        """Begin with no frame.

        Args:
            camera: Name of its module.
            driver: Whose frames.
            ring: Where they go.
            run_id: Of the run.
            block_s: How long a full ring may hold it up.
            clock: Whose time counts.
            tell: Called with the indices of frames that came.
        """
        self.count = 0
        """Frames published so far."""
        self.batches = IndexBatches(
            lambda first, last: tell(FramesReceived(run_id, camera, first, last)), clock
        )
        self._camera = camera
        self._driver = driver
        self._ring = ring
        self._block_s = block_s
        self._clock = clock

    def reserve(self, is_over: Callable[[], bool]) -> Pixels | None:
        """Return the next slot; None if it `is_over`, asked while the ring is full.

        Raises:
            RunError: A reader held the ring up for too long.
        """
        give_up_s = self._clock.monotonic_s() + self._block_s
        while (slot := self._ring.reserve(POLL_S)) is None:
            if is_over():
                return None
            if self._clock.monotonic_s() > give_up_s:
                raise RunError(
                    f"{self._camera} was held up for {self._block_s:g} s: "
                    f"{self._ring.held_up_by}; {self.count} frames were taken"
                )
        return slot

    def publish(self, stamp: FrameStamp, index: int, event_index: int) -> None:
        """Publish what is in the slot reserved last."""
        self._ring.put(
            FrameInfo(
                camera=self._camera,
                index=index,
                event_index=event_index,
                hardware_counter=stamp.counter,
                hardware_s=stamp.hardware_s,
                host_s=self._clock.monotonic_s(),
                exposure_s=self._driver.exposure_s,
                shape=self._ring.shape,
                dtype=self._ring.dtype.name,
            )
        )
        self.batches.add(index)
        self.count += 1
