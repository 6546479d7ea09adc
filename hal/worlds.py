"""The simulated worlds of one running HAL, and the files that keep their state."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from hal.base import BadInput, HalError
from hal.config import BuiltWorld
from hal.devices import InWorld


class Worlds:
    """Makes the state of each world, and lets drivers in.

    A world without a file of its own begins anew with each HAL, and ends with it. The
    state of one that was killed stays among its logs.

    Runs on: main.
    """

    def __init__(self, worlds: Iterable[BuiltWorld], log_folder: Path) -> None:
        """Make or take the state of each.

        Raises:
            BadInput: A file of another world is in the place of one.
            StartError: A file cannot be made.
        """
        self._log_folder = log_folder
        self._folder: Path | None = None
        self._states: dict[str, Path] = {}
        try:
            for world in worlds:
                self._states[world.spec.name] = self._made(world)
        except BaseException:
            self.close()
            raise

    def admit(self, driver: object, name: str) -> Path | None:
        """Tell a driver that names a world where it is, and `name` as its own.

        Returns:
            The file of that world; None if the driver lives in none.
        """
        if not isinstance(driver, InWorld) or not driver.world:
            return None
        state = self._states[driver.world]
        driver.enter(state, name)
        return state

    def close(self) -> None:
        """Remove what was only for this HAL; harmless when repeated."""
        if self._folder is not None:
            # Where drivers still hang, Windows keeps the file; nobody needs it.
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _made(self, world: BuiltWorld) -> Path:
        spec = world.spec
        label = f"world '{spec.name}': "
        try:
            path = spec.state or self._temporary() / f"{spec.name}.state"
            world.world_class(**world.values).make_state(path)
        except BadInput as exc:
            raise spec.place.refuse(f"{label}{exc}") from exc
        except (HalError, OSError) as exc:
            raise spec.place.cannot_start(f"{label}{exc}") from exc
        return path

    def _temporary(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="world-", dir=self._log_folder))
        return self._folder
