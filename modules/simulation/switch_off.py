"""The second path to the safe state of a simulated light: through its world."""

from __future__ import annotations

from pathlib import Path

from modules.simulation.world import LIGHT_SOURCE, World


def switch_off(state: str, name: str) -> None:
    """Turn a light off whose driver is gone, as a hand on its switch would.

    Args:
        state: The file that keeps its world's state.
        name: Its name there.

    Raises:
        DeviceError: There is no such world.
    """
    World.open(Path(state)).device(name, LIGHT_SOURCE).write(is_on=False)
