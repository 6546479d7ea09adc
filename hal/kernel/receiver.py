"""What the broker needs of a module."""

from __future__ import annotations

from typing import Protocol

from hal.kernel.delivery import Delivery
from hal.kernel.mailbox import Posted
from hal.kernel.message import Message


class Receiver(Protocol):
    """What the broker knows of a module."""

    @property
    def name(self) -> str:
        """Instance name, unique."""

    def handles_type(self, message_type: type[Message]) -> bool:
        """Whether it has a handler for this class or a base of it."""

    def post(self, delivery: Delivery) -> Posted:
        """Queue `delivery`; tells if it was not kept. Never blocks."""
