"""A driver that could misbehave, and does not, is the driver it is made of."""

import pytest

from hal.base import StartError
from hal.devices import Camera, XYStage
from hal.isolation import find_class
from hal.testing import chaos
from hal.testing.contracts import (
    CameraContract,
    FilterWheelContract,
    FocusSensorContract,
    Isolated,
    LightSourceContract,
    ShutterContract,
    TemperatureControllerContract,
    XYStageContract,
    ZStageContract,
)
from modules.simulation import (
    SimCamera,
    SimFilterWheel,
    SimFocusQuadrant,
    SimLightSource,
    SimShutter,
    SimTemperatureController,
    SimXYStage,
    SimZStage,
)

# All calls are counted, and something could go wrong in each of them.
NEVER = chaos.Fault(module="", kind="raise", at=(10**9,))


class TestFaultyCamera(CameraContract):
    halt_within_s = 0.5
    roi_step_px = 1

    def make_device(self):
        return chaos.faulty(SimCamera, NEVER, width_px=131, height_px=64)


class TestFaultyXYStage(XYStageContract):
    def make_device(self):
        values = {"travel_um": 10_000.0, "speed_um_s": 5_000.0}
        return chaos.faulty(SimXYStage, NEVER, **values)


class TestFaultyZStage(ZStageContract):
    def make_device(self):
        values = {"travel_um": 1_000.0, "speed_um_s": 1_000.0}
        return chaos.faulty(SimZStage, NEVER, **values)


class TestFaultyLightSource(LightSourceContract):
    def make_device(self):
        return chaos.faulty(SimLightSource, NEVER, max_power_mw=50.0)


class TestFaultyShutter(ShutterContract):
    def make_device(self):
        return chaos.faulty(SimShutter, NEVER)


class TestIsolatedFaultyShutter(Isolated, TestFaultyShutter):
    pass


class TestFaultyFilterWheel(FilterWheelContract):
    def make_device(self):
        return chaos.faulty(SimFilterWheel, NEVER, filters="empty, 525/50, 605/70")


class TestFaultyFocusSensor(FocusSensorContract):
    def make_device(self):
        return chaos.faulty(SimFocusQuadrant, NEVER)


class TestFaultyTemperatureController(TemperatureControllerContract):
    def make_device(self):
        return chaos.faulty(SimTemperatureController, NEVER)


@pytest.mark.parametrize(("real", "kind"), [(SimCamera, Camera), (SimXYStage, XYStage)])
def test_it_has_the_kind_the_name_and_the_parameters_of_what_it_is_made_of(real, kind):
    made = chaos.faulty_class(real)

    assert issubclass(made, real)
    assert issubclass(made, kind)
    assert made.__name__ == real.__name__
    assert made.parameters() == real.parameters()
    assert made().specs() == real().specs()
    assert made().identity == real().identity
    assert made.__doc__ == real.__doc__


def test_another_process_finds_it_by_its_path():
    made = chaos.faulty_class(SimCamera)

    assert find_class(f"{made.__module__}:{made.__qualname__}") is made
    assert chaos.faulty_class(made) is made


def test_a_class_that_nobody_finds_cannot_misbehave():
    class Local(SimCamera):
        pass

    with pytest.raises(StartError, match="Local cannot misbehave"):
        chaos.faulty_class(Local)
