"""What a module in a process of its own is made from."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hal.base import StartError, Value


def class_path(cls: type) -> str:
    """Return where another process finds `cls`.

    Raises:
        StartError: Nowhere: it is defined in a script or a function.
    """
    path = f"{cls.__module__}:{cls.__qualname__}"
    if cls.__module__ == "__main__" or "<locals>" in path:
        raise StartError(
            f"{cls.__qualname__} cannot be run in a process of its own: expected a "
            "class of a module that can be imported"
        )
    return path


def find_class(path: str) -> type[Any]:
    """Return the class that `class_path` was asked for; imports its module."""
    module, _, name = path.partition(":")
    found: Any = functools.reduce(
        getattr, name.split("."), importlib.import_module(module)
    )
    assert isinstance(found, type)
    return found


@dataclass
class Launch:
    """How to make each generation of one module; its values follow what is set.

    Runs on: any.
    """

    process: str
    """Modules that name the same one share it."""
    module_class: type[Any]
    values: dict[str, Value] = field(default_factory=dict)
    driver_class: type[Any] | None = None
    driver_values: dict[str, Value] = field(default_factory=dict)
    memory_mb: float | None = None
    world_state: str = ""
    """File of the simulated world its driver lives in; empty if in none."""

    def remember(self, values: Mapping[str, Value]) -> None:
        """Make the next generation with these values, the module's or its driver's."""
        own = self.module_class.parameters()
        mine = {name: value for name, value in values.items() if name in own}
        self.values = self.values | mine
        if self.driver_class is None:
            return
        known = self.driver_class.parameters()
        theirs = {name: v for name, v in values.items() if name in known}
        theirs = {name: v for name, v in theirs.items() if name not in own}
        self.driver_values = self.driver_values | theirs
