"""The file that holds a world's state, mapped into every process that uses it."""

from __future__ import annotations

import json
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from hal.base import DeviceError, Value
from modules.simulation.world import layout
from modules.simulation.world.file_lock import locked

Records = np.ndarray[Any, np.dtype[np.void]]


class StateFile:
    """The mapped records of one world; they show what other processes write, at once.

    Runs on: any; who may write what is the business of the classes that use it.
    """

    def __init__(self, path: Path) -> None:
        """Map the file.

        Raises:
            DeviceError: It cannot be read, or is no state of a world.
        """
        self.path = path
        try:
            with path.open("r+b") as file:
                self.parameters = _parameters(path, file)
                mapped = mmap.mmap(file.fileno(), layout.SIZE)
        except (OSError, ValueError) as exc:
            raise DeviceError(f"world state {path} cannot be used: {exc}") from exc
        self.devices: Records = np.frombuffer(
            mapped, layout.DEVICE, layout.DEVICES, layout.DEVICES_AT
        )
        """One slot per device."""
        self.journal: Records = np.frombuffer(
            mapped, layout.EXPOSURE, layout.JOURNAL + 1, layout.JOURNAL_AT
        )
        """In the first record the count of exposures, then the last of them."""
        self.spots: Records = np.frombuffer(
            mapped, layout.SPOT, layout.SPOTS, layout.SPOTS_AT
        )
        """How much light each part of the sample has had."""

    @property
    def count(self) -> int:
        """How many exposures there have been; the number of the last one."""
        return int(self.journal["number"][0])

    def exposure(self, number: int) -> Records | None:
        """Return a copy of one exposure; None where it is too old, or still to come."""
        if not 1 <= number <= self.count:
            return None
        place = self.journal[layout.place_of(number) :][:1]
        found = place.copy()
        # Who overwrites it takes the number away first.
        if int(found["number"][0]) != number or int(place["number"][0]) != number:
            return None
        return found

    @classmethod
    def create(cls, path: Path, parameters: Mapping[str, Value]) -> StateFile:
        """Map the file, after making it where it does not exist yet.

        A file that exists, whichever process made it, is left as it is.

        Raises:
            DeviceError: It cannot be written, or is no state of a world.
        """
        text = layout.MAGIC + json.dumps(dict(parameters), sort_keys=True).encode()
        if len(text) >= layout.HEADER_BYTES:
            raise DeviceError(f"world state {path}: its parameters are too long")
        try:
            with locked(path) as file:
                # A kill in between leaves too short a file, which is made anew.
                size = path.stat().st_size
                is_begun = file.read(len(layout.MAGIC)) == layout.MAGIC
                if size == 0 or (is_begun and size < layout.SIZE):
                    _write(file, text.ljust(layout.SIZE, b"\0"))
        except OSError as exc:
            raise DeviceError(f"world state {path} cannot be made: {exc}") from exc
        return cls(path)


def _write(file: BinaryIO, data: bytes) -> None:
    """Write all of `data` from the beginning of an unbuffered file."""
    file.seek(0)
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _parameters(path: Path, file: BinaryIO) -> dict[str, Value]:
    text = file.read(layout.HEADER_BYTES).rstrip(b"\0")
    if not text.startswith(layout.MAGIC):
        raise DeviceError(f"{path} is not the state of a simulated world")
    try:
        found = json.loads(text[len(layout.MAGIC) :])
    except ValueError as exc:
        raise DeviceError(f"world state {path} is damaged: {exc}") from exc
    if not isinstance(found, dict):
        raise DeviceError(f"world state {path} is damaged: it names no parameters")
    return found
