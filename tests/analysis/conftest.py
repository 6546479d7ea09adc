"""Analyses run in a real system, and also with every message carried as bytes."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from hal.base import Carrier
from hal.transport import Loopback
from tests.analysis.bench import Script


@pytest.fixture(params=["direct", "loopback"])
def carrier(request: pytest.FixtureRequest) -> Carrier | None:
    return Loopback() if request.param == "loopback" else None


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What hung calls wait for; open at the end of the test at the latest."""
    gate = threading.Event()
    yield gate
    gate.set()


@pytest.fixture
def script() -> Script:
    return Script()
