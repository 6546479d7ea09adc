"""What a stage that moves the sample sideways promises."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Final

from hal.base import DeviceError, Float, ParameterError, Value
from hal.devices._motion import MovingDevice, check_target
from hal.devices.timing import MoveTiming

_LIMITS: Final = {
    "x_low_um": "x_min_um",
    "x_high_um": "x_max_um",
    "y_low_um": "y_min_um",
    "y_high_um": "y_max_um",
}


class XYStage(MovingDevice):
    """Moves the sample in two axes, within soft limits.

    Soft limits that are not given are those of the hardware (`x_min_um` ...), which a
    driver states as class attributes or properties.

    Runs on: worker; `halt` any.
    """

    x_low_um = Float(
        -1e6, unit="um", low="x_min_um", high="x_max_um", help="Lowest x allowed."
    )
    x_high_um = Float(
        1e6, unit="um", low="x_min_um", high="x_max_um", help="Highest x allowed."
    )
    y_low_um = Float(
        -1e6, unit="um", low="y_min_um", high="y_max_um", help="Lowest y allowed."
    )
    y_high_um = Float(
        1e6, unit="um", low="y_min_um", high="y_max_um", help="Highest y allowed."
    )
    tolerance_um = Float(
        1.0, unit="um", low=0.0, high=1e4, help="Largest error of position, per axis."
    )

    x_min_um: float = -1e6
    x_max_um: float = 1e6
    y_min_um: float = -1e6
    y_max_um: float = 1e6

    def __init__(self, **values: Value) -> None:
        super().__init__(**values)
        for soft, hard in _LIMITS.items():
            if soft not in values:
                self._values[soft] = getattr(self, hard)

    def position_um(self) -> tuple[float, float]:
        """Return where the stage is now: x, y in stage coordinates, micrometres.

        Raises:
            StateError: Not open.
        """
        self._require_open()
        return self._do_position()

    def start_move(self, x_um: float, y_um: float) -> None:
        """Begin to move to an absolute position and return at once.

        `wait_until_idle` tells when it has ended.

        Args:
            x_um: Target in stage coordinates, micrometres.
            y_um: As `x_um`.

        Raises:
            LimitError: Target outside the limits; the stage has not moved.
            StateError: Not open.
        """
        self._require_open()
        check_target("x", x_um, self.x_low_um, self.x_high_um)
        check_target("y", y_um, self.y_low_um, self.y_high_um)
        self._start(lambda: self._do_start_move(x_um, y_um))

    def move_and_settle(self, x_um: float, y_um: float) -> None:
        """Move to an absolute position and return when it is reached.

        Polls every 20 ms; `halt` from any thread ends it with `Halted`.

        Args:
            x_um: Target in stage coordinates, micrometres.
            y_um: As `x_um`.

        Raises:
            LimitError: Target outside the limits; the stage has not moved.
            DeviceTimeout: Not arrived within `move_timeout_s`; motion was halted.
            DeviceError: It came to rest further than `tolerance_um` from the target.
            StateError: Not open.
        """
        self.start_move(x_um, y_um)
        self._finish()
        at_x_um, at_y_um = self._do_position()
        errors_um = (abs(at_x_um - x_um), abs(at_y_um - y_um))
        if not all(error_um <= self.tolerance_um for error_um in errors_um):
            raise DeviceError(
                f"{type(self).__name__}: stopped at ({at_x_um:g}, {at_y_um:g}) um, "
                f"expected ({x_um:g}, {y_um:g}) within {self.tolerance_um:g} um",
                x_um=at_x_um,
                y_um=at_y_um,
            )

    def move_by(self, dx_um: float, dy_um: float) -> None:
        """Move relative to where the stage is now; as `move_and_settle`."""
        x_um, y_um = self.position_um()
        self.move_and_settle(x_um + dx_um, y_um + dy_um)

    def move_timing(self) -> MoveTiming | None:
        """Return how long moves take, as data; None where the driver cannot tell.

        Needs no open device. A driver that says so has `times_are_exact`.
        """
        return None

    def time_to_move_s(
        self, start_um: tuple[float, float], end_um: tuple[float, float]
    ) -> float:
        """Return how long `move_and_settle` takes, from one place to another.

        Up to 20 ms more go by until the arrival is noticed. See `times_are_exact`.

        Args:
            start_um: x, y where the move begins, at rest.
            end_um: x, y of its target.
        """
        timing = self.move_timing()
        if timing is None:
            return self.move_timeout_s + self.settle_s
        (x0_um, y0_um), (x1_um, y1_um) = start_um, end_um
        return timing.time_s(x1_um - x0_um, y1_um - y0_um)

    def check_together(self, values: Mapping[str, Value]) -> None:
        for axis in ("x", "y"):
            low_um, high_um = values[f"{axis}_low_um"], values[f"{axis}_high_um"]
            if float(low_um) > float(high_um):
                raise ParameterError(
                    f"{axis}_low_um={low_um} is above {axis}_high_um={high_um}"
                )

    @abstractmethod
    def _do_start_move(self, x_um: float, y_um: float) -> None:
        """Order the move; the target is within the limits; return at once."""

    @abstractmethod
    def _do_position(self) -> tuple[float, float]:
        """Ask the hardware where it is: x, y in micrometres."""
