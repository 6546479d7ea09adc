"""Waiting for hardware, in one place: polling, deadlines and halts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, Final

from hal.base import (
    Clock,
    DeviceTimeout,
    Float,
    Halted,
    LimitError,
    SystemClock,
    UnsupportedError,
)
from hal.devices.device import Device

POLL_S: Final = 0.02
"""Longest time between two questions to the hardware; a halt ends it at once."""
_FIRST_POLL_S: Final = 0.001
_SLOWER: Final = 1.5
"""Each pause is so much longer: what is quick is noticed soon, what takes its time is
not asked a thousand times."""


class WaitingDevice(Device):
    """A device that is asked again and again until it has done what it was told.

    Runs on: worker; `halt` any.

    Guarantees:
        A `halt` during an operation ends it with `Halted`, however the two race.
        A `halt` before an operation began does not touch it.
    """

    clock: Clock = SystemClock()
    """Where time comes from; tests put a `FakeClock` on the instance."""

    def halt(self) -> None:
        super().halt()
        # Once more: an operation that began, and cleared the flag, between the two
        # steps above was stopped by the second and shall know why.
        self._halt.set()

    def _begin(self) -> None:
        """Begin an operation: what was halted before is over."""
        self._require_open()
        self._halt.clear()

    def _halt_again(self) -> None:
        """Pass on a halt that may have overtaken the order just given.

        Raises:
            Halted: `halt` was called since the operation began.
        """
        if self._halt.is_set():
            self._do_halt()
            self._check_halt()

    def _poll(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Return True as soon as `done()`, False if it is not after `timeout_s`.

        Raises:
            Halted: `halt` was called since the operation began.
        """
        deadline_s = self.clock.monotonic_s() + timeout_s
        pause_s = _FIRST_POLL_S
        while True:
            is_done = done()
            # After the question, because a halted motion is an ended one too.
            self._check_halt()
            if is_done:
                return True
            left_s = deadline_s - self.clock.monotonic_s()
            if not left_s > 0.0:  # written so that NaN ends the wait as well
                return False
            self.clock.wait(self._halt, min(pause_s, left_s))
            pause_s = min(POLL_S, _SLOWER * pause_s)


class MovingDevice(WaitingDevice):
    """A device with something that moves, and takes its time.

    Runs on: worker; `halt` any.
    """

    settle_s = Float(
        0.0, unit="s", low=0.0, high=60.0, help="Pause after arrival, to calm down."
    )
    move_timeout_s = Float(
        20.0, unit="s", low=1e-3, high=3600.0, help="Longest time one move may take."
    )

    home_timeout_s: ClassVar[float] = 60.0
    """Longest time `home` may take: it goes over the whole travel."""

    # A move was started whose end nobody has waited for yet.
    _is_pending = False

    @property
    def needs_homing(self) -> bool:
        """Whether it has to find its home again after its module was lost.

        It is homed then before anybody else may move it.
        """
        return False

    def is_moving(self) -> bool:
        """Return whether it moves now.

        Raises:
            StateError: Not open.
        """
        self._require_open()
        return self._do_is_moving()

    def wait_until_idle(self, timeout_s: float) -> None:
        """Return when nothing moves any more; the settling time is not included.

        Args:
            timeout_s: How long to wait; after it the motion goes on.

        Raises:
            DeviceTimeout: Still moving.
            Halted: The move that was waited for was ended by `halt`.
            StateError: Not open.
        """
        self._require_open()
        if not self._is_pending:
            self._halt.clear()
        try:
            arrived = self._poll(self._is_idle, timeout_s)
        except Halted:
            self._is_pending = False
            raise
        if not arrived:
            raise DeviceTimeout(
                f"{type(self).__name__}: still moving after {timeout_s:g} s",
                timeout_s=timeout_s,
            )
        self._is_pending = False

    def home(self) -> None:
        """Find the place it counts from, and return when it stands there.

        It may move over all of its travel, whatever its soft limits say.

        Raises:
            UnsupportedError: It has no such place.
            DeviceTimeout: Not there within `home_timeout_s`; motion was halted.
            Halted: Ended by `halt`.
            StateError: Not open.
        """
        self._start(self._do_start_home)
        self._finish(self.home_timeout_s)

    def _start(self, start: Callable[[], None]) -> None:
        """Begin an operation and call `start`, which sets the hardware in motion."""
        self._begin()
        start()
        self._halt_again()
        self._is_pending = True

    def _finish(self, timeout_s: float | None = None) -> None:
        """Return when what `_start` began has arrived and settled.

        Args:
            timeout_s: How long that may take; `move_timeout_s` if None.

        Raises:
            DeviceTimeout: Not arrived in time; motion was halted.
            Halted: Ended by `halt`.
        """
        limit_s = self.move_timeout_s if timeout_s is None else timeout_s
        try:
            arrived = self._poll(self._is_idle, limit_s)
        finally:
            self._is_pending = False
        if not arrived:
            self._do_halt()
            raise DeviceTimeout(
                f"{type(self).__name__}: still moving after {limit_s:g} s; "
                f"motion was halted",
                timeout_s=limit_s,
            )
        self.clock.wait(self._halt, self.settle_s)
        self._check_halt()

    def _is_idle(self) -> bool:
        return not self._do_is_moving()

    def _do_start_home(self) -> None:
        """Order the way home, and return at once; for drivers of what has a home."""
        raise UnsupportedError(f"{type(self).__name__} has no home to be found")

    @abstractmethod
    def _do_is_moving(self) -> bool:
        """Ask the hardware whether it moves; return at once."""

    @abstractmethod
    def _do_halt(self) -> None:
        """Stop the motion, now; harmless when nothing moves and when not open.

        Runs on: any, also during another hook, whose locks it does not take.
        """


def check_target(axis: str, target_um: float, low_um: float, high_um: float) -> None:
    """Refuse a target outside the limits of its axis, and what is no number.

    Raises:
        LimitError: With `axis`, the target and both limits as data.
    """
    # Limits are finite, so that infinities are outside, and NaN is inside nothing.
    if low_um <= target_um <= high_um:
        return
    raise LimitError(
        f"{axis}={target_um:g} um: expected {low_um:g} to {high_um:g} um",
        axis=axis,
        target_um=target_um,
        low_um=low_um,
        high_um=high_um,
    )
