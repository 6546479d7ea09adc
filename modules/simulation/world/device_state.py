"""What one device shows of itself to the others of its world."""

from __future__ import annotations

from typing import Final

from hal.base import DeviceError
from modules.simulation.world import layout
from modules.simulation.world.kinds import FIELDS
from modules.simulation.world.state_file import StateFile

_ATTEMPTS: Final = 1000


class DeviceState:
    """The numbers that one device publishes and all others may read.

    Runs on: `write` the device's own thread; the rest any, in any process.

    Guarantees:
        A reader gets numbers that were written together, never some of the last and
        some of this write, also when the writer is killed in between.
        What was written stays when the writer goes; a new driver finds it there.
    """

    def __init__(self, file: StateFile, slot: int) -> None:
        self._slot = file.devices[slot]
        self._version = self._slot["version"]
        self.name: str = bytes(self._slot["name"]).decode()
        """Name of its module."""
        self.kind: str = bytes(self._slot["kind"]).decode()
        """One of `FIELDS`."""
        self.ordinal = int(self._slot["ordinal"])
        """Its number among the devices of its kind, from 0 on."""
        self._names = tuple(FIELDS[self.kind])

    def write(self, **numbers: float) -> None:
        """Publish these numbers together; those not named stay as they are.

        Raises:
            DeviceError: This kind of device has no such number.
        """
        values = self.read()
        for name, number in numbers.items():
            if name not in values:
                raise DeviceError(
                    f"{self.kind} '{self.name}' publishes no '{name}': expected one "
                    f"of {', '.join(self._names)}"
                )
            values[name] = float(number)
        version = int(self._slot["version"])
        bank = self._slot["banks"][(version + 1) % 2]
        bank[: len(values)] = tuple(values.values())
        self._slot["version"] = version + 1

    def read(self) -> dict[str, float]:
        """Return all its numbers by name.

        Raises:
            DeviceError: It writes faster than anybody can read.
        """
        for _ in range(_ATTEMPTS):
            version = int(self._slot["version"])
            bank = self._slot["banks"][version % 2]
            numbers = [float(number) for number in bank[: len(self._names)]]
            if int(self._slot["version"]) == version:
                return dict(zip(self._names, numbers, strict=True))
        raise DeviceError(f"{self.kind} '{self.name}' changes faster than it is read")

    def __getitem__(self, name: str) -> float:
        """Return one of its numbers."""
        return self.read()[name]

    @property
    def note(self) -> tuple[str, ...]:
        """Names of the devices it acts on; none for all of them.

        The light sources a shutter stands before, the cameras a wheel stands before.
        """
        return tuple(bytes(self._slot["note"]).decode().split())

    @note.setter
    def note(self, names: tuple[str, ...]) -> None:
        text = " ".join(names).encode()
        if len(text) > layout.NOTE_BYTES:
            raise DeviceError(
                f"{self.kind} '{self.name}' acts on more devices than can be noted"
            )
        self._slot["note"] = text
