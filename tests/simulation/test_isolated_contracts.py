"""Every simulated driver keeps its promises in a process of its own."""

from hal.testing.contracts import Isolated
from tests.simulation import (
    test_camera,
    test_camera_in_world,
    test_filter_wheel,
    test_focus_sensors,
    test_light_source,
    test_projector,
    test_shutter,
    test_stage_faults,
    test_temperature,
    test_xy_stage,
    test_z_stage,
)


class TestIsolatedSimCamera(Isolated, test_camera.TestSimCamera):
    pass


class TestIsolatedSmallestSimCamera(Isolated, test_camera.TestSmallestSimCamera):
    pass


class TestIsolatedSimCameraInWorld(Isolated, test_camera_in_world.TestSimCameraInWorld):
    # The way to another process and back is part of it here.
    halt_within_s = 0.5


class TestIsolatedSimXYStage(Isolated, test_xy_stage.TestSimXYStage):
    pass


class TestIsolatedSimZStage(Isolated, test_z_stage.TestSimZStage):
    pass


class TestIsolatedFaultyXYStage(Isolated, test_stage_faults.TestFaultyXYStage):
    pass


class TestIsolatedFaultyZStage(Isolated, test_stage_faults.TestFaultyZStage):
    pass


class TestIsolatedSimShutter(Isolated, test_shutter.TestSimShutter):
    pass


class TestIsolatedSlowSimShutter(Isolated, test_shutter.TestSlowSimShutter):
    pass


class TestIsolatedSimLightSource(Isolated, test_light_source.TestSimLightSource):
    pass


class TestIsolatedSlowSimLightSource(
    Isolated, test_light_source.TestSlowSimLightSource
):
    pass


class TestIsolatedSimLed(Isolated, test_light_source.TestSimLed):
    pass


class TestIsolatedSimFilterWheel(Isolated, test_filter_wheel.TestSimFilterWheel):
    pass


class TestIsolatedSimFilterSwitch(Isolated, test_filter_wheel.TestSimFilterSwitch):
    pass


class TestIsolatedSimFocusQuadrant(Isolated, test_focus_sensors.TestSimFocusQuadrant):
    pass


class TestIsolatedSimFocusSpots(Isolated, test_focus_sensors.TestSimFocusSpots):
    pass


class TestIsolatedSimTemperatureSensor(
    Isolated, test_temperature.TestSimTemperatureSensor
):
    pass


class TestIsolatedSimTemperatureController(
    Isolated, test_temperature.TestSimTemperatureController
):
    pass


class TestIsolatedSimProjector(Isolated, test_projector.TestSimProjector):
    pass
