"""A guard of the space on a disk."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

from hal.base import Float, ParameterError, StorageError, Text, Value
from hal.kernel import Loop, StartModule, handles
from hal.messages import RunStatusChanged
from hal.storage import free_bytes
from modules.guards.guard import Guard

STALL_S: Final = 600.0
"""A disk that does not answer for so long never will; it counts as silent before."""


class DiskGuard(Guard):
    """Pauses runs while there is little room where the data go.

    Runs on: actor.
    """

    folder = Text(
        "",
        live=True,
        help="What is watched: a full path, ~ is your home; empty for the folder of "
        "the newest run.",
    )
    lowest_gb = Float(
        5.0, unit="GB", low=0.0, high=1e6, live=True, help="Least room that is good."
    )
    every_s = Float(
        1.0,
        unit="s",
        low=0.01,
        high=3600.0,
        live=True,
        help="Pause between two looks at the disk.",
    )

    _run_folder: Path | None = None
    _watched: Path | None = None

    @handles(StartModule)
    def on_start_module(self, msg: StartModule) -> None:
        """Begin to look, in a thread of its own: a disk may keep one waiting."""
        super().on_start_module(msg)
        self.run_loop(self._watch, stall_s=STALL_S, what="watch the disk")

    @handles(RunStatusChanged)
    def on_run_status(self, msg: RunStatusChanged) -> None:
        """Learn where the files of a run are."""
        super().on_run_status(msg)
        if msg.status.files:
            self._run_folder = Path(msg.status.files[0]).parent

    def check_together(self, values: Mapping[str, Value]) -> None:
        folder = str(values["folder"])
        if folder and not _full(folder).is_absolute():
            raise ParameterError(f"folder='{folder}': expected a full path, or ~/...")

    def silence(self, silent_s: float) -> str:
        return f"the disk of {self._folder()} has not answered for {silent_s:g} s"

    def _folder(self) -> Path | None:
        return _full(self.folder) if self.folder else self._run_folder

    def _watch(self, loop: Loop) -> None:
        """Look at the disk again and again.

        Runs on: a thread of its own.
        """
        while True:
            loop.beat()
            folder = self._folder()
            free_gb, trouble = 0.0, ""
            if folder is not None:
                try:
                    free_gb = _free_gb(folder, is_made=not self.folder)
                except StorageError as exc:
                    reason = getattr(exc.__cause__, "strerror", None) or exc.text
                    trouble = f"{folder} does not tell its free space: {reason}"
            self.post_own(partial(self._looked, folder, free_gb, trouble))
            if loop.wait(self.every_s):
                return

    def _looked(self, folder: Path | None, free_gb: float, trouble: str) -> None:
        if folder != self._watched:
            self.begin_anew()
            self._watched = folder
        if not trouble and folder is not None and free_gb < self.lowest_gb:
            trouble = (
                f"{folder} has {free_gb:.2f} GB free, expected at least "
                f"{self.lowest_gb:g} GB"
            )
        self.see(trouble)


def _full(folder: str) -> Path:
    return Path(folder).expanduser()


def _free_gb(folder: Path, *, is_made: bool) -> float:
    """Return the room there is where a folder is, or will be.

    Raises:
        StorageError: The disk does not say; or the folder, made before, is gone.
    """
    try:
        return free_bytes(folder) / 1e9
    except StorageError as exc:
        gone = isinstance(exc.__cause__, FileNotFoundError)
        if not gone or is_made or folder == folder.parent:
            raise
    return _free_gb(folder.parent, is_made=False)
