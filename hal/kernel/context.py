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
from hal.kernel.uplink import Resident, Uplink
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
    uplink: Uplink | None = None
    """In a process that is only part of a system, the way to the rest of it."""
    supervisor: Supervisor = field(init=False)

    def residents(self) -> tuple[Resident, ...]:
        """Return all modules of the system, in the order of the file."""
        if self.uplink is not None:
            return self.uplink.residents
        return tuple(
            Resident(
                name,
                seat.role,
                getattr(seat.module_class, "driver_kind", None) is not None,
            )
            for name, seat in list(self.seats.items())
        )

    def names(self) -> tuple[str, ...]:
        """Return the names of all modules."""
        return tuple(module.name for module in self.residents())

    def names_of_devices(self) -> tuple[str, ...]:
        """Return the names of the modules that own a driver."""
        return tuple(m.name for m in self.residents() if m.owns_driver)

    def names_of_role(self, role: str) -> tuple[str, ...]:
        """Return the names of the modules of a role, in the order of the file."""
        return tuple(m.name for m in self.residents() if m.role == role)

    def service(self, kind: type[S]) -> S:
        """Return the application's object of class `kind`.

        Raises:
            StartError: The application provides none.
        """
        try:
            return cast(S, self.services[kind])
        except KeyError:
            raise StartError(f"this application provides no {kind.__name__}") from None
