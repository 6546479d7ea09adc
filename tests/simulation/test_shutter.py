from hal.testing import FakeClock
from hal.testing.contracts import ShutterContract
from modules.simulation import SimShutter


class TestSimShutter(ShutterContract):
    def make_device(self) -> SimShutter:
        return SimShutter()


class TestSlowSimShutter(ShutterContract):
    def make_device(self) -> SimShutter:
        return SimShutter(open_s=0.04, close_s=0.03)


def slow_shutter() -> tuple[SimShutter, FakeClock]:
    shutter = SimShutter(open_s=1.0, close_s=0.5)
    shutter.clock = clock = FakeClock()
    shutter.open()
    return shutter, clock


def test_it_is_open_when_it_has_opened_and_until_it_has_closed() -> None:
    shutter, clock = slow_shutter()
    shutter._do_set_shutter(True)

    clock.advance(0.9)
    assert not shutter.is_shutter_open()
    clock.advance(0.2)
    assert shutter.is_shutter_open()

    shutter._do_set_shutter(False)
    clock.advance(0.4)
    assert shutter.is_shutter_open()
    clock.advance(0.2)
    assert not shutter.is_shutter_open()


def test_a_halt_while_it_opens_closes_it_from_where_it_is() -> None:
    shutter, clock = slow_shutter()
    shutter._do_set_shutter(True)
    clock.advance(0.5)

    shutter.halt()

    clock.advance(0.2)
    assert shutter.is_shutter_open()
    clock.advance(0.1)
    assert not shutter.is_shutter_open()


def test_a_halted_shutter_that_was_closed_stays_closed() -> None:
    shutter, _ = slow_shutter()

    shutter.halt()

    assert not shutter.is_shutter_open()
