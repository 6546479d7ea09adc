"""What a filter wheel, turret or slider promises."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Final

from hal.base import (
    DeviceError,
    LimitError,
    ParameterError,
    Text,
    Value,
    did_you_mean,
    one_of,
)
from hal.devices._motion import MovingDevice

# Centre and width as makers write them on the rim: "525/50", "FF01-525/50".
_BAND: Final = re.compile(
    r"(?<![\d./])(\d{3,4}(?:\.\d+)?)/(\d{1,3}(?:\.\d+)?)(?![\d./])"
)


class FilterWheel(MovingDevice):
    """Puts one of several named filters into the light.

    Runs on: worker; `halt` any.
    """

    filters = Text(help="Names of the filters from slot 1 on, separated by commas.")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the filters, from slot 1 on."""
        return _names(self.filters)

    def move_to(self, slot: int | str) -> None:
        """Put a filter into the light and return when it is there.

        Polls every 20 ms; `halt` from any thread ends it with `Halted`.

        Args:
            slot: Number, counted from 1, or name of the filter. Text that is no name
                may be a number.

        Raises:
            LimitError: No such filter; the wheel has not moved.
            DeviceTimeout: Not arrived within `move_timeout_s`; motion was halted.
            DeviceError: It came to rest at another slot.
            StateError: Not open.
        """
        self._require_open()
        target = self._slot_of(slot)
        self._start(lambda: self._do_start_move(target))
        self._finish()
        at = self._do_slot()
        if at != target:
            raise DeviceError(
                f"{type(self).__name__}: stopped at slot {at}, expected {target}",
                slot=at,
            )

    def slot(self) -> int:
        """Return the slot in the light, counted from 1; while moving, the last one.

        Raises:
            StateError: Not open.
        """
        self._require_open()
        return self._do_slot()

    def time_to_move_s(self, start: int | str, end: int | str) -> float:
        """Return how long `move_to(end)` takes when `start` is in the light.

        Up to 20 ms more go by until the arrival is noticed. See `times_are_exact`.

        Args:
            start: Number, counted from 1, or name of the filter.
            end: As `start`.

        Raises:
            LimitError: No such filter.
        """
        self._slot_of(start)
        self._slot_of(end)
        return self.move_timeout_s + self.settle_s

    def pass_band_nm(self, slot: int | str) -> tuple[float, float] | None:
        """Return the lowest and highest wavelength a filter lets through.

        Known where its name says it: "525/50" passes 50 nm around 525 nm. None for
        every other name, as "empty", and for names with several bands.

        Args:
            slot: Number, counted from 1, or name of the filter.

        Raises:
            LimitError: No such filter.
        """
        return _pass_band(self.names[self._slot_of(slot) - 1])

    def check_together(self, values: Mapping[str, Value]) -> None:
        text = str(values["filters"])
        names = _names(text)
        if not all(names) or len(set(names)) != len(names):
            raise ParameterError(
                f"filters={text!r}: expected different names, separated by commas"
            )

    def _slot_of(self, wanted: int | str) -> int:
        names = self.names
        slot = find_slot(names, wanted)
        if slot is not None:
            return slot
        if isinstance(wanted, str):
            raise LimitError(
                f"unknown filter '{wanted}': expected one of "
                f"{one_of(names)}{did_you_mean(wanted, names)}",
                filter=wanted,
            )
        raise LimitError(
            f"slot {wanted}: expected 1 to {len(names)} ({', '.join(names)})",
            slot=wanted,
        )

    @abstractmethod
    def _do_start_move(self, slot: int) -> None:
        """Order the move; the slot exists; return at once."""

    @abstractmethod
    def _do_slot(self) -> int:
        """Ask which slot, counted from 1, is in the light."""


def find_slot(names: Sequence[str], wanted: int | str) -> int | None:
    """Return the slot of a filter, counted from 1; None if there is no such filter.

    Args:
        names: Of the filters, from slot 1 on.
        wanted: Name or number; text that is no name may be a number.
    """
    if wanted in names:
        return names.index(str(wanted)) + 1
    if isinstance(wanted, str):
        if not (wanted.isascii() and wanted.isdecimal()):
            return None
        wanted = int(wanted)
    is_there = isinstance(wanted, int) and 1 <= wanted <= len(names)
    return wanted if is_there else None


def _pass_band(name: str) -> tuple[float, float] | None:
    found = _BAND.findall(name)
    if len(found) != 1:
        return None
    center_nm, width_nm = (float(number) for number in found[0])
    return center_nm - width_nm / 2, center_nm + width_nm / 2


def _names(filters: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in filters.split(","))
