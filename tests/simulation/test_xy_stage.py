import pytest

from hal.base import ParameterError
from hal.testing import FakeClock
from hal.testing.contracts import XYStageContract
from modules.simulation import SimXYStage


class TestSimXYStage(XYStageContract):
    halt_within_s = 0.5

    def make_device(self) -> SimXYStage:
        return SimXYStage(travel_um=10_000.0, speed_um_s=5_000.0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def stage(clock: FakeClock) -> SimXYStage:
    stage = SimXYStage(travel_um=1000.0, speed_um_s=100.0)
    stage.clock = clock
    stage.open()
    return stage


def test_moves_straight_at_its_speed(stage: SimXYStage, clock: FakeClock) -> None:
    stage.start_move(30.0, 40.0)

    clock.advance(0.25)
    assert stage.is_moving()
    assert stage.position_um() == pytest.approx((15.0, 20.0))

    clock.advance(0.25)
    assert not stage.is_moving()
    assert stage.position_um() == (30.0, 40.0)


def test_new_target_replaces_the_old_one(stage: SimXYStage, clock: FakeClock) -> None:
    stage.start_move(100.0, 0.0)
    clock.advance(0.5)

    stage.start_move(50.0, 100.0)

    clock.advance(0.5)
    assert stage.position_um() == pytest.approx((50.0, 50.0))


def test_halt_leaves_it_where_it_is(stage: SimXYStage, clock: FakeClock) -> None:
    stage.start_move(0.0, 100.0)
    clock.advance(0.3)

    stage.halt()

    clock.advance(10.0)
    assert not stage.is_moving()
    assert stage.position_um() == pytest.approx((0.0, 30.0))


def test_keeps_its_position_while_closed(stage: SimXYStage, clock: FakeClock) -> None:
    stage.start_move(10.0, 20.0)
    clock.advance(1.0)

    stage.close()
    stage.open()

    assert stage.position_um() == (10.0, 20.0)


def test_soft_limits_are_those_of_its_travel() -> None:
    stage = SimXYStage(travel_um=1000.0)

    assert (stage.x_low_um, stage.x_high_um) == (-500.0, 500.0)
    assert (stage.y_low_um, stage.y_high_um) == (-500.0, 500.0)


def test_soft_limits_may_be_narrower_than_its_travel() -> None:
    stage = SimXYStage(travel_um=1000.0, x_high_um=20.0)

    assert (stage.x_low_um, stage.x_high_um) == (-500.0, 20.0)


def test_soft_limits_cannot_be_wider_than_its_travel() -> None:
    with pytest.raises(ParameterError, match="-500 to 500 um"):
        SimXYStage(travel_um=1000.0, y_low_um=-501.0)


def test_travel_cannot_change_later(stage: SimXYStage) -> None:
    with pytest.raises(ParameterError, match="travel_um is fixed"):
        stage.set_parameters({"travel_um": 2000.0})


def test_wrong_travel_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"travel_um=0\.0"):
        SimXYStage(travel_um=0.0)
