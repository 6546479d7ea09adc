"""The kernel's tests run twice: directly, and with everything sent through bytes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hal.kernel import System
from hal.transport import Loopback
from tests.kernel.bench import Records

DIRECT_ENOUGH = {
    "test_device_restarts",
    "test_dispatch",
    "test_fault_matrix",
    "test_generations",
    "test_lifecycle",
    "test_supervisor",
    "test_watchdog",
}
"""Long, and about ends and threads more than messages: through bytes on demand."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "loopback" in item.name and item.path.stem in DIRECT_ENOUGH:
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def log_folder(tmp_path: Path) -> Path:
    return tmp_path / "logs"


@pytest.fixture(params=["direct", "loopback"])
def system(request: pytest.FixtureRequest, log_folder: Path) -> Iterator[System]:
    carrier = Loopback() if request.param == "loopback" else None
    system = System(log_folder=log_folder, carrier=carrier)
    system.run_kernel()
    yield system
    system.stop()
    anything_was_sent = system.ids.next().counter > 1
    if carrier is not None and anything_was_sent:
        assert carrier.carried > 0, "nothing went through the transport"


@pytest.fixture
def gate(system: System) -> Iterator[threading.Event]:
    """What hung calls wait for; opened before the system is stopped."""
    gate = threading.Event()
    yield gate
    gate.set()


@pytest.fixture
def records(system: System) -> Records:
    """Every trace record, shortly after it was made."""
    records: Records = []
    system.trace.listen(records.append)
    return records
