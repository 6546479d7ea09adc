import pytest

from hal.testing import FakeClock
from hal.testing.contracts import FilterWheelContract
from modules.simulation import SimFilterWheel


class TestSimFilterWheel(FilterWheelContract):
    halt_within_s = 0.5

    def make_device(self) -> SimFilterWheel:
        return SimFilterWheel(filters="DAPI, GFP, Cy5", slot_time_s=0.02)


@pytest.mark.parametrize(("after_s", "slot"), [(0.4, 1), (0.6, 2), (1.0, 2), (2.0, 3)])
def test_halt_leaves_it_where_it_is(after_s: float, slot: int) -> None:
    clock = FakeClock()
    wheel = SimFilterWheel(filters="DAPI,GFP,Cy5", slot_time_s=1.0)
    wheel.clock = clock
    wheel.open()
    wheel._do_start_move(3)
    clock.advance(after_s)

    wheel.halt()

    clock.advance(10.0)
    assert not wheel.is_moving()
    assert wheel.slot() == slot
