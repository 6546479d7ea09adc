"""Files written for one test, and a user's package beside HAL."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest

PLUGINS = Path(__file__).parent / "plugins"


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the user's package `lab_parts`, importable by its dotted path."""
    monkeypatch.syspath_prepend(str(PLUGINS))
    return importlib.import_module("lab_parts")


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Return a function that writes a file and returns its path."""

    def write_file(content: str | bytes, name: str = "scope.xml") -> Path:
        path = tmp_path / name
        data = content.encode() if isinstance(content, str) else content
        path.write_bytes(data)
        return path

    return write_file


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, str]]:
    """Return the entry points that exist for this test: group -> name -> value."""
    points: dict[str, dict[str, str]] = {
        group: {} for group in ("hal.modules", "hal.drivers", "hal.worlds")
    }

    def entry_points(*, group: str) -> list[metadata.EntryPoint]:
        return [
            metadata.EntryPoint(name, value, group)
            for name, values in points[group].items()
            for value in values.split("|")
        ]

    monkeypatch.setattr(metadata, "entry_points", entry_points)
    return points
