"""Small microscopes for scripts, and Ctrl-C that comes when a test wants it."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import hal
from hal.scripting import Scope, session
from hal.testing import wait_until

collect_ignore: list[str] = []
if sys.platform == "win32":
    # A process there cannot be sent what Ctrl-C sends.
    collect_ignore += ["test_interrupt.py"]
PATIENCE_S = 20.0
CONFIG = """<hal name="{name}" directory="{folder}">
  <module name="camera1" class="cameras.camera">
    <driver class="simulation.camera" width_px="32" height_px="16" exposure_s="0.002"/>
  </module>
  <module name="stage" class="stages.xy_stage">
    <driver class="simulation.xy_stage" travel_um="100000"/>
  </module>
  <module name="recorder" class="recorder.recorder" isolation="{recorder}"/>
</hal>
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A camera and a stage."""
    path = tmp_path / "small.xml"
    write(path, tmp_path / "films")
    return path


def write(path: Path, films: Path, *, recorder: str = "none") -> None:
    """Write the file of a microscope; a recorder in this process is there sooner."""
    text = CONFIG.format(name=path.stem, folder=films, recorder=recorder)
    path.write_text(text, "utf-8")


@pytest.fixture(autouse=True)
def _no_second_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare each test the start of a sentinel; scripts in processes have theirs."""
    monkeypatch.setattr(session, "_SAFEGUARDS", None)


@pytest.fixture
def scope(config: Path) -> Iterator[Scope]:
    """A running microscope."""
    with hal.open(config) as opened:
        yield opened


@pytest.fixture
def interrupted() -> Iterator[Callable[..., None]]:
    """Make a call that Ctrl-C ends, which comes as soon as a condition holds."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def make(call: Callable[[], Any], *, when: Callable[[], Any]) -> None:
        begun: list[bool] = []

        def interrupt() -> None:
            wait_until(lambda: begun and when(), PATIENCE_S)
            signal.raise_signal(signal.SIGINT)

        thread = threading.Thread(target=interrupt, daemon=True)
        thread.start()
        try:
            begun.append(True)
            call()
        except KeyboardInterrupt:
            return
        finally:
            thread.join(PATIENCE_S)
        pytest.fail("no KeyboardInterrupt")

    yield make
    signal.signal(signal.SIGINT, before)
