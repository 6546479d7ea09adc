"""The loop of an analysis: every frame of a run, and answers between two of them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from hal.base import Clock, DeviceTimeout, ErrorRecord, StateError
from hal.frames import FrameInfo, FrameRing, LosslessReader, Pixels
from hal.kernel import Delivery, Loop

POLL_S: Final = 0.2
"""The longest single wait, so that a stop and the watchdog are heard."""

Settle = Callable[[Delivery, object, ErrorRecord | None], object]
"""Ends a delivery with an answer, or an error."""


class Author(Protocol):
    """What the author of an analysis has written."""

    name: str

    def analyse(self, frame: Pixels, info: FrameInfo) -> None:
        """Look at one frame."""


class _Question(NamedTuple):
    delivery: Delivery
    after: int
    """So many frames of the ring come first."""
    answer: Callable[[], object]


class Watch:
    """One run as one analysis follows it.

    Runs on: `run` its loop's thread; the rest any.

    Guarantees:
        The author's methods are called on one thread.
        Every question is answered, or refused when the loop has ended.
        Its place in the ring is free on every way out: nobody waits for it any more.
    """

    def __init__(
        self,
        run_id: str,
        author: Author,
        find_ring: Callable[[], FrameRing],
        settle: Settle,
        clock: Clock,
    ) -> None:
        """Begin with nothing.

        Args:
            run_id: Which run it is.
            author: Who looks at the frames.
            find_ring: Returns where they come.
            settle: Answers questions.
            clock: Whose time counts.
        """
        self.run_id = run_id
        self.count = 0
        """Frames analysed so far."""
        self.ending: Delivery | None = None
        """What asks for the end."""
        self._author = author
        self._find_ring = find_ring
        self._settle = settle
        self._clock = clock
        self._ring: FrameRing | None = None
        self._reader: LosslessReader | None = None
        self._end_by_s = 0.0
        self._drain_s = 0.0
        self._lock = threading.Lock()
        self._questions: deque[_Question] = deque()
        self._news = threading.Event()
        self._refusal: ErrorRecord | None = None
        self.loop: Loop | None = None
        """Whose thread follows the ring; None before it does."""
        self.has_begun = False
        """Whether the run may go on: frames come from now on."""

    def ask(self, delivery: Delivery, answer: Callable[[], object]) -> None:
        """Have `answer` called when all frames there are now were analysed."""
        after = 0 if self._ring is None else self._ring.published
        with self._lock:
            refusal = self._refusal
            if refusal is None:
                self._questions.append(_Question(delivery, after, answer))
        if refusal is not None:
            self._settle(delivery, None, refusal)
        self._wake()

    def end(self, delivery: Delivery, drain_s: float) -> None:
        """Have it end when the ring has, and all of it was analysed."""
        self._drain_s = drain_s
        self._end_by_s = self._clock.monotonic_s() + drain_s
        self.ending = delivery
        self._wake()

    def run(
        self, loop: Loop, begin: Callable[[], None], last: Callable[[], None]
    ) -> None:
        """Follow the ring to its end.

        Args:
            loop: Whose thread this is.
            begin: Called when its place in the ring is taken.
            last: Called when all was analysed.

        Raises:
            DeviceTimeout: Analysing what was left took too long.
        """
        self.loop = loop
        try:
            self._ring = self._find_ring()
            self._reader = self._ring.open_reader(self._author.name, from_start=True)
            begin()
            self.has_begun = True
            self._follow(loop, self._reader)
            last()
        except BaseException as exc:
            self.close(ErrorRecord.from_exception(exc, self._author.name))
            raise
        finally:
            self.close(None)

    def close(self, error: ErrorRecord | None) -> None:
        """Let the ring go, and refuse all questions; harmless when repeated."""
        if self._reader is not None:
            self._reader.close()
        name = self._author.name
        over = StateError(f"{name} does not watch run {self.run_id} any more")
        with self._lock:
            if self._refusal is None:
                self._refusal = error or ErrorRecord.from_exception(over, name)
            left, self._questions = self._questions, deque()
        for question in left:
            self._settle(question.delivery, None, self._refusal)

    def _follow(self, loop: Loop, reader: LosslessReader) -> None:
        while not loop.stopping.is_set():
            loop.beat()
            self._news.clear()
            self._serve(loop, reader)
            if reader.at_end:
                if self.ending is not None and not self._questions:
                    return
                self._clock.wait(self._news, POLL_S)
                continue
            if self.ending is not None and self._clock.monotonic_s() > self._end_by_s:
                raise DeviceTimeout(
                    f"{self._author.name} has not analysed {reader.behind} frames "
                    f"within {self._drain_s:g} s after the end"
                )
            frame = reader.next(POLL_S)
            if frame is not None:
                self._author.analyse(frame.pixels, frame.info)
                self.count += 1
                reader.release()
        if self.ending is not None:
            raise StateError(
                f"{self._author.name} was stopped before all was analysed: "
                f"{reader.behind} frames are left"
            )

    def _serve(self, loop: Loop, reader: LosslessReader) -> None:
        """Answer what is asked after all that has been analysed."""
        assert self._ring is not None
        # The frames first: those that come in between only make it wait.
        analysed = self._ring.published - reader.behind
        while self._questions and self._questions[0].after <= analysed:
            with self._lock:
                question = self._questions.popleft()
            self._answer(question)
            loop.beat()

    def _answer(self, question: _Question) -> None:
        error, answer = None, None
        try:
            answer = question.answer()
        except Exception as exc:  # noqa: BLE001 - a plugin's code: anything
            error = ErrorRecord.from_exception(exc, self._author.name)
        self._settle(question.delivery, answer, error)

    def _wake(self) -> None:
        self._news.set()
        if self._ring is not None:
            self._ring.wake()
