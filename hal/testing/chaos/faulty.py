"""Drivers that misbehave: a subclass of any driver class, made when it is asked for.

Another process finds it by its path, like any class: the name says which it is made of.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np

from hal.base import StartError, Value
from hal.devices import FrameStamp
from hal.isolation import find_class
from hal.testing.chaos.choosing import FaultChooser
from hal.testing.chaos.fault import Arrangement, Fault
from hal.testing.chaos.kinds import READ, REQUEST, calls_of
from hal.testing.chaos.troubles import Troubles

ARRANGEMENT: Final = "(chaos)"
"""The value of a driver that tells it what goes wrong; no parameter is called so."""
_DOT: Final = "/"
_made: dict[type[Any], type[Any]] = {}
_lock = threading.Lock()


class FaultyDriver:
    """Comes first among the bases of a driver that misbehaves.

    Runs on: as the driver it is made of.

    Guarantees:
        Without faults it is and does what that driver is and does.
    """

    _troubles: Troubles

    def __init__(self, **values: Value) -> None:
        arrangement = Arrangement.read(str(values.pop(ARRANGEMENT, "")))
        chooser = FaultChooser(arrangement, calls_of(type(self)))
        self.chooser = chooser
        """What was chosen so far."""
        self._troubles = Troubles(chooser)
        super().__init__(**values)


def faulty_class(driver_class: type[Any]) -> type[Any]:
    """Return a driver class that is like `driver_class`, and can misbehave.

    It is always the same one.

    Raises:
        StartError: No other process could find that class.
    """
    if issubclass(driver_class, FaultyDriver):
        return driver_class
    with _lock:
        if driver_class not in _made:
            _made[driver_class] = _make(driver_class)
        return _made[driver_class]


def _make(driver_class: type[Any]) -> type[Any]:
    path = f"{driver_class.__module__}:{driver_class.__qualname__}"
    if "<locals>" in path:
        raise StartError(
            f"{driver_class.__qualname__} cannot misbehave: expected a class of a "
            "module that can be imported"
        )
    members: dict[str, Any] = {
        "__doc__": driver_class.__doc__,
        "__module__": __name__,
        # Its usual name stays: errors, and the chance of simulators, go by it.
        "__qualname__": path.replace(".", _DOT),
    }
    for call, method in calls_of(driver_class).items():
        original = getattr(driver_class, method)
        wrap = _WRAPPERS.get(call, _calling)
        members[method] = functools.wraps(original)(wrap(call, original))
    metaclass: Any = type(driver_class)
    made: type[Any] = metaclass(
        driver_class.__name__, (FaultyDriver, driver_class), members
    )
    return made


def faulty(
    driver_class: type[Any], *faults: Fault, seed: int = 1, **values: Any
) -> Any:
    """Return a driver that misbehaves, for a test: all is counted in memory.

    Args:
        driver_class: What it is like.
        faults: What goes wrong; their module does not matter.
        seed: Of what is left to chance.
        values: Parameters of the driver.
    """
    arrangement = Arrangement(module="driver", seed=seed, faults=faults)
    return faulty_class(driver_class)(**{ARRANGEMENT: arrangement.text, **values})


def __getattr__(name: str) -> type[Any]:
    """Return the class that another process calls so."""
    if ":" not in name:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return faulty_class(find_class(name.replace(_DOT, ".")))


def _calling(call: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **named: Any) -> Any:
        go_on = partial(original, self, *args, **named)
        return self._troubles.call(self, call, go_on)

    return method


def _requesting(call: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def request(self: Any, first: int, count: int) -> None:
        go_on = partial(original, self, first, count)
        self._troubles.call(self, call, go_on, first=first)

    return request


def _reading(_call: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def read_into(
        self: Any, out: np.ndarray[Any, Any], timeout_s: float
    ) -> FrameStamp | None:
        read = partial(original, self, out)
        stamp: FrameStamp | None = self._troubles.read(self, out, timeout_s, read)
        return stamp

    return read_into


_WRAPPERS: Final = {READ: _reading, REQUEST: _requesting}
