from __future__ import annotations

from pathlib import Path

from hal.config import load, resolve
from hal.devices import Device

DEMO = Path(__file__).parents[2] / "xml_configs" / "micromanager_demo.xml"


def test_every_device_of_the_demo_opens() -> None:
    drivers = []
    for built in resolve(load(DEMO)):
        assert built.driver_class is not None
        driver = built.driver_class(**built.driver_values)
        assert isinstance(driver, Device)
        drivers.append(driver)
    try:
        for driver in drivers:
            driver.open()

        assert [driver.is_open for driver in drivers] == [True] * 5
    finally:
        for driver in drivers:
            driver.close()


def test_every_device_of_the_demo_has_a_simulator() -> None:
    assert all(built.is_simulated for built in resolve(load(DEMO), simulation=True))
