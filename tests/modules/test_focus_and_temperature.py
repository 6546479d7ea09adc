"""Focus sensors and temperatures as their modules speak for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hal.base import (
    Carrier,
    DeviceError,
    DeviceTimeout,
    LimitError,
    ModuleState,
    StateError,
    UnsupportedError,
)
from hal.devices import FocusSensor
from hal.kernel import Request, StopModule
from hal.messages import (
    FocusMeasured,
    FocusReading,
    GetFocus,
    GetTemperature,
    SetParameters,
    SetTemperature,
    TemperatureMeasured,
    TemperatureState,
)
from hal.testing import Part, RunningHal, part, running_hal, wait_until
from modules.focus.focus_sensor import FocusSensorModule
from modules.simulation.focus_quadrant import SimFocusQuadrant
from modules.simulation.focus_spots import SimFocusSpots
from modules.simulation.temperature_controller import SimTemperatureController
from modules.simulation.temperature_sensor import SimTemperatureSensor
from modules.temperature.temperature import TemperatureModule


def sensor(driver: FocusSensor | None = None, **values: Any) -> Part:
    return part("qpd", FocusSensorModule, driver=driver or SimFocusQuadrant(), **values)


def heater(**values: Any) -> Part:
    driver = SimTemperatureController(**values)
    return part("heater", TemperatureModule, driver=driver)


def count(hal: RunningHal, kind: type[Any]) -> int:
    return len(hal.probe.heard(kind))


@pytest.mark.parametrize("kind", [SimFocusQuadrant, SimFocusSpots])
def test_focus_is_answered_when_asked_for(kind: Any, carrier: Carrier | None) -> None:
    with running_hal(sensor(kind(zero_um=1.0)), carrier=carrier) as hal:
        reading = hal.ask(GetFocus())
        assert isinstance(reading, FocusReading)
        assert reading.offset_um is not None
        assert -1.1 < reading.offset_um < -0.9
        assert reading.is_good

        hal.ask(SetParameters({"qpd": {"z_um": 1e4}}))
        assert hal.ask(GetFocus()) == FocusReading(None, 0.0, False)


def test_nothing_is_reported_unless_asked_for() -> None:
    with running_hal(sensor(), heater()) as hal:
        hal.ask(GetFocus())
        hal.ask(GetTemperature())

        assert count(hal, FocusMeasured) == 0
        assert count(hal, TemperatureMeasured) == 0


def test_focus_is_reported_while_asked_for(carrier: Carrier | None) -> None:
    with running_hal(sensor(report_every_s=0.01), carrier=carrier) as hal:
        wait_until(lambda: count(hal, FocusMeasured) >= 3)
        assert hal.probe.heard(FocusMeasured)[0] == FocusMeasured(
            "qpd", 0.0, 1000.0, True
        )

        hal.ask(SetParameters({"qpd": {"report_every_s": 0.0}}))
        before = count(hal, FocusMeasured)
        for _ in range(5):
            hal.ask(GetFocus())
        assert count(hal, FocusMeasured) == before

        hal.ask(SetParameters({"qpd": {"report_every_s": 0.01}}))
        wait_until(lambda: count(hal, FocusMeasured) > before)


def test_temperature_is_reported_while_asked_for(carrier: Carrier | None) -> None:
    room = part(
        "room", TemperatureModule, driver=SimTemperatureSensor(), report_every_s=0.01
    )
    with running_hal(room, carrier=carrier) as hal:
        heard = hal.probe.wait_for(TemperatureMeasured)
        assert heard == TemperatureMeasured("room", 22.0, None, False)

        hal.ask(SetParameters({"room": {"report_every_s": 0.0}}))
        before = count(hal, TemperatureMeasured)
        for _ in range(5):
            hal.ask(GetTemperature())
        assert count(hal, TemperatureMeasured) == before


class Flaky(SimFocusQuadrant):
    """Fails when the test says so."""

    fails = False

    def _do_read(self, timeout_s: float) -> tuple[float | None, float] | None:
        if self.fails:
            raise DeviceError("no light path")
        return super()._do_read(timeout_s)


class FlakyThermometer(SimTemperatureSensor):
    """Fails when the test says so."""

    fails = False

    def _do_temperature(self) -> float:
        if self.fails:
            raise DeviceError("cable broken")
        return super()._do_temperature()


REPORTING: list[tuple[Any, Callable[[Any], Part], type[Any]]] = [
    (
        Flaky,
        lambda driver: part(
            "qpd", FocusSensorModule, driver=driver, report_every_s=0.01
        ),
        FocusMeasured,
    ),
    (
        FlakyThermometer,
        lambda driver: part(
            "room", TemperatureModule, driver=driver, report_every_s=0.01
        ),
        TemperatureMeasured,
    ),
]


@pytest.mark.parametrize(("kind", "make", "event"), REPORTING)
def test_reports_go_on_after_a_reading_that_failed(
    kind: Any,
    make: Callable[[Any], Part],
    event: type[Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("hal.kernel.reporting_module.REPORT_RETRY_S", 0.02)
    driver = kind()
    with running_hal(make(driver)) as hal:
        hal.probe.wait_for(event)
        driver.fails = True
        told = ""

        def is_told() -> bool:
            nonlocal told
            told += capsys.readouterr().err
            return "no light path" in told or "cable broken" in told

        wait_until(is_told)
        driver.fails = False
        before = count(hal, event)
        wait_until(lambda: count(hal, event) > before)


def test_a_reading_that_takes_too_long_is_an_error() -> None:
    slow = SimFocusQuadrant(integration_s=5.0, read_timeout_s=0.05)
    with running_hal(sensor(slow)) as hal:
        with pytest.raises(DeviceTimeout, match=r"no reading in 0\.05 s"):
            hal.ask(GetFocus())

        module = hal.module("qpd", FocusSensorModule)
        assert module.state is ModuleState.STARTED


def test_a_reading_may_take_longer_than_the_deadline_of_its_module() -> None:
    slow = SimFocusQuadrant(integration_s=0.4)
    with running_hal(sensor(slow)._replace(deadline_s=0.2)) as hal:
        assert hal.ask(GetFocus()) == FocusReading(0.0, 1000.0, True)


def test_a_temperature_is_held_and_let_go(carrier: Carrier | None) -> None:
    with running_hal(heater(time_constant_s=0.0), carrier=carrier) as hal:
        assert hal.ask(GetTemperature()) == TemperatureState(22.0, None, False)
        assert hal.ask(SetTemperature(37.0)) == TemperatureState(37.0, 37.0, True)
        assert hal.ask(SetTemperature(None)) == TemperatureState(22.0, None, False)


def test_setting_a_temperature_does_not_wait_for_it() -> None:
    with running_hal(heater(time_constant_s=1e6)) as hal:
        state = hal.ask(SetTemperature(37.0))

        assert isinstance(state, TemperatureState)
        assert state.target_c == 37.0
        assert state.temperature_c < 23.0
        assert not state.is_reached


def test_a_target_outside_the_limits_is_refused() -> None:
    with running_hal(heater()) as hal:
        with pytest.raises(LimitError, match="expected 4 to 45 C"):
            hal.ask(SetTemperature(60.0))

        state = hal.ask(GetTemperature())
        assert isinstance(state, TemperatureState)
        assert state.target_c is None


def test_a_thermometer_holds_no_temperature() -> None:
    room = part("room", TemperatureModule, driver=SimTemperatureSensor())
    with running_hal(room) as hal:
        assert hal.ask(GetTemperature()) == TemperatureState(22.0)
        with pytest.raises(UnsupportedError, match="room measures, but cannot hold"):
            hal.ask(SetTemperature(37.0))


def test_heating_is_off_when_hal_has_stopped() -> None:
    driver = SimTemperatureController()
    with running_hal(part("heater", TemperatureModule, driver=driver)) as hal:
        hal.ask(SetTemperature(37.0))

    assert driver._do_target() is None
    assert not driver.is_open


class Unplugged:
    """Does not answer."""

    def _do_open(self) -> None:
        raise DeviceError("no answer on COM3")


@pytest.mark.parametrize(
    ("module_class", "driver_class", "message"),
    [
        (FocusSensorModule, SimFocusQuadrant, GetFocus()),
        (TemperatureModule, SimTemperatureController, GetTemperature()),
        (TemperatureModule, SimTemperatureController, SetTemperature(30.0)),
    ],
)
def test_a_degraded_device_refuses_work_with_the_reason(
    module_class: Any, driver_class: Any, message: Request
) -> None:
    driver = type("Unplugged", (Unplugged, driver_class), {})()
    with (
        running_hal(part("device", module_class, driver=driver)) as hal,
        pytest.raises(StateError, match="device is degraded: no answer on COM3"),
    ):
        hal.ask(message)


@pytest.mark.parametrize(("kind", "make", "event"), REPORTING)
def test_reports_begin_when_they_are_asked_for(
    kind: Any, make: Callable[[Any], Part], event: type[Any]
) -> None:
    quiet = make(kind())
    arguments = {**quiet.arguments, "report_every_s": 0.0}
    with running_hal(quiet._replace(arguments=arguments)) as hal:
        assert count(hal, event) == 0

        hal.ask(SetParameters({quiet.name: {"report_every_s": 0.01}}))

        hal.probe.wait_for(event)


def test_a_stop_ends_the_reports_also_in_the_middle_of_a_reading(
    capsys: pytest.CaptureFixture[str],
) -> None:
    slow = SimFocusQuadrant(integration_s=30.0, read_timeout_s=60.0)
    with running_hal(sensor(slow, report_every_s=0.01)) as hal:
        module = hal.module("qpd", FocusSensorModule)
        wait_until(lambda: "get focus" in module.busy_with)

        hal.ask(StopModule(), to="qpd")

        wait_until(lambda: module.state is ModuleState.STOPPED)
        assert module._report_timer is None

    assert "message failed" not in capsys.readouterr().err


def test_a_stopped_module_reports_no_more() -> None:
    room = part(
        "room", TemperatureModule, driver=SimTemperatureSensor(), report_every_s=0.01
    )
    with running_hal(room) as hal:
        hal.probe.wait_for(TemperatureMeasured)
        module = hal.module("room", TemperatureModule)

        hal.ask(StopModule(), to="room")

        assert module._report_timer is None
