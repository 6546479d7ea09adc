"""What goes wrong with the frames of a camera."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from hal.base import Clock, SystemClock
from hal.devices import Camera, Device, FrameStamp
from hal.testing.chaos.choosing import Chosen, FaultChooser
from hal.testing.chaos.kinds import OF_FRAMES, READ, FaultKind

Read = Callable[[float], FrameStamp | None]
_NO_COUNTER: Final = -1
_CLOCK: Final = SystemClock()


class FrameTroubles:
    """Between the driver of a camera and whoever fetches its frames.

    A frame is chosen once, however often it is asked for before it comes: what goes
    wrong depends on frames, not on how long they take.

    Runs on: camera.
    """

    def __init__(self, chooser: FaultChooser) -> None:
        self.is_quiet = False
        """Whether no frame comes, as of a camera that is never triggered."""
        self._chooser = chooser
        self._first = 0
        self._is_awaited = False
        self._pending: Chosen | None = None
        self._last: tuple[FrameStamp, np.ndarray[Any, Any]] | None = None
        self._keeps = chooser.may(FaultKind.REPEAT)

    def begin(self, first: int) -> None:
        """Begin a film or request; its frames are counted from `first` in the run."""
        self.end()
        self._first = first

    def end(self) -> None:
        """End a film or request: what was waited for does not come."""
        self.is_quiet = False
        self._is_awaited = False
        self._pending = None

    def read(
        self,
        device: Device,
        out: np.ndarray[Any, Any],
        timeout_s: float,
        read: Read,
        before: Callable[[Device, Chosen], None],
    ) -> FrameStamp | None:
        """Fetch the next frame, or something else instead.

        Args:
            device: The camera.
            out: Where it goes.
            timeout_s: How long to wait for it.
            read: Has the camera fill `out`.
            before: Causes what is no matter of frames.
        """
        assert isinstance(device, Camera)
        clock: Clock = getattr(device, "clock", _CLOCK)
        if self.is_quiet:
            clock.wait(device._halt, timeout_s)
            device._check_halt()
            return None
        if not self._is_awaited:
            chosen = self._chooser.choose(READ)
            if chosen is not None and chosen.fault.kind not in OF_FRAMES:
                before(device, chosen)
            elif chosen is not None:
                self._pending = chosen
        pending = self._pending
        if pending is not None and pending.fault.kind == FaultKind.REPEAT:
            self._keeps = True
            if self._last is not None and self._last[1].shape == out.shape:
                return self._repeat(pending, out, clock)
        give_up_s = clock.monotonic_s() + timeout_s
        stamp = self._read(read, timeout_s)
        if stamp is not None and pending is not None:
            if pending.fault.kind == FaultKind.DROP:
                self._spoil(pending, clock, stamp)
                left_s = max(0.0, give_up_s - clock.monotonic_s())
                stamp = self._read(read, left_s)
            elif pending.fault.kind != FaultKind.REPEAT:
                self._spoil(pending, clock, stamp)
                return _spoiled(pending, out, stamp)
        if stamp is not None:
            self._chooser.good_frame(clock, self._index(stamp))
            if self._keeps:
                self._last = stamp, out.copy()
        return stamp

    def _read(self, read: Read, timeout_s: float) -> FrameStamp | None:
        stamp = read(timeout_s)
        self._is_awaited = stamp is None
        return stamp

    def _repeat(
        self, pending: Chosen, out: np.ndarray[Any, Any], clock: Clock
    ) -> FrameStamp:
        """Give the last frame once more; the camera keeps its next one."""
        assert self._last is not None
        stamp, pixels = self._last
        self._spoil(pending, clock, stamp)
        np.copyto(out, pixels)
        self._is_awaited = False
        return stamp

    def _spoil(self, pending: Chosen, clock: Clock, stamp: FrameStamp) -> None:
        self._pending = None
        self._chooser.note(pending, clock, self._index(stamp))

    def _index(self, stamp: FrameStamp) -> int | None:
        """Return which frame of its run it is; None if the camera does not count."""
        return None if stamp.counter is None else self._first + stamp.counter


def _spoiled(
    chosen: Chosen, out: np.ndarray[Any, Any], stamp: FrameStamp
) -> FrameStamp:
    kind = chosen.fault.kind
    if kind == FaultKind.COUNTER:
        return stamp._replace(counter=_NO_COUNTER)
    if kind == FaultKind.SHAPE:
        # As numpy refuses it wherever a driver copies what the camera gave.
        height, width = out.shape
        np.copyto(out, np.zeros((height + 1, width + 1), out.dtype))
    row = (chosen.number * 7) % out.shape[0]
    pixels = out[row].copy()
    pixels.view(np.uint8)[...] ^= 0xFF
    out[row] = pixels
    return stamp
