"""The table of events of one film, as its recorder keeps it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from hal.acquisition import EventRow
from hal.base import StateError, StorageError, get_logger
from hal.storage import EventTable

log = get_logger(module="recorder")


class FilmEvents:
    """What stands beside the film: a table if the run follows a plan, else none.

    Runs on: any, one call at a time; a track places it while rows are written.

    Guarantees:
        A table that cannot be written costs no frame; at the end it is told how many
        rows are missing.
        The table of an older film stays until the new film has its first frame.
    """

    def __init__(self, path: Path, *, is_wanted: bool, overwrite: bool) -> None:
        self.path = path
        self._is_wanted = is_wanted
        self._overwrite = overwrite
        self._table: EventTable | None = None
        self._lock = threading.Lock()
        self._refused: set[int] = set()
        """Events whose rows could not be written yet."""
        self._refusal = ""
        """Why, the last time."""
        self._problems: list[StorageError] = []

    def create(self) -> None:
        """Create the table, empty.

        Raises:
            OutputExists: There is one that may not be replaced.
            DiskFull, StorageError: It cannot be created.
        """
        if self._is_wanted:
            self._table = EventTable.create(self.path, overwrite=self._overwrite)

    def reopen(self) -> None:
        """Go on with the table of a killed recorder; a half row is cut off.

        Without it the frames go on, and the end of the film tells why it is missing.
        """
        if not self._is_wanted:
            return
        try:
            self._table, changes = EventTable.reopen(
                self.path, overwrite=self._overwrite
            )
        except StorageError as exc:
            self._problems.append(exc)
            return
        if changes:
            log.warning("table of events continued", file=str(self.path), why=changes)

    def add(self, rows: Sequence[EventRow]) -> None:
        """Write rows; those of events that have one are passed over.

        Raises:
            DiskFull, StorageError: None of them was written; they may be sent again.
            StateError: The run follows no plan.
        """
        if not self._is_wanted:
            raise StateError("this run has no table of events: it follows no plan")
        numbers = {row.event for row in rows}
        with self._lock:
            try:
                self._open_table().add(rows)
            except StorageError as exc:
                if not self._refusal:
                    log.error("rows of events not written", why=exc.text)
                self._refused |= numbers
                self._refusal = exc.text
                raise
            self._refused -= numbers

    def take_place(self) -> None:
        """Replace the table of an older film, or remove it; after the first frame."""
        with self._lock:
            try:
                if self._table is not None:
                    self._table.take_place()
                elif self._overwrite and not self._is_wanted:
                    # It would be taken for one of this film.
                    self.path.unlink(missing_ok=True)
            except (OSError, StorageError) as exc:
                text = exc.text if isinstance(exc, StorageError) else str(exc)
                self._problems.append(
                    StorageError(f"{self.path}: an older table stays: {text}")
                )

    def bring_to_device(self) -> None:
        """Have the rows survive a power cut; `finish` tells of what fails for good."""
        with self._lock:
            try:
                if self._table is not None:
                    self._table.sync()
            except StorageError as exc:
                log.warning("table of events not synced", why=exc.text)

    def finish(self) -> tuple[StorageError, ...]:
        """Close the table; return what is wrong with it."""
        with self._lock:
            if self._refused:
                self._problems.append(
                    StorageError(
                        f"{self.path}: the rows of {len(self._refused)} events are "
                        f"missing, from event {min(self._refused)} on: {self._refusal}"
                    )
                )
            try:
                if self._table is not None:
                    self._table.finish()
            except StorageError as exc:
                self._problems.append(exc)
            return tuple(self._problems)

    def close(self) -> None:
        """Close the table as it is; harmless when repeated."""
        with self._lock:
            if self._table is not None:
                self._table.close()

    def discard(self) -> None:
        """Remove the table of a film that has no frame."""
        with self._lock:
            if self._table is not None:
                self._table.discard()

    def _open_table(self) -> EventTable:
        if self._table is None:
            raise StorageError(f"{self.path}: the table of events is not open")
        return self._table
