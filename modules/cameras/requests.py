"""Frames asked for one by one: each goes into the ring with the event it is for."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from hal.base import (
    Clock,
    DeviceError,
    DeviceTimeout,
    ErrorRecord,
    Halted,
    get_logger,
)
from hal.devices import Camera, FrameStamp
from hal.frames import FrameRing, Pixels
from hal.messages import FramesReceived, FramesTaken, TakeFrames
from modules.cameras.filling import POLL_S, Filling


class RequestedFrames:
    """The film of one camera in a run that follows a plan.

    Runs on: worker; `call_off`, `abort` and `count` any.

    Guarantees:
        What a frame is for is noted before the camera is asked, and taken by the frame:
        one more than was asked for is an error, never somebody else's frame.
        Nothing is left to come of a request that has ended, however it ended.
    """

    def __init__(
        self,
        camera: str,
        driver: Camera,
        ring: FrameRing,
        *,
        run_id: str,
        block_s: float,
        patience_s: float,
        clock: Clock,
        tell: Callable[[FramesReceived], None],
    ) -> None:
        """Begin with no frame.

        Args:
            camera: Name of its module.
            driver: Open and armed.
            ring: Where the frames go.
            run_id: Of the run.
            block_s: How long a full ring may hold it up.
            patience_s: How long a frame may take beyond its exposure.
            clock: Whose time counts.
            tell: Called with the indices of frames that came.
        """
        self.run_id = run_id
        self._camera = camera
        self._driver = driver
        self._ring = ring
        self._block_s = block_s
        self._patience_s = patience_s
        self._clock = clock
        self._exposure_s = self._asked_s = driver.exposure_s
        self._called_off = threading.Event()
        self._aborted = threading.Event()
        self._log = get_logger(module=camera)
        self._filling = Filling(
            camera,
            driver,
            ring,
            run_id=run_id,
            block_s=block_s,
            clock=clock,
            tell=tell,
        )

    @property
    def count(self) -> int:
        """Frames published so far."""
        return self._filling.count

    def begin(self) -> None:
        """Get the camera ready."""
        self._ring.prepare()
        self._driver.begin_requests()

    def time_for_s(self, request: TakeFrames) -> float:
        """Return the longest time that `take` needs, however bad things are."""
        exposure_s = request.exposure_s or self._driver.exposure_s
        frame_s = max(exposure_s, self._driver.frame_period_s())
        return self._block_s + self._patience_s + 2 * request.count * frame_s

    def take(self, request: TakeFrames) -> FramesTaken:
        """Expose for events of the plan; return when all their frames are published.

        What went wrong after the first frame is in the answer, with how many came.

        Raises:
            DeviceTimeout: No frame came.
            HalError: The camera failed, or a reader held it up for too long.
        """
        self._called_off.clear()
        if self._aborted.is_set():
            return FramesTaken(0, self._clock.monotonic_s())
        if request.exposure_s is not None:
            self._set_exposure(request.exposure_s)
        taken = 0
        failure: Exception | None = None
        slot = self._filling.reserve(self._is_called_off)
        if slot is None:
            return FramesTaken(0, self._clock.monotonic_s())
        # Made before the camera is asked, so that no frame can be earlier than it.
        events = deque(range(request.event, request.event + request.count))
        began_s = self._clock.monotonic_s()
        try:
            self._driver.request(request.first, request.count)
            while slot is not None and events and not self._is_over(taken):
                stamp = self._read(slot, taken, request.count)
                index = request.first + taken
                self._filling.publish(stamp, index, events.popleft())
                taken += 1
                if events:
                    slot = self._filling.reserve(self._is_called_off)
        except Exception as exc:  # noqa: BLE001 - a plugin's driver: anything
            failure = exc
        not_ended = self._end_request()
        failure = failure or not_ended
        self._filling.batches.tell_if_due()
        if failure is None or (isinstance(failure, Halted) and self._aborted.is_set()):
            return FramesTaken(taken, began_s)
        if taken == 0:
            raise failure
        # What is published is there, whatever failed: nobody may ask for it again.
        error = ErrorRecord.from_exception(failure, self._camera)
        return FramesTaken(taken, began_s, error)

    def call_off(self) -> None:
        """End the present request after the frame that is being exposed."""
        self._called_off.set()

    def abort(self) -> None:
        """End the present request at once, and begin no other.

        The driver is halted as well; but a halt that comes just before a request is
        forgotten with its beginning.
        """
        self._aborted.set()

    def end(self) -> None:
        """Publish no more, and leave the camera as it was before."""
        self._filling.batches.tell()
        self._ring.end()
        self._driver.end_requests()
        self._driver.set_parameters({"exposure_s": self._exposure_s})

    def _end_request(self) -> Exception | None:
        """Have nothing left to come of the request; return what failed in that."""
        try:
            self._driver.end_request()
        except Exception as exc:  # noqa: BLE001 - as above
            self._log.warning("request not ended", why=str(exc))
            return exc
        return None

    def _is_over(self, taken: int) -> bool:
        """Whether it was called off; one frame is taken in any case."""
        return taken > 0 and self._is_called_off()

    def _is_called_off(self) -> bool:
        return self._called_off.is_set() or self._aborted.is_set()

    def _set_exposure(self, exposure_s: float) -> None:
        # By what was asked for: a camera rounds it to what it can.
        if exposure_s == self._asked_s:
            return
        self._driver.end_requests()
        try:
            self._driver.set_parameters({"exposure_s": exposure_s})
            self._asked_s = exposure_s
        finally:
            self._driver.begin_requests()

    def _read(self, slot: Pixels, taken: int, count: int) -> FrameStamp:
        period_s = max(self._driver.exposure_s, self._driver.frame_period_s())
        give_up_s = self._clock.monotonic_s() + period_s + self._patience_s
        while (stamp := self._driver.read_into(slot, POLL_S)) is None:
            if self._aborted.is_set():
                raise Halted(f"{self._camera}: ended by a stop")
            if self._clock.monotonic_s() > give_up_s:
                raise DeviceTimeout(
                    f"{self._camera} gave no frame within {self._patience_s:g} s "
                    f"beyond its exposure of {self._driver.exposure_s:g} s"
                )
        if stamp.counter not in (None, taken):
            raise DeviceError(
                f"{self._camera} gave frame {stamp.counter} of a request for {count}: "
                f"expected frame {taken}"
            )
        return stamp
