"""How the kernel reaches a transport without knowing which one it is."""

from __future__ import annotations

from typing import Protocol


class Carrier(Protocol):
    """Takes bytes that one side packed to the side that unpacks them.

    Runs on: any.
    """

    def carry(self, data: bytes) -> bytes:
        """Return `data` as it arrives at the other end."""
