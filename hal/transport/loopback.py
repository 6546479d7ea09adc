"""A transport to the same process, to prove that only plain data travels."""

from __future__ import annotations

import itertools


class Loopback:
    """Carries every message and outcome as bytes and back, in this process.

    Runs on: any.
    """

    def __init__(self) -> None:
        self._count = itertools.count(1)
        self.carried = 0
        """How many messages and outcomes went through."""

    def carry(self, data: bytes) -> bytes:
        """Return a copy of `data`, which is all that arrives anywhere."""
        self.carried = next(self._count)
        return bytes(bytearray(data))
