"""What a simulated world promises, and the drivers that live in it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from hal.base import Parametrized, StateError, Text
from hal.devices.device import Device


class SimulatedWorld(Parametrized, ABC):
    """What `<world>` in a configuration stands for; its parameters never change.

    Runs on: main, before any driver is opened.
    """

    @abstractmethod
    def make_state(self, path: Path) -> None:
        """Make the file that the world's drivers share, or take the one that is there.

        Raises:
            ParameterError: The file belongs to a world with other parameters.
            DeviceError: It cannot be made, or is no such file.
        """


class InWorld(Device):
    """A simulated device that may share a world with others, in any process.

    Without a `world` it exists on its own. With one, it is told before `open` where
    that world keeps its state, and by which name the others know it.

    Runs on: as `Device`; `enter` before `open`.
    """

    world = Text("", help="Name of the <world> it lives in; empty for none.")

    _world_state: Path | None = None
    _world_name = ""

    @property
    def world_state(self) -> Path | None:
        """The file of the world it has entered; None if it has entered none."""
        return self._world_state

    @property
    def world_name(self) -> str:
        """What it is called in that world."""
        return self._world_name

    def enter(self, state: Path, name: str) -> None:
        """Learn where the world's state is; what the file holds is the world's own.

        Args:
            state: The file, which exists.
            name: Name of this device in the world; that of its module.

        Raises:
            StateError: It is open already.
            DeviceError: That world cannot be entered.
        """
        if self.is_open:
            raise StateError(f"{type(self).__name__} is open: it cannot change worlds")
        self._world_state, self._world_name = state, name

    def open(self) -> None:
        if self.world and self._world_state is None:
            raise StateError(
                f"{type(self).__name__}: world='{self.world}': expected that it has "
                "entered that world before it is opened"
            )
        super().open()
