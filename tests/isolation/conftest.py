"""A kernel that can have modules in processes of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hal.isolation import Hosts
from hal.kernel import System


@pytest.fixture
def log_folder(tmp_path: Path) -> Path:
    return tmp_path / "logs"


@pytest.fixture
def system(log_folder: Path) -> Iterator[System]:
    system = System(log_folder=log_folder)
    system.provide(Hosts(system, log_folder=log_folder))
    system.run_kernel()
    yield system
    system.stop()


@pytest.fixture
def records(system: System) -> list[Any]:
    """Every trace record, shortly after it was made."""
    records: list[Any] = []
    system.trace.listen(records.append)
    return records
