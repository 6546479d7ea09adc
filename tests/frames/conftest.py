from __future__ import annotations

import pytest

from hal.frames.platform import Bell
from tests.frames.ringing import Waits


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    """Count the threads that wait at any ring."""
    waits, wait = Waits(), Bell.wait

    def counted(bell: Bell, heard: int, timeout_s: float) -> None:
        waits.change(+1)
        try:
            wait(bell, heard, timeout_s)
        finally:
            waits.change(-1)

    monkeypatch.setattr(Bell, "wait", counted)
    return waits
