"""For every test: nothing may be left behind, and a crash shows its stacks."""

from __future__ import annotations

import faulthandler
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import settings

from hal.base import set_log_sink
from tests.leaks import PATIENCE_S, Footprint

settings.register_profile("hal", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "hal")

if not faulthandler.is_enabled() and sys.__stderr__ is not None:
    faulthandler.enable(sys.__stderr__)


_LONG: Final = ("system", "tools", "isolation", "analysis", "scripting", "modules")
"""Folders of tests that take long: begun first, so that none of them ends alone."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files first that take long; the order within a file stays."""
    here = Path(__file__).parent

    def rank(item: pytest.Item) -> int:
        parts = item.path.relative_to(here).parts if here in item.path.parents else ()
        folder = parts[0] if parts else ""
        return _LONG.index(folder) if folder in _LONG else len(_LONG)

    items.sort(key=rank)


@pytest.fixture(autouse=True)
def leaves_nothing_behind() -> Iterator[None]:
    """Fail the test that leaves a thread, process, shared memory or open port."""
    before = Footprint.now()
    yield
    leaks = before.lasting_leaks()
    if leaks:
        pytest.fail(
            f"left behind {PATIENCE_S:.0f} s after the test:\n  " + "\n  ".join(leaks),
            pytrace=False,
        )


@pytest.fixture
def _switching_often() -> Iterator[None]:
    """Let threads interrupt each other as often as Python can."""
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before_s)


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    """Everything that is logged."""
    entries: list[Any] = []
    previous = set_log_sink(entries.append)
    yield entries
    set_log_sink(previous)
