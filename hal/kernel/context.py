"""What a module is given by the system it lives in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar, cast

from hal.base import Clock, StartError
from hal.kernel.broker import Broker
from hal.kernel.leases import Leases
from hal.kernel.timers import Timers
from hal.kernel.trace import Trace
from hal.kernel.watchdog import Watchdog

if TYPE_CHECKING:
    from hal.kernel.actor import ModuleActor

S = TypeVar("S")


@dataclass(frozen=True)
class Context:
    """The kernel's parts, and services the application provides by their type."""

    broker: Broker
    clock: Clock
    trace: Trace
    timers: Timers
    watchdog: Watchdog
    leases: Leases
    services: dict[type, object] = field(default_factory=dict)
    adopted: dict[str, ModuleActor] = field(default_factory=dict)
    """Every module that was started here, by name."""

    def names(self) -> tuple[str, ...]:
        """Return the names of all modules."""
        return tuple(self.adopted)

    def names_of_devices(self) -> tuple[str, ...]:
        """Return the names of the modules that own a driver."""
        return tuple(
            name
            for name, module in self.adopted.items()
            if getattr(module, "driver_kind", None) is not None
        )

    def names_of_role(self, role: str) -> tuple[str, ...]:
        """Return the names of the modules of a role, in the order of the file."""
        return tuple(n for n, module in self.adopted.items() if module.role == role)

    def service(self, kind: type[S]) -> S:
        """Return the application's object of class `kind`.

        Raises:
            StartError: The application provides none.
        """
        try:
            return cast(S, self.services[kind])
        except KeyError:
            raise StartError(f"this application provides no {kind.__name__}") from None
