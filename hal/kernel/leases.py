"""Who may use which module: a run holds what it uses, and others are told so."""

from __future__ import annotations

import enum
import threading

import msgspec

from hal.base import Leased
from hal.kernel.delivery import Delivery
from hal.kernel.message import Access


class SystemMode(enum.StrEnum):
    """What the microscope as a whole is doing; enforced here, not in any window."""

    IDLE = "idle"
    LIVE = "live"
    ACQUIRING = "acquiring"
    ABORTING = "aborting"


class Lease(msgspec.Struct, frozen=True):
    """A claim on modules."""

    holder: str
    """The principal it belongs to."""
    run_id: str
    modules: tuple[str, ...]
    keeper: str
    """The module that conducts the run: if it dies, the lease is lost."""


class Leases:
    """The leases of one system, and its mode.

    Runs on: any.

    Guarantees:
        A module is leased once at a time; all modules of a lease, or none.
        What a holder's own run sends passes; everybody else is refused by name.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._leases: dict[str, Lease] = {}
        self._mode = SystemMode.IDLE

    @property
    def mode(self) -> SystemMode:
        """The present mode."""
        return self._mode

    @property
    def runs(self) -> tuple[str, ...]:
        """The runs that hold modules."""
        with self._lock:
            return tuple({lease.run_id: True for lease in self._leases.values()})

    def set_mode(self, mode: SystemMode) -> bool:
        """Change the mode; return whether it was another one before."""
        with self._lock:
            changed, self._mode = mode is not self._mode, mode
        return changed

    def take(
        self, holder: str, run_id: str, modules: tuple[str, ...], *, keeper: str
    ) -> Lease:
        """Claim modules for a run that module `keeper` conducts.

        Raises:
            Leased: One of them is; names its holder and run.
        """
        lease = Lease(holder, run_id, modules, keeper)
        with self._lock:
            for name in modules:
                other = self._leases.get(name)
                if other is not None and other.run_id != run_id:
                    raise refusal(name, other)
            self._leases |= dict.fromkeys(modules, lease)
        return lease

    def release(self, run_id: str) -> tuple[str, ...]:
        """Free what a run holds; return the modules, none if it held nothing."""
        with self._lock:
            freed = tuple(
                n for n, held in self._leases.items() if held.run_id == run_id
            )
            for name in freed:
                del self._leases[name]
        return freed

    def release_kept_by(self, keeper: str) -> tuple[Lease, ...]:
        """End the leases of runs whose module died; return them."""
        with self._lock:
            lost = {held.run_id: held for held in self._leases.values()}
        ended = tuple(lease for lease in lost.values() if lease.keeper == keeper)
        for lease in ended:
            self.release(lease.run_id)
        return ended

    def check(self, module: str, delivery: Delivery) -> None:
        """Raise `Leased` if a run holds `module` and `delivery` may not disturb it."""
        lease = self._leases.get(module)
        if lease is None or delivery.run_id == lease.run_id:
            return
        access = delivery.message.access
        if access is Access.ANYBODY:
            return
        if access is Access.HOLDER and delivery.on_behalf_of == lease.holder:
            return
        raise refusal(module, lease)


def refusal(module: str, lease: Lease) -> Leased:
    """Return the error that says who holds `module`."""
    return Leased(
        f"{module} is in use by run {lease.run_id} of {lease.holder}",
        module=module,
        holder=lease.holder,
        run_id=lease.run_id,
    )
