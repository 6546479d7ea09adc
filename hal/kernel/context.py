"""What a module is given by the system it lives in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar, cast

from hal.base import Clock, StartError, Threads
from hal.kernel.broker import Broker
from hal.kernel.dispatch import Pool
from hal.kernel.leases import Leases
from hal.kernel.seat import Seat
from hal.kernel.timers import Timers
from hal.kernel.trace import Trace
from hal.kernel.watchdog import Watchdog

if TYPE_CHECKING:
    from hal.kernel.supervisor import Supervisor

S = TypeVar("S")


@dataclass
class Context:
    """The kernel's parts, and services the application provides by their type."""

    broker: Broker
    clock: Clock
    threads: Threads
    trace: Trace
    timers: Timers
    watchdog: Watchdog
    leases: Leases
    pool: Pool
    services: dict[type, object] = field(default_factory=dict)
    seats: dict[str, Seat] = field(default_factory=dict)
    """The place of every module, by name."""
    supervisor: Supervisor = field(init=False)

    def names(self) -> tuple[str, ...]:
        """Return the names of all modules."""
        return tuple(self.seats)

    def names_of_devices(self) -> tuple[str, ...]:
        """Return the names of the modules that own a driver."""
        return tuple(
            name
            for name, seat in self.seats.items()
            if getattr(seat.module_class, "driver_kind", None) is not None
        )

    def names_of_role(self, role: str) -> tuple[str, ...]:
        """Return the names of the modules of a role, in the order of the file."""
        return tuple(n for n, seat in self.seats.items() if seat.role == role)

    def service(self, kind: type[S]) -> S:
        """Return the application's object of class `kind`.

        Raises:
            StartError: The application provides none.
        """
        try:
            return cast(S, self.services[kind])
        except KeyError:
            raise StartError(f"this application provides no {kind.__name__}") from None
