"""What a stage or objective drive that moves along the optical axis promises."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from hal.base import DeviceError, Float, ParameterError, Value
from hal.devices._motion import MovingDevice, check_target
from hal.devices.timing import MoveTiming


class ZStage(MovingDevice):
    """Moves focus, within soft limits.

    Soft limits that are not given are those of the hardware (`z_min_um`, `z_max_um`),
    which a driver states as class attributes or properties.

    Runs on: worker; `halt` any.
    """

    z_low_um = Float(
        -1e5, unit="um", low="z_min_um", high="z_max_um", help="Lowest z allowed."
    )
    z_high_um = Float(
        1e5, unit="um", low="z_min_um", high="z_max_um", help="Highest z allowed."
    )
    tolerance_um = Float(
        0.1, unit="um", low=0.0, high=1e3, help="Largest error of position."
    )

    z_min_um: float = -1e5
    z_max_um: float = 1e5

    def __init__(self, **values: Value) -> None:
        super().__init__(**values)
        for soft, hard in (("z_low_um", "z_min_um"), ("z_high_um", "z_max_um")):
            if soft not in values:
                self._values[soft] = getattr(self, hard)

    def position_um(self) -> float:
        """Return where the drive is now, in micrometres.

        Raises:
            StateError: Not open.
        """
        self._require_open()
        return self._do_position()

    def start_move(self, z_um: float) -> None:
        """Begin to move to an absolute position and return at once.

        `wait_until_idle` tells when it has ended.

        Args:
            z_um: Target in stage coordinates, micrometres.

        Raises:
            LimitError: Target outside the limits; the drive has not moved.
            StateError: Not open.
        """
        self._require_open()
        check_target("z", z_um, self.z_low_um, self.z_high_um)
        self._start(lambda: self._do_start_move(z_um))

    def move_and_settle(self, z_um: float) -> None:
        """Move to an absolute position and return when it is reached.

        Polls every 20 ms; `halt` from any thread ends it with `Halted`.

        Args:
            z_um: Target in stage coordinates, micrometres.

        Raises:
            LimitError: Target outside the limits; the drive has not moved.
            DeviceTimeout: Not arrived within `move_timeout_s`; motion was halted.
            DeviceError: It came to rest further than `tolerance_um` from the target.
            StateError: Not open.
        """
        self.start_move(z_um)
        self._finish()
        at_um = self._do_position()
        if not abs(at_um - z_um) <= self.tolerance_um:
            raise DeviceError(
                f"{type(self).__name__}: stopped at {at_um:g} um, "
                f"expected {z_um:g} within {self.tolerance_um:g} um",
                z_um=at_um,
            )

    def move_by(self, dz_um: float) -> None:
        """Move relative to where the drive is now; as `move_and_settle`."""
        self.move_and_settle(self.position_um() + dz_um)

    def move_timing(self) -> MoveTiming | None:
        """Return how long moves take, as data; None where the driver cannot tell.

        Needs no open device. A driver that says so has `times_are_exact`.
        """
        return None

    def time_to_move_s(self, start_um: float, end_um: float) -> float:
        """Return how long `move_and_settle` takes, from one height to another.

        Up to 20 ms more go by until the arrival is noticed. See `times_are_exact`.

        Args:
            start_um: Where the move begins, at rest.
            end_um: Its target.
        """
        timing = self.move_timing()
        if timing is None:
            return self.move_timeout_s + self.settle_s
        return timing.time_s(end_um - start_um)

    def check_together(self, values: Mapping[str, Value]) -> None:
        low_um, high_um = values["z_low_um"], values["z_high_um"]
        if float(low_um) > float(high_um):
            raise ParameterError(f"z_low_um={low_um} is above z_high_um={high_um}")

    @abstractmethod
    def _do_start_move(self, z_um: float) -> None:
        """Order the move; the target is within the limits; return at once."""

    @abstractmethod
    def _do_position(self) -> float:
        """Ask the hardware where it is, in micrometres."""
