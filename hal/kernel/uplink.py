"""The way out of a process that is only part of a system.

In a child process the kernel runs as everywhere else, but it routes nothing: what its
modules send goes up, and what reaches them was routed in the process that has them all.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from hal.base import ErrorRecord, SafeStateCall
from hal.kernel.delivery import Delivery


class Resident(NamedTuple):
    """A module of the whole system, as others know it."""

    name: str
    role: str
    owns_driver: bool


class Uplink(Protocol):
    """What a kernel asks of the process it belongs to.

    Runs on: any; nothing blocks.
    """

    @property
    def residents(self) -> tuple[Resident, ...]:
        """All modules of the system, in the order of the file."""

    def send(self, delivery: Delivery) -> None:
        """Have `delivery` routed there; it is told how it ended by `conclude`."""

    def waits(self, module: str, delivery: Delivery, begins: bool) -> None:
        """Say that a module can do nothing until `delivery` is back, or can again."""

    def given_up(self, module: str, error: ErrorRecord) -> None:
        """Say that a module cannot go on, while it is being made safe."""

    def cleaned_up(self, module: str) -> None:
        """Say that a module given up has been made safe, as far as that goes."""

    def second_path(self, module: str, call: SafeStateCall | None) -> None:
        """Say what makes the device of a module safe when this process no longer can.

        None while the device is not open, or if nothing can.
        """
