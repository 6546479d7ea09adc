"""The module that causes faults by order, while HAL runs."""

from __future__ import annotations

from abc import ABC, abstractmethod

from hal.kernel import Module, Request, handles
from hal.testing.chaos.fault import Fault


class Orders(ABC):
    """Where orders go.

    Runs on: any.
    """

    @abstractmethod
    def order(self, fault: Fault) -> None:
        """Have something go wrong in the next call that it is meant for.

        Raises:
            HalError: That cannot be.
        """


class CauseFault(Request, frozen=True):
    """Have the driver of a module misbehave in the next call that the fault is for.

    Completes when that is arranged; `probability`, `at` and `times` do not matter.
    """

    fault: Fault


class ChaosModule(Module):
    """Takes orders; is there only while faults are caused on purpose."""

    role = "chaos"

    @handles(CauseFault)
    def on_cause_fault(self, msg: CauseFault) -> None:
        """Pass it on to the driver, wherever that is."""
        self.context.service(Orders).order(msg.fault)
