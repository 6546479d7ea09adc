"""R94: a projector is dark but for the time of a mask."""

from __future__ import annotations

import numpy as np
import pytest

from hal.base import DeviceError, Halted
from hal.devices import Mask, Projector
from hal.testing import FakeClock


class ScriptedProjector(Projector):
    """Does what a test prepares, and notes the orders."""

    def __init__(self) -> None:
        super().__init__()
        self.orders: list[str] = []
        self.shows_masks = True
        self.clears = True
        self.fails = False
        self._is_lit = False

    @property
    def height_px(self) -> int:
        return 2

    @property
    def width_px(self) -> int:
        return 3

    def _do_show(self, mask: Mask, duration_s: float) -> None:
        self.orders.append(f"show {mask.sum()} for {duration_s:g}")
        self._is_lit = self.shows_masks
        if self.fails:
            raise DeviceError("the lamp is out")

    def _do_clear(self) -> None:
        self.orders.append("clear")
        if self.clears:
            self._is_lit = False

    def _do_is_dark(self) -> bool:
        return not self._is_lit

    def _do_halt(self) -> None:
        self._do_clear()


class PassingClock(FakeClock):
    """Lets the time of every wait pass at once."""

    def wait(self, event: object, timeout_s: float) -> bool:
        self.advance(timeout_s)
        return False


@pytest.fixture
def projector() -> ScriptedProjector:
    projector = ScriptedProjector()
    projector.clock = PassingClock()
    projector.open()
    return projector


ALL = np.ones((2, 3), bool)


def test_a_mask_is_shown_for_its_time(projector: ScriptedProjector) -> None:
    before_s = projector.clock.monotonic_s()

    projector.project(ALL, 2.5)

    assert projector.orders == ["show 6 for 2.5", "clear"]
    assert projector.clock.monotonic_s() - before_s == pytest.approx(2.5)


def test_it_is_dark_also_when_showing_fails(projector: ScriptedProjector) -> None:
    projector.fails = True

    with pytest.raises(DeviceError, match="the lamp is out"):
        projector.project(ALL, 1.0)

    assert projector.is_dark()


def test_a_mask_that_never_shows_is_an_error(projector: ScriptedProjector) -> None:
    projector.shows_masks = False

    with pytest.raises(DeviceError, match="dark, expected a mask"):
        projector.project(ALL, 1.0)


def test_light_that_stays_is_an_error(projector: ScriptedProjector) -> None:
    projector.clears = False

    with pytest.raises(DeviceError, match="lit, expected dark"):
        projector.project(ALL, 1.0)
    with pytest.raises(DeviceError, match="lit, expected dark"):
        projector.safe_state()


def test_a_halt_while_it_is_told_to_show_ends_it(projector: ScriptedProjector) -> None:
    def halting(mask: Mask, duration_s: float) -> None:
        projector.halt()

    projector._do_show = halting  # type: ignore[method-assign]

    with pytest.raises(Halted):
        projector.project(ALL, 1.0)

    assert projector.is_dark()
