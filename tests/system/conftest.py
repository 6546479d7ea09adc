"""A HAL to start as users do, and folders of its own for it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.disks import usable_namespaces
from tests.system.running import Hal

collect_ignore: list[str] = []
if not usable_namespaces():
    # Only Linux has file systems that a test can mount and that vanish with it.
    collect_ignore += ["test_disks.py"]
if sys.platform == "win32":
    # Signals and pseudo terminals are not what they are elsewhere.
    collect_ignore += ["test_interrupt.py", "test_misbehaving.py", "test_terminal.py"]


@pytest.fixture
def hal(tmp_path: Path) -> Iterator[Hal]:
    starter = Hal(tmp_path)
    yield starter
    starter.kill_all()


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Where films go."""
    return tmp_path / "films"
