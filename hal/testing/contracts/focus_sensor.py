"""What focus sensors promise, as tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import pytest

from hal.base import ParameterError
from hal.devices import FocusSensor
from hal.testing.contracts.device import DeviceContract


class FocusSensorContract(DeviceContract[FocusSensor]):
    """Tests of a focus sensor; it has to see light while they run."""

    offsets_um: tuple[float, ...] = ()
    """Offsets that `put` can bring about, all within range; none by default."""
    tolerance_um: float = 0.1
    """Largest error of an offset that `put` has brought about."""

    def put(self, device: FocusSensor, offset_um: float) -> None:
        """Bring the focus `offset_um` above where it should be; override."""
        raise NotImplementedError

    def operations(self, device: FocusSensor) -> Mapping[str, Callable[[], object]]:
        return {"read": device.read}

    def test_says_how_it_measures(self, closed: FocusSensor) -> None:
        assert closed.principle

    def test_reads_plain_numbers(self, device: FocusSensor) -> None:
        for _ in range(5):
            signal = device.read()

            assert signal.signal_sum >= 0.0
            assert math.isfinite(signal.signal_sum)
            assert signal.offset_um is None or math.isfinite(signal.offset_um)

    def test_offset_is_what_it_is(self, device: FocusSensor) -> None:
        for offset_um in self.offsets_um:
            self.put(device, offset_um)

            signal = device.read()

            assert signal.is_good
            assert signal.offset_um == pytest.approx(offset_um, abs=self.tolerance_um)

    def test_too_little_light_is_not_good(self, device: FocusSensor) -> None:
        device.set_parameters({"min_sum": device.read().signal_sum * 100 + 1.0})

        assert not device.read().is_good

    def test_too_large_an_offset_is_not_good(self, device: FocusSensor) -> None:
        for offset_um in self.offsets_um:
            self.put(device, offset_um)
            range_um = max(abs(offset_um) / 2, 1e-3)
            device.set_parameters({"range_um": range_um})
            signal = device.read()

            beyond = signal.offset_um is None or abs(signal.offset_um) > range_um
            assert signal.is_good != beyond

    def test_range_is_above_nothing(self, device: FocusSensor) -> None:
        with pytest.raises(ParameterError, match="range_um"):
            device.set_parameters({"range_um": 0.0})

    def test_tells_how_long_a_reading_takes(self, closed: FocusSensor) -> None:
        assert 0.0 <= closed.time_to_read_s() <= closed.read_timeout_s

    def test_halt_before_a_reading_does_not_end_it(self, device: FocusSensor) -> None:
        device.halt()

        device.read()
