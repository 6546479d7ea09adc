"""What shutters promise, as tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hal.base import SystemClock
from hal.devices import Shutter
from hal.testing.contracts.device import DeviceContract


class ShutterContract(DeviceContract[Shutter]):
    """Tests of a shutter."""

    def operations(self, device: Shutter) -> Mapping[str, Callable[[], object]]:
        return {
            "set_shutter": lambda: device.set_shutter(False),
            "is_shutter_open": device.is_shutter_open,
        }

    def test_is_closed_when_opened(self, device: Shutter) -> None:
        assert not device.is_shutter_open()

    def test_opens_and_closes_the_light_path(self, device: Shutter) -> None:
        for is_open in (True, True, False, False, True):
            device.set_shutter(is_open)
            assert device.is_shutter_open() == is_open

    def test_halt_and_safe_state_close_it(self, device: Shutter) -> None:
        for end in (device.halt, device.safe_state):
            device.set_shutter(True)
            end()
            self.assert_closes(device)

    def assert_closes(self, device: Shutter) -> None:
        clock = SystemClock()
        deadline_s = clock.monotonic_s() + self.halt_within_s
        while device.is_shutter_open():
            assert clock.monotonic_s() < deadline_s

    def test_tells_how_long_a_change_takes(self, closed: Shutter) -> None:
        for is_open in (True, False):
            assert 0.0 <= closed.time_to_switch_s(is_open) <= closed.switch_timeout_s

    def test_close_leaves_it_closed(self, device: Shutter) -> None:
        device.set_shutter(True)

        device.close()
        device.open()

        assert not device.is_shutter_open()
