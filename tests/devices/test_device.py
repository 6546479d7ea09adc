from collections.abc import Mapping

import pytest

from hal.base import DeviceError, Float, Halted, LinkError, Value
from hal.devices import Device


class Gain(Device):
    """Keeps what was asked of it, and refuses on demand."""

    gain = Float(1.0, low=0.0, high=10.0, help="Gain.")

    def __init__(self, **values: Value) -> None:
        super().__init__(**values)
        self.calls: list[str] = []
        self.refuses = False

    def safe_state(self) -> None:
        self.calls.append("safe state")
        if self.refuses:
            raise LinkError("no answer")

    def _do_open(self) -> None:
        self.calls.append("open")

    def _do_close(self) -> None:
        self.calls.append("close")

    def _do_abandon(self) -> None:
        self.calls.append("abandon")

    def _do_apply(self, changed: Mapping[str, Value]) -> Mapping[str, Value]:
        if self.refuses:
            raise DeviceError("gain refused")
        return {"gain": round(float(changed["gain"]))}


def test_open_brings_parameters_to_the_hardware_and_keeps_what_it_rounded() -> None:
    device = Gain(gain=2.4)
    assert device.gain == 2.4

    device.open()

    assert device.gain == 2.0


def test_refused_parameter_at_open_leaves_it_closed() -> None:
    device = Gain()
    device.refuses = True

    with pytest.raises(DeviceError, match="gain refused"):
        device.open()

    assert not device.is_open
    assert device.calls == ["open", "close"]


def test_refused_change_leaves_the_value() -> None:
    device = Gain(gain=3.0)
    device.open()
    device.refuses = True

    with pytest.raises(DeviceError, match="gain refused"):
        device.gain = 5.0

    assert device.gain == 3.0


def test_close_releases_the_hardware_although_the_safe_state_failed() -> None:
    device = Gain()
    device.open()
    device.refuses = True

    with pytest.raises(LinkError):
        device.close()

    assert not device.is_open
    assert device.calls == ["open", "safe state", "close"]


def test_abandon_closes_the_handle_and_ends_what_waits() -> None:
    device = Gain()
    device.open()

    device.abandon()

    assert device.calls[-1] == "abandon"
    with pytest.raises(Halted, match="Gain"):
        device._check_halt()
