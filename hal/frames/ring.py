"""Where a camera puts its frames, and how their readers are kept apart."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, Protocol, overload

import numpy as np
import numpy.typing as npt

from hal.base import Clock, StateError, SystemClock, did_you_mean
from hal.frames._memory import (
    LATEST,
    LOSSLESS,
    MOST_READERS,
    NAME_BYTES,
    Place,
    RingHandle,
    RingMemory,
)
from hal.frames.frame import FrameInfo, Pixels
from hal.frames.readers import LatestReader, LosslessReader
from hal.frames.waiting import wait_until

_NS: Final = 1e9


class Lag(NamedTuple):
    """Which reader holds up the writer."""

    reader: str
    behind: int
    """Frames published that it has not released."""


class ReaderState(NamedTuple):
    """One reader of a ring, for status displays and reports."""

    name: str
    lossless: bool
    behind: int


class Admission(Protocol):
    """Enters a reader: in the process that has created the ring, or by asking it."""

    def __call__(
        self, name: str, *, lossless: bool, from_start: bool, take_over: bool
    ) -> Place:
        """Return the place of a new reader; raises as `FrameRing.open_reader`."""


class FrameRing:
    """Fixed-size store in shared memory: one camera writes, many readers follow.

    Writer and readers may be in any processes of this machine. Runs on: `reserve`,
    `put` camera; everything else any.

    Guarantees:
        `put` never waits; `lagging` names the reader that `reserve` waits for.
        A lossless view never changes before `release`.
        A latest reader gets a checked copy and the count it skipped.
        Every wait has a timeout and ends at once after `wake` or `end`.
        The memory is gone with the last process that uses it, however that ends.
    """

    def __init__(
        self,
        name: str,
        shape: tuple[int, int],
        dtype: npt.DTypeLike,
        slots: int,
        clock: Clock | None = None,
    ) -> None:
        """Take the memory at once, for good.

        Args:
            name: Usually that of the camera; errors carry it.
            shape: `(height, width)` of every frame.
            dtype: Type of a pixel, in the machine's byte order.
            slots: How many frames it holds; at least 2.
            clock: Whose time the timeouts are.

        Raises:
            BadInput: A ring of this form is not possible.
            OSError, OverflowError: The machine has not that much memory.
        """
        memory = RingMemory.create(name, shape, np.dtype(dtype), slots)
        self._use(memory, clock, None)

    @classmethod
    def attach(
        cls, handle: RingHandle, admission: Admission, clock: Clock | None = None
    ) -> FrameRing:
        """Return a ring that another process has created.

        Raises:
            StateError: It is gone.
        """
        try:
            memory = RingMemory.attach(handle)
        except OSError as exc:
            raise StateError(f"ring '{handle.name}' is gone: {exc}") from exc
        ring = cls.__new__(cls)
        ring._use(memory, clock, admission)
        return ring

    def _use(
        self, memory: RingMemory, clock: Clock | None, admission: Admission | None
    ) -> None:
        self.handle = memory.handle
        """For `attach`."""
        self.name = memory.handle.name
        self.shape = memory.handle.shape
        self.dtype = np.dtype(memory.handle.dtype)
        self.slots = memory.slots
        self._clock: Clock = SystemClock() if clock is None else clock
        self._memory = memory
        self._admission = admission  # none where the ring was created
        self._reserved: Pixels | None = None

    @property
    def nbytes(self) -> int:
        """Memory of all slots."""
        return self._memory.nbytes

    @property
    def published(self) -> int:
        """Frames put so far."""
        return self._memory.published

    @property
    def ended(self) -> bool:
        """Whether the writer has said that no more frames come."""
        return self._memory.ended

    @property
    def error(self) -> str | None:
        """Why the writer ended; None while it has not, or when it was meant to."""
        return self._memory.error if self._memory.ended else None

    @property
    def is_awaited(self) -> bool:
        """Whether a lossless reader is there, or may come back from the dead."""
        return bool(self._memory.lossless(self._now_ns()))

    @property
    def readers(self) -> tuple[ReaderState, ...]:
        """All open readers, in the order of their places."""
        memory = self._memory
        published = memory.published
        return tuple(
            ReaderState(
                memory.name_of(index),
                kind == LOSSLESS,
                max(0, published - memory.position(index)),
            )
            for index, kind in memory.entries()
        )

    # -- writing ------------------------------------------------------------------

    def prepare(self) -> None:
        """Get ready to be written in this process, so that no frame has to wait."""
        with self._memory.lock:
            self._memory.prepare()

    def reserve(self, timeout_s: float) -> Pixels | None:
        """Return the next slot to fill; None when a reader still needs it.

        Until `put`, repeating it returns the same slot. After None, `lagging` says
        whom it waited for; None comes early when the ring is woken.

        Raises:
            StateError: The ring was ended.
        """
        memory = self._memory

        def take() -> bool:
            with memory.lock:
                if memory.ended:
                    raise StateError(f"ring '{self.name}' has ended: no more frames")
                if self._reserved is None:
                    memory.announce()
            # Between the two, the lock makes the announcement visible to all.
            with memory.lock:
                if self._reserved is None and not self._in_the_way():
                    self._reserved = memory.take_next()
                if self._reserved is None:
                    memory.withdraw()
            return self._reserved is not None

        wait_until(take, memory, memory.space_bell, self._clock, timeout_s)
        return self._reserved

    def put(self, info: FrameInfo) -> None:
        """Publish the slot last reserved; never waits.

        Raises:
            BadInput: More is known of the frame than a slot has room for.
            StateError: No slot is reserved, or the ring was ended meanwhile.
        """
        memory = self._memory
        with memory.lock:
            if memory.ended:
                raise StateError(f"ring '{self.name}' has ended: no more frames")
            if self._reserved is None:
                raise StateError(f"ring '{self.name}': put without reserve")
            memory.publish(info)
            self._reserved = None
        memory.frames_bell.ring()

    def end(self, error: str | None = None) -> None:
        """Say that no more frames come; what is published can still be read.

        The first call counts: a clean-up that ends the ring again changes nothing.

        Args:
            error: Why, when the writer could not go on.
        """
        memory = self._memory
        with memory.lock:
            if memory.ended:
                return
            memory.end(error)
        memory.wake_all()

    def wake(self) -> None:
        """Let everyone who waits here return None at once, to look at a stop token."""
        with self._memory.lock:
            self._memory.wake()
        self._memory.wake_all()

    def lagging(self) -> Lag | None:
        """Name the reader that holds up the writer, the slowest first; None if none."""
        memory = self._memory
        if self._reserved is not None:
            return None
        slow = self._in_the_way()
        if not slow:
            return None
        slowest = min(slow, key=memory.position)
        behind = memory.published - memory.position(slowest)
        return Lag(memory.name_of(slowest), behind)

    @property
    def held_up_by(self) -> str:
        """Whom the writer waits for, for people."""
        lag = self.lagging()
        return f"{lag.reader} is {lag.behind} frames behind" if lag else "full"

    def _in_the_way(self) -> list[int]:
        return self._memory.in_the_way(self._now_ns())

    def _now_ns(self) -> int:
        return int(self._clock.monotonic_s() * _NS)

    # -- reading ------------------------------------------------------------------

    @overload
    def open_reader(
        self,
        name: str,
        lossless: Literal[True] = True,
        *,
        from_start: bool = False,
        take_over: bool = False,
    ) -> LosslessReader: ...
    @overload
    def open_reader(
        self,
        name: str,
        lossless: Literal[False],
        *,
        from_start: bool = False,
        take_over: bool = False,
    ) -> LatestReader: ...
    def open_reader(
        self,
        name: str,
        lossless: bool = True,
        *,
        from_start: bool = False,
        take_over: bool = False,
    ) -> LosslessReader | LatestReader:
        """Return a new reader; its first frame is the next one published.

        Args:
            name: For `lagging` and errors; one reader of that name at a time.
            lossless: Every frame, holding up the writer; else the newest, never.
            from_start: Begin with the very first frame of the ring instead.
            take_over: Begin with the first frame that a reader of that name had not
                released when its process died, or the oldest that is still there.

        Raises:
            StateError: The name is taken, the first frame is gone already, or the ring
                has no place left.
        """
        admission = self._admission or self.admit
        place = admission(
            name, lossless=lossless, from_start=from_start, take_over=take_over
        )
        kind = LosslessReader if lossless else LatestReader
        return kind(name, self._memory, place, self._clock)

    def admit(
        self,
        name: str,
        *,
        lossless: bool,
        from_start: bool = False,
        take_over: bool = False,
    ) -> Place:
        """Enter a reader; only where the ring was created.

        Raises:
            StateError: As `open_reader`.
        """
        memory = self._memory
        kind = LOSSLESS if lossless else LATEST
        if len(name.encode()) > NAME_BYTES:
            raise StateError(
                f"ring '{self.name}': reader '{name}' has too long a name: expected at "
                f"most {NAME_BYTES} bytes"
            )
        with memory.lock:
            known = self._entry_of(name)
            if known is not None:
                if not (take_over and memory.parked_until_ns(known)):
                    raise StateError(
                        f"ring '{self.name}' has a reader '{name}' already"
                    )
                place = memory.hand_over(known)
            else:
                taken = {index for index, _ in memory.entries()}
                free = [index for index in range(MOST_READERS) if index not in taken]
                if not free:
                    raise StateError(
                        f"ring '{self.name}' has no place for reader '{name}': "
                        f"{MOST_READERS} are the most"
                    )
                at_start = from_start or take_over
                position = 0 if at_start else memory.published
                place = memory.enter(free[0], name, kind, position)
        # Between the two, the lock makes the entry visible to the writer: from here
        # on, nothing that is still there is overwritten.
        with memory.lock:
            oldest = memory.oldest()
            if memory.position(place.index) < oldest:
                if from_start:
                    memory.leave(place.index)
                    raise StateError(
                        f"ring '{self.name}': reader '{name}' came too late to begin "
                        f"with frame 0: {oldest} are overwritten"
                    )
                memory.move_to(place.index, oldest)
        return place

    def drop_reader(self, name: str) -> None:
        """Release the place of a reader that died or hangs; it finds itself closed.

        Raises:
            StateError: No reader of that name is open.
        """
        memory = self._memory
        with memory.lock:
            index = self._entry_of(name)
            if index is None:
                known = [memory.name_of(index) for index, _ in memory.entries()]
                raise StateError(
                    f"ring '{self.name}' has no reader '{name}'"
                    f"{did_you_mean(name, known)}"
                )
            memory.leave(index)
        memory.wake_all()

    def bury_reader(self, place: Place, keep_s: float) -> None:
        """Release the place of a reader whose process has died; harmless if it is free.

        What a lossless one has not released is kept for a successor, which takes it
        over; `lagging` may name it meanwhile.

        Args:
            place: What `admit` returned.
            keep_s: How long.
        """
        memory = self._memory
        with memory.lock:
            if not memory.has(place):
                return
            kinds = dict(memory.entries())
            if kinds[place.index] == LOSSLESS and keep_s > 0.0:
                until_s = self._clock.monotonic_s() + keep_s
                memory.park(place.index, int(until_s * _NS))
                return
            memory.leave(place.index)
        memory.space_bell.ring()

    def close(self) -> None:
        """Let no other process attach any more; who has it keeps it."""
        self._memory.close()

    def _entry_of(self, name: str) -> int | None:
        memory = self._memory
        for index, _kind in memory.entries():
            if memory.name_of(index) == name:
                return index
        return None
