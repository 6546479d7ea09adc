"""What the drivers of this family share: a place in a simulated world, or none."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from hal.base import StateError
from hal.devices import InWorld
from modules.simulation.world import DeviceState, World


class Inhabitant(InWorld):
    """A device that shows the world what it does, if it has been given a world.

    It takes its place in the world when it enters: HAL admits drivers one after the
    other, so that places do not depend on who opens first.

    Runs on: as `Device`; `enter` before `open`.
    """

    kind: ClassVar[str] = ""
    """What it is in the world: one of the kinds in `FIELDS`."""

    _known_world: World | None = None
    _known_place: DeviceState | None = None

    def enter(self, state: Path, name: str) -> None:
        super().enter(state, name)
        self._known_world = self._known_place = None
        if self.world:
            self._known_world = World.open(state)
            self._known_place = self._known_world.device(name, self.kind)

    @property
    def _world_or_none(self) -> World | None:
        """The world it lives in; None without one."""
        if not self.world:
            return None
        if self._known_world is None:
            if self._world_state is None:
                raise StateError(f"{type(self).__name__} has not entered its world")
            self._known_world = World.open(self._world_state)
        return self._known_world

    @property
    def _here(self) -> DeviceState | None:
        """What it publishes; None without a world."""
        world = self._world_or_none
        if world is None:
            return None
        if self._known_place is None:
            self._known_place = world.device(self._world_name, self.kind)
        return self._known_place

    def _publish(self, **numbers: float) -> None:
        """Show these numbers to the others; nothing happens without a world."""
        here = self._here
        if here is not None:
            here.write(**numbers)
