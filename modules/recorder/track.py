"""One camera's film being written: frames out of the ring, into every format."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from hal.base import Clock, StorageError, get_logger
from hal.frames import Frame, FrameLedger, LosslessReader
from hal.kernel import Loop
from hal.messages import FramesStored
from hal.storage import (
    FilmDescription,
    FrameChecksums,
    FrameWriter,
    Verification,
    frame_checksum,
    verify,
)

_POLL_S: Final = 0.2
_REPORT_S: Final = 0.1

log = get_logger(module="recorder")


class Track:
    """Follows one ring and stores every frame in every format of the film.

    Runs on: `run` its loop's thread; `verify` worker, after it; the rest any.

    Guarantees:
        A frame is acknowledged when all formats have stored it, not before.
        After a failure the reader is closed, so that the camera is not held up.
    """

    def __init__(
        self,
        run_id: str,
        description: FilmDescription,
        reader: LosslessReader,
        writers: tuple[FrameWriter, ...],
        *,
        clock: Clock,
        tell: Callable[[FramesStored], None],
        first_frame: Callable[[], None],
    ) -> None:
        self.run_id = run_id
        self.description = description
        self.writers = writers
        self.ledger = FrameLedger(description.camera, description.planned)
        self.checksums = FrameChecksums()
        self.done = threading.Event()
        """Set when all is stored and the files are closed, or nothing more will be."""
        self.error = ""
        self._reader = reader
        self._clock = clock
        self._tell = tell
        self._first_frame = first_frame
        self._first = 0
        self._next = 0
        self._last_report_s = clock.monotonic_s()

    @property
    def camera(self) -> str:
        """Name of the camera."""
        return self.description.camera

    def run(self, loop: Loop) -> None:
        """Store frames until the ring ends, or the loop is to end.

        Raises:
            StorageError: A format could not store a frame; what was stored is readable.
        """
        try:
            while not loop.stopping.is_set():
                loop.beat()
                frame = self._reader.next(_POLL_S)
                if frame is not None:
                    self._store(frame)
                elif self._reader.at_end:
                    break
                if self._clock.monotonic_s() - self._last_report_s >= _REPORT_S:
                    self._report()
            for writer in self.writers:
                writer.finish()
        except BaseException as exc:
            self.error = str(exc)
            raise
        finally:
            self._reader.close()
            for writer in self.writers:
                writer.abort()
            self._report()
            self.done.set()

    def give_up(self) -> None:
        """Let go of the ring: its end will not come."""
        self._reader.close()

    def verify(self, should_stop: Callable[[], bool]) -> tuple[str, ...]:
        """Read all formats back; return what was found wrong, in words."""
        self.ledger.close()
        if not len(self.checksums):
            return ()
        problems: list[str] = []
        results: list[Verification] = []
        for writer in self.writers:
            try:
                result = verify(
                    writer.files,
                    self.description,
                    self.checksums,
                    should_stop=should_stop,
                )
            except StorageError as exc:
                problems.append(str(exc))
                continue
            results.append(result)
            if not result.passed:
                problems.append(
                    f"{writer.files[0]}: {result.found} of {result.stored} frames "
                    f"found, {len(result.mismatched)} not as written"
                )
        wrong = {index for result in results for index in result.mismatched}
        if len(results) == len(self.writers):
            checked = min(result.checked for result in results)
            self.ledger.verified(checked - len(wrong), sorted(wrong))
        return tuple(problems)

    def _store(self, frame: Frame) -> None:
        index = frame.info.index
        self.ledger.received(index)
        for writer in self.writers:
            writer.append(frame.pixels, frame.info)
        checksum = frame_checksum(frame.pixels)
        self._reader.release()
        self.checksums.add(index, checksum)
        self.ledger.stored(index)
        if index != self._next:
            self._report()
            self._first = index
        self._next = index + 1
        if len(self.checksums) == 1:
            self._first_frame()

    def _report(self) -> None:
        """Acknowledge the frames stored since the last report."""
        self._last_report_s = self._clock.monotonic_s()
        if self._next > self._first:
            first, self._first = self._first, self._next
            self._tell(FramesStored(self.run_id, self.camera, first, self._next - 1))
