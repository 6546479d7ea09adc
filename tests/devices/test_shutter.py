import pytest

from hal.base import DeviceError, Halted
from hal.testing.contracts._halting import halt_during
from modules.simulation import SimShutter


class StuckShutter(SimShutter):
    """Does not move any more, on demand."""

    is_stuck = False

    def _do_set_shutter(self, is_open: bool) -> None:
        if not self.is_stuck:
            super()._do_set_shutter(is_open)

    def _do_halt(self) -> None:
        if not self.is_stuck:
            super()._do_halt()


@pytest.fixture
def shutter() -> StuckShutter:
    shutter = StuckShutter(switch_timeout_s=0.03)
    shutter.open()
    return shutter


def test_shutter_that_stays_closed_is_an_error(shutter: StuckShutter) -> None:
    shutter.is_stuck = True

    with pytest.raises(DeviceError, match="shutter is closed, expected open"):
        shutter.set_shutter(True)


def test_shutter_that_stays_open_is_an_error_also_in_safe_state_and_close(
    shutter: StuckShutter,
) -> None:
    shutter.set_shutter(True)
    shutter.is_stuck = True

    for shut in (
        lambda: shutter.set_shutter(False),
        shutter.safe_state,
        shutter.close,
    ):
        with pytest.raises(DeviceError, match="shutter is open, expected closed"):
            shut()

    assert not shutter.is_open


def test_halt_that_overtakes_the_order_closes_it_all_the_same(
    shutter: StuckShutter,
) -> None:
    ordered = shutter._do_set_shutter

    def halted_before(is_open: bool) -> None:
        shutter.halt()
        ordered(is_open)

    shutter._do_set_shutter = halted_before

    with pytest.raises(Halted):
        shutter.set_shutter(True)

    assert not shutter.is_shutter_open()


def test_halt_ends_a_change_that_takes_long(shutter: StuckShutter) -> None:
    shutter.set_parameters({"switch_timeout_s": 60.0})
    shutter.is_stuck = True

    halt_during(shutter, lambda: shutter.set_shutter(True), after_s=0.05, within_s=0.5)
