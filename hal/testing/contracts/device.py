"""What every device promises, as tests."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

import pytest

from hal.base import DeviceError, ParameterError, StateError
from hal.devices import Device

D = TypeVar("D", bound=Device)


class DeviceContract(Generic[D]):
    """Tests of what all devices share; base of the contracts of all kinds."""

    halt_within_s: float = 1.0
    """How soon after `halt` a waiting call has to end."""

    def make_device(self) -> D:
        """Return a new, closed device; override."""
        raise NotImplementedError

    def operations(self, device: D) -> Mapping[str, Callable[[], object]]:
        """Return by name one harmless call of each public operation; override."""
        raise NotImplementedError

    @pytest.fixture
    def closed(self) -> Iterator[D]:
        device = self.make_device()
        yield device
        device.close()

    @pytest.fixture
    def device(self, closed: D) -> D:
        closed.open()
        return closed

    def test_opens_and_closes(self, closed: D) -> None:
        assert not closed.is_open

        closed.open()

        assert closed.is_open
        assert closed.identity

        closed.close()

        assert not closed.is_open

    def test_close_may_be_called_at_any_time(self, closed: D) -> None:
        closed.close()
        closed.open()
        closed.close()
        closed.close()

        assert not closed.is_open

    def test_opens_again_after_close(self, closed: D) -> None:
        for _ in range(3):
            closed.open()
            for operation in self.operations(closed).values():
                operation()
            closed.close()

    def test_second_open_is_refused(self, device: D) -> None:
        with pytest.raises(StateError):
            device.open()

        assert device.is_open

    def test_use_before_open_and_after_close_is_refused(self, closed: D) -> None:
        operations = self.operations(closed)

        def all_are_refused() -> None:
            for operation in operations.values():
                with pytest.raises(StateError):
                    operation()

        all_are_refused()
        closed.open()
        closed.close()
        all_are_refused()

    def test_halt_at_rest_does_no_harm(self, closed: D) -> None:
        closed.halt()
        closed.open()
        closed.halt()

        for operation in self.operations(closed).values():
            operation()

        closed.close()
        closed.halt()

    def test_safe_state_does_no_harm(self, device: D) -> None:
        device.safe_state()
        device.safe_state()

        for operation in self.operations(device).values():
            operation()

    def test_abandoned_device_can_be_closed(self, device: D) -> None:
        device.abandon()

        # Its handle is gone, so that it may complain; closed it is in any case.
        with contextlib.suppress(DeviceError):
            device.close()

        assert not device.is_open

    def test_abandon_before_open_does_no_harm(self, closed: D) -> None:
        closed.abandon()
        closed.open()

        assert closed.is_open

    def test_all_parameters_can_be_set_to_what_they_are(self, device: D) -> None:
        values = device.values()

        assert device.set_parameters(values) == values

    def test_unknown_parameter_is_refused_with_all_others(self, device: D) -> None:
        values = device.values()

        with pytest.raises(ParameterError, match="no_such_parameter"):
            device.set_parameters({**values, "no_such_parameter": 1})

        assert device.values() == values

    def test_values_out_of_range_are_refused(self, device: D) -> None:
        values = device.values()
        wrong: list[tuple[str, object]] = []
        for spec in device.specs():
            step = 1 if spec.kind == "int" else 1.0
            if spec.low is not None:
                wrong.append((spec.name, type(step)(spec.low) - step))
            if spec.high is not None:
                wrong.append((spec.name, type(step)(spec.high) + step))
            if spec.kind == "float":
                wrong += [(spec.name, math.nan), (spec.name, math.inf)]
            if spec.kind == "choice":
                wrong.append((spec.name, "no such choice"))

        for name, value in wrong:
            with pytest.raises(ParameterError, match=name):
                device.set_parameters({name: value})

        assert device.values() == values
