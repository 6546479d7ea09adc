"""One camera's film being written: frames out of the ring, into every format."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from hal.base import Clock, ErrorRecord, StorageError
from hal.frames import Frame, FrameLedger, FrameRing, IndexBatches, LosslessReader
from hal.kernel import Loop
from hal.messages import FramesStored
from hal.storage import CameraFilm, Verification, verify

_POLL_S: Final = 0.2
_CLOSE_S: Final = 1.0


class Track:
    """Follows one ring and stores every frame in every format of the film.

    Runs on: `run` its loop's thread; `wait_until_done`, then `verify` worker; the rest
    any.

    Guarantees:
        A frame is acknowledged when all formats have stored it, not before.
        One that a format cannot store is taken back from the others: all formats and
        the ledger hold the same frames.
        After a failure the reader is closed, so that the camera is not held up.
    """

    def __init__(
        self,
        run_id: str,
        film: CameraFilm,
        ring: FrameRing,
        reader: LosslessReader,
        *,
        clock: Clock,
        tell: Callable[[FramesStored], None],
        first_frame: Callable[[], None],
        source: str,
    ) -> None:
        """Follow `ring` from where `reader` is.

        Args:
            run_id: For the acknowledgements.
            film: Open; the frames that it has already are released unread.
            ring: Where the frames come.
            reader: The recorder's place in it; closed by this track.
            clock: Whose time counts.
            tell: Acknowledges stored frames.
            first_frame: Called when there is something to describe.
            source: The module whose errors these are.
        """
        self.run_id = run_id
        self.film = film
        description = film.head.description
        self.camera = description.camera
        self.ledger = FrameLedger(description.camera, description.planned)
        for first, last in film.ranges():
            for index in range(first, last + 1):
                self.ledger.received(index)
            self.ledger.stored(first, last + 1)
        self.done = threading.Event()
        """Set when all is stored and the files are closed, or nothing more will be."""
        self.problems: list[ErrorRecord] = []
        """Why not all was stored, and what could not be put right after that."""
        self._source = source
        self._ring = ring
        self._reader = reader
        self._clock = clock
        self._tell = tell
        self._first_frame = first_frame
        self._batches = IndexBatches(self._acknowledge, clock)

    def run(self, loop: Loop) -> None:
        """Store frames until the ring ends, or HAL stops while the camera goes on.

        Raises:
            StorageError: A format could not store a frame; what was stored is readable.
        """
        try:
            # What was stored before a restart: nobody may know it yet.
            for first, last in self.film.ranges():
                self._acknowledge(first, last)
            # A camera that has ended leaves a known rest, which is stored in any case.
            while not loop.stopping.is_set() or self._ring.ended:
                loop.beat()
                frame = self._reader.next(_POLL_S)
                if frame is not None:
                    self._store(frame)
                elif self._reader.at_end:
                    break
                self._batches.tell_if_due()
            self.film.finish()
        except BaseException as exc:
            self._note(exc)
            raise
        finally:
            self._reader.close()
            self.film.abort()
            self._batches.tell()
            self.done.set()

    @property
    def is_ending(self) -> bool:
        """Whether the camera has ended: what is in the ring is all there will be."""
        return self._ring.ended

    def wait_until_done(self, give_up_s: float, stall_s: float) -> None:
        """Return once all is stored and closed, or will not be: a problem then.

        Args:
            give_up_s: Until when to wait for the camera to end its film.
            stall_s: Once it has, how long to wait without a frame being stored.
        """
        left = self._reader.behind
        if self._ring.ended:
            give_up_s = max(give_up_s, self._clock.monotonic_s() + stall_s)
        while not self._clock.wait(self.done, _POLL_S):
            now_s = self._clock.monotonic_s()
            if self._ring.ended and self._reader.behind != left:
                left, give_up_s = self._reader.behind, now_s + stall_s
            if now_s > give_up_s:
                why = f"{left} frames could not be stored in time"
                if not self._ring.ended:
                    why = "the end of the film never came"
                self.give_up()
                self._clock.wait(self.done, _CLOSE_S)
                self._note(StorageError(f"{self.camera}: {why}"))
                return

    def bring_to_device(self) -> None:
        """Have what is stored survive a power cut; a problem if not. Any thread."""
        try:
            self.film.sync()
        except StorageError as exc:
            if not self.problems:  # else it is one more sign of the same
                self._note(exc)

    def give_up(self) -> None:
        """Let go of the ring: its end will not come."""
        self._reader.close()

    def verify(self, should_stop: Callable[[], bool]) -> None:
        """Give the film its axes and read it back; what is found wrong is a problem."""
        self.ledger.close()
        if not self.film.stored:
            return
        if self.done.is_set():  # else its files are still written to
            self.film.arrange(should_stop)
        results: list[Verification] = []
        for writer in self.film.writers:
            try:
                result = verify(
                    writer.files,
                    self.film.head.description,
                    self.film.checksums,
                    should_stop=should_stop,
                )
            except StorageError as exc:
                self._note(exc)
                continue
            results.append(result)
            if not result.passed:
                text = (
                    f"{writer.files[0]}: {result.found} of {result.stored} frames "
                    f"found, {len(result.mismatched)} not as written"
                )
                self._note(StorageError(text))
        wrong = {index for result in results for index in result.mismatched}
        if len(results) == len(self.film.writers):
            checked = min(result.checked for result in results)
            self.ledger.verified(checked - len(wrong), sorted(wrong))

    def _store(self, frame: Frame) -> None:
        index = frame.info.index
        if index <= self.film.was_last:
            # Stored before the recorder was killed; it could not release it any more.
            self._reader.release()
            return
        self.ledger.received(index)
        self.film.store(frame.pixels, frame.info, self._note)
        self.ledger.stored(index)
        self._reader.release()
        self._batches.add(index)
        if self.film.stored == 1:
            self._first_frame()

    def _acknowledge(self, first: int, last: int) -> None:
        self._tell(FramesStored(self.run_id, self.camera, first, last))

    def _note(self, exc: BaseException) -> None:
        self.problems.append(ErrorRecord.from_exception(exc, self._source))
