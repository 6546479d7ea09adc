"""What filter wheels promise, as tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from hal.base import LimitError, SystemClock
from hal.devices import FilterWheel
from hal.testing.contracts._halting import halt_during
from hal.testing.contracts.device import DeviceContract


class FilterWheelContract(DeviceContract[FilterWheel]):
    """Tests of a filter wheel of two filters or more."""

    wait_s: float = 60.0
    """Longest time a move may take."""
    halt_after_s: float = 0.1
    """How long a move goes on before a test halts it."""

    def operations(self, device: FilterWheel) -> Mapping[str, Callable[[], object]]:
        return {
            "slot": device.slot,
            "is_moving": device.is_moving,
            "wait_until_idle": lambda: device.wait_until_idle(self.wait_s),
            "move_to": lambda: device.move_to(1),
        }

    def test_has_filters_with_different_names(self, device: FilterWheel) -> None:
        assert len(device.names) >= 2
        assert len(set(device.names)) == len(device.names)

    def test_moves_to_every_slot_by_number(self, device: FilterWheel) -> None:
        for slot in (*range(1, len(device.names) + 1), 1):
            device.move_to(slot)
            assert device.slot() == slot
            assert not device.is_moving()

    def test_moves_to_every_filter_by_name(self, device: FilterWheel) -> None:
        for slot, name in enumerate(device.names, start=1):
            device.move_to(name)
            assert device.slot() == slot

    def test_slot_that_is_not_there_leaves_it_unmoved(
        self, device: FilterWheel
    ) -> None:
        device.move_to(2)

        for slot in (0, -1, len(device.names) + 1):
            with pytest.raises(LimitError, match=f"1 to {len(device.names)}"):
                device.move_to(slot)

            assert device.slot() == 2

    def test_unknown_filter_is_refused_with_the_names(
        self, device: FilterWheel
    ) -> None:
        device.move_to(2)

        with pytest.raises(LimitError) as refused:
            device.move_to(device.names[0] + "x")

        assert all(name in str(refused.value) for name in device.names)
        assert device.slot() == 2

    def test_halt_from_another_thread_ends_a_move(self, device: FilterWheel) -> None:
        device.move_to(1)
        # However fast it moves, the settling time can be halted.
        settle_s = device.settle_s
        device.set_parameters({"settle_s": 60.0})

        halt_during(
            device,
            lambda: device.move_to(len(device.names)),
            after_s=self.halt_after_s,
            within_s=self.halt_within_s,
        )

        device.set_parameters({"settle_s": settle_s})
        device.wait_until_idle(self.halt_within_s)
        device.move_to(2)
        assert device.slot() == 2

    def test_halt_before_a_move_does_not_end_it(self, device: FilterWheel) -> None:
        device.halt()

        device.move_to(2)

        assert device.slot() == 2

    def test_tells_how_long_a_move_takes(self, device: FilterWheel) -> None:
        device.move_to(1)
        clock = SystemClock()
        begun_s = clock.monotonic_s()

        device.move_to(2)

        took_s = clock.monotonic_s() - begun_s
        said_s = device.time_to_move_s(1, device.names[1])
        assert 0.0 <= said_s <= device.move_timeout_s + device.settle_s
        assert took_s >= said_s or not device.times_are_exact
        with pytest.raises(LimitError):
            device.time_to_move_s(1, 0)
