"""Devices that live in a world, and what is seen of them there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hal.devices import InWorld
from hal.testing import FakeClock
from modules.simulation.world import World
from tests.simulation.clocks import WindingClock


def inhabit(device: Any, state: Path, name: str, clock: FakeClock | None = None) -> Any:
    device.clock = clock or WindingClock()
    assert isinstance(device, InWorld)
    device.enter(state, name)
    device.open()
    return device


def shown(state: Path, name: str) -> dict[str, float]:
    """Return what everybody sees of a device, as another process does."""
    return World.open(state).devices()[name].read()
