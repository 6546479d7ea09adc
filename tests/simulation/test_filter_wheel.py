import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.testing import FakeClock
from hal.testing.contracts import FilterWheelContract
from modules.simulation import SimFilterWheel
from tests.simulation.clocks import WindingClock


class TestSimFilterWheel(FilterWheelContract):
    halt_within_s = 0.5

    def make_device(self) -> SimFilterWheel:
        return SimFilterWheel(filters="DAPI, GFP, Cy5", slot_time_s=0.02)


class TestSimFilterSwitch(FilterWheelContract):
    halt_within_s = 0.5

    def make_device(self) -> SimFilterWheel:
        return SimFilterWheel(filters="525/50, 605/70", slot_time_s=0.02)


@pytest.mark.parametrize(("after_s", "slot"), [(0.4, 1), (0.6, 2), (1.0, 2), (2.0, 3)])
def test_halt_leaves_it_where_it_is(after_s: float, slot: int) -> None:
    clock = FakeClock()
    wheel = SimFilterWheel(filters="DAPI,GFP,Cy5,Cy7,empty", slot_time_s=1.0)
    wheel.clock = clock
    wheel.open()
    wheel._do_start_move(3)
    clock.advance(after_s)

    wheel.halt()

    clock.advance(10.0)
    assert not wheel.is_moving()
    assert wheel.slot() == slot


@pytest.mark.parametrize(
    ("start", "end", "passed"),
    [(1, 3, [2, 3]), (1, 5, [6, 5]), (6, 2, [1, 2]), (2, 6, [1, 6]), (1, 4, [2, 3, 4])],
)
def test_it_turns_the_shorter_way_round(
    start: int, end: int, passed: list[int]
) -> None:
    clock = WindingClock()
    wheel = SimFilterWheel(filters="a,b,c,d,e,f", slot_time_s=1.0)
    wheel.clock = clock
    wheel.open()
    wheel.move_to(start)
    wheel._do_start_move(end)

    seen = []
    while wheel.is_moving():
        clock.advance(1.0)
        seen.append(wheel.slot())

    assert seen == passed


@given(st.integers(2, 12), st.lists(st.integers(1, 12), max_size=20))
def test_it_never_turns_more_than_half_a_turn(slots: int, moves: list[int]) -> None:
    wheel = SimFilterWheel(
        filters=",".join(f"f{n}" for n in range(slots)), slot_time_s=1.0
    )
    wheel.clock = clock = WindingClock()
    wheel.open()
    for slot in moves:
        begun_s = clock.monotonic_s()
        wheel.move_to(min(slot, slots))
        assert clock.monotonic_s() - begun_s <= slots // 2 + 0.02 + 1e-9
        assert wheel.slot() == min(slot, slots)


def test_a_halted_wheel_finds_every_slot() -> None:
    clock = WindingClock()
    wheel = SimFilterWheel(filters="a,b,c,d,e,f", slot_time_s=1.0)
    wheel.clock = clock
    wheel.open()
    wheel._do_start_move(5)
    clock.advance(0.3)
    wheel.halt()

    for slot in (6, 3, 1):
        wheel.move_to(slot)
        assert wheel.slot() == slot
