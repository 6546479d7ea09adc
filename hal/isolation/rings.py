"""Rings for a process of modules: frames go through none of its pipes.

HAL creates the memory. The child asks by its pipe, which nobody else can write to, and
gets a handle.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from hal.base import Clock, ErrorRecord, HalError, LinkError, Threads
from hal.frames import FrameRing, FrameRings, OwnRings, Place
from hal.isolation.frames import (
    AdmitReader,
    CreateRing,
    FindRing,
    Frame,
    RemoveRing,
    RingAnswered,
    RingAsked,
    RingCall,
)

ANSWER_S: Final = 10.0
"""So long HAL may take to make a ring, with its memory."""


class RemoteRings(FrameRings):
    """The rings of HAL, in a process of modules.

    Runs on: any, except the pipe's reader.
    """

    def __init__(self, send: Callable[[Frame], None], clock: Clock) -> None:
        """Ask nothing yet.

        Args:
            send: Puts a frame into the pipe to HAL.
            clock: Given to every ring; counts the waiting for answers.
        """
        self._send = send
        self._clock = clock
        self._ids = itertools.count()
        self._attached: weakref.WeakSet[FrameRing] = weakref.WeakSet()
        self._asked: dict[int, threading.Event] = {}
        self._answers: dict[int, RingAnswered] = {}

    def create(
        self,
        name: str,
        shape: tuple[int, int],
        dtype: npt.DTypeLike,
        slots: int | None = None,
    ) -> FrameRing:
        """Return a new ring, to be written in this process."""
        ring = self._attach(CreateRing(name, shape, np.dtype(dtype).name, slots))
        ring.prepare()
        return ring

    def get(self, name: str) -> FrameRing:
        """Return the ring of that name."""
        return self._attach(FindRing(name))

    def remove(self, name: str) -> None:
        """End the ring of that name, if there is one, and forget it."""
        self._ask(RemoveRing(name))

    def hal_is_gone(self) -> None:
        """End all rings: nobody fills them from now on, and what is there is all."""
        for ring in list(self._attached):
            ring.end("HAL is gone")

    def answered(self, frame: RingAnswered) -> None:
        """Take an answer; on the pipe's reader."""
        event = self._asked.get(frame.id)
        if event is not None:
            self._answers[frame.id] = frame
            event.set()

    def _attach(self, call: CreateRing | FindRing) -> FrameRing:
        handle = self._ask(call).handle
        assert handle is not None
        admission = partial(self._admit, handle.memory)
        ring = FrameRing.attach(handle, admission, self._clock)
        self._attached.add(ring)
        return ring

    def _admit(
        self,
        memory: str,
        name: str,
        *,
        lossless: bool,
        from_start: bool,
        take_over: bool,
    ) -> Place:
        place = self._ask(
            AdmitReader(memory, name, lossless, from_start, take_over)
        ).place
        assert place is not None
        return place

    def _ask(self, call: RingCall) -> RingAnswered:
        number, event = next(self._ids), threading.Event()
        self._asked[number] = event
        try:
            self._send(RingAsked(number, call))
            if not self._clock.wait(event, ANSWER_S):
                raise LinkError(f"HAL has given no ring within {ANSWER_S:g} s")
            answer = self._answers.pop(number)
        finally:
            del self._asked[number]
        if answer.error is not None:
            raise answer.error.to_exception()
        return answer


class RingDoor:
    """Gives HAL's rings to one process.

    Runs on: any.
    """

    def __init__(
        self,
        rings: OwnRings,
        process: str,
        send: Callable[[Frame], None],
        threads: Threads,
    ) -> None:
        """Serve `process`.

        Args:
            rings: What there is.
            process: Its name, unique in the session.
            send: Puts a frame into the pipe to it.
            threads: Where it is served: taking memory takes a while.
        """
        self._rings = rings
        self._process = process
        self._send = send
        self._threads = threads

    def take(self, frame: RingAsked) -> None:
        """Answer a question of the process, soon."""
        self._threads.start(f"{self._process}/rings", partial(self._answer, frame))

    def process_ended(self, why: str) -> None:
        """Let go of all it had: it is gone."""
        self._rings.process_ended(self._process, why)

    def _answer(self, frame: RingAsked) -> None:
        try:
            answer = self._do(frame.id, frame.call)
        except HalError as exc:
            error = ErrorRecord.from_exception(exc, "rings")
            answer = RingAnswered(frame.id, error=error)
        self._send(answer)

    def _do(self, number: int, call: RingCall) -> RingAnswered:
        rings = self._rings
        if isinstance(call, CreateRing):
            ring = rings.make(call.name, call.shape, call.dtype, call.slots)
            rings.written_by(self._process, ring)
            return RingAnswered(number, handle=ring.handle)
        if isinstance(call, FindRing):
            return RingAnswered(number, handle=rings.get(call.name).handle)
        if isinstance(call, AdmitReader):
            ring = rings.find(call.memory)
            place = ring.admit(
                call.name,
                lossless=call.lossless,
                from_start=call.from_start,
                take_over=call.take_over,
            )
            rings.read_by(self._process, ring, place)
            return RingAnswered(number, place=place)
        rings.remove(call.name)
        return RingAnswered(number)
