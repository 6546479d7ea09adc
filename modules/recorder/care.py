"""Care for the disk of a film: a power cut costs little, and its end is foretold."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hal.base import Clock, StorageError, get_logger
from hal.kernel import Loop
from hal.storage import free_bytes
from modules.recorder.film_events import FilmEvents
from modules.recorder.track import Track

EVERY_S: Final = 10.0
"""What is stored survives a power cut after so long."""
SOON_S: Final = 120.0
"""It is told once that the disk will be full, so long before."""
_POLL_S: Final = 0.2
_MB: Final = 1e6
log = get_logger(module="recorder")


class DiskCare:
    """Has the device store what is there, and sees whether its space will do.

    Runs on: a loop of its own, because a device may take seconds.
    """

    def __init__(
        self,
        folder: Path,
        tracks: Sequence[Track],
        events: FilmEvents,
        stored: threading.Event,
        clock: Clock,
    ) -> None:
        """Look after one film.

        Args:
            folder: Where it is stored.
            tracks: What is stored.
            events: The table beside it.
            stored: Set when nothing more will be.
            clock: Whose time counts.
        """
        self._folder = folder
        self._tracks = tracks
        self._events = events
        self._stored = stored
        self._clock = clock
        self._before = 0
        self._has_warned = False

    def run(self, loop: Loop) -> None:
        """Take care every `EVERY_S`, until all is stored."""
        due_s = self._clock.monotonic_s() + EVERY_S
        while not self._clock.wait(self._stored, _POLL_S):
            loop.beat()
            if loop.stopping.is_set():
                return
            if self._clock.monotonic_s() >= due_s:
                for track in self._tracks:
                    track.bring_to_device()
                self._events.bring_to_device()
                self._look_at_space()
                due_s = self._clock.monotonic_s() + EVERY_S

    def _look_at_space(self) -> None:
        try:
            free = free_bytes(self._folder)
        except StorageError:
            return  # the tracks, which write there, will say so
        now = sum(track.film.stored_bytes for track in self._tracks)
        grown, self._before = now - self._before, now
        to_come = [track.film.bytes_to_come for track in self._tracks]
        known = [size for size in to_come if size is not None]
        is_enough = len(known) == len(to_come) and sum(known) < free
        if is_enough or self._has_warned or grown <= 0:
            return
        lasts_s = free / grown * max(EVERY_S, _POLL_S)
        if lasts_s < SOON_S:
            self._has_warned = True
            log.warning(
                "disk will be full",
                folder=str(self._folder),
                free_mb=round(free / _MB),
                lasts_s=round(lasts_s),
            )
