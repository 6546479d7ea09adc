import pytest

from hal.base import ParameterError
from hal.testing import FakeClock
from hal.testing.contracts import ZStageContract
from modules.simulation import SimZStage


class TestSimZStage(ZStageContract):
    halt_within_s = 0.5

    def make_device(self) -> SimZStage:
        return SimZStage(travel_um=1_000.0, speed_um_s=500.0)


def test_moves_at_its_speed_and_halts_where_it_is() -> None:
    clock = FakeClock()
    stage = SimZStage(travel_um=100.0, speed_um_s=10.0)
    stage.clock = clock
    stage.open()
    stage.start_move(-20.0)

    clock.advance(1.0)
    assert stage.position_um() == pytest.approx(-10.0)

    stage.halt()
    clock.advance(10.0)
    assert stage.position_um() == pytest.approx(-10.0)


def test_soft_limits_are_those_of_its_travel() -> None:
    stage = SimZStage(travel_um=100.0)

    assert (stage.z_low_um, stage.z_high_um) == (-50.0, 50.0)
    with pytest.raises(ParameterError, match="-50 to 50 um"):
        stage.set_parameters({"z_high_um": 51.0})
    with pytest.raises(ParameterError, match="travel_um is fixed"):
        stage.set_parameters({"travel_um": 50.0})
