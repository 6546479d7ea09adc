"""What every driver promises, whatever kind of instrument it speaks for."""

from __future__ import annotations

import threading
from abc import ABC
from collections.abc import Mapping
from typing import ClassVar

from hal.base import Halted, Parametrized, SafeStateCall, StateError, Value


class Device(Parametrized, ABC):
    """A driver: a plain class without threads or messages.

    The constructor only stores parameters. `open` connects; after `close` it may be
    opened again. A maker's driver fills in the `_do_...` hooks; each is short, so that
    `halt` gets in between them.

    Runs on: worker. `halt` and `abandon` run on any thread, also during another call,
    and take no lock that another call holds.
    """

    simulated_by: ClassVar[str] = ""
    """Short name of the driver that replaces this one under `--simulation`."""
    is_simulated: ClassVar[bool] = False
    """Whether it only pretends; stamped into every file recorded with it."""
    needs: ClassVar[tuple[str, ...]] = ()
    """Python packages (as imported) it cannot work without."""
    isolation: ClassVar[str] = "none"
    """Where its module lives if the configuration does not say: `none` in HAL's own
    process, `process` in one of its own, `process:NAME` in one that all drivers share
    that name it. For what may crash, leak or hang: vendors' libraries."""
    times_are_exact: ClassVar[bool] = False
    """Whether its `time_to_...` methods say how long it takes; otherwise they say the
    longest it may take before it counts as failed. Neither needs an open device."""

    def __init__(self, **values: Value) -> None:
        super().__init__(**values)
        self._open = False
        # Set by `halt` from any thread, polled by whatever waits for the hardware.
        self._halt = threading.Event()

    @classmethod
    def shared_handle(cls, values: Mapping[str, Value]) -> str:
        """Return what it shares with others of its `process:NAME`; empty for nothing.

        Drivers that answer the same live in one process, wherever that is: two of them
        would both want the same instruments. So one that has to stay keeps all of them.

        Args:
            values: Its parameters, as far as they differ from their defaults.
        """
        return ""

    @property
    def is_open(self) -> bool:
        """Whether `open` has succeeded and `close` was not called since."""
        return self._open

    @property
    def identity(self) -> str:
        """Maker, model and serial number as the instrument tells them."""
        return type(self).__name__

    def open(self) -> None:
        """Connect, identify, and bring all parameters to the hardware.

        Raises:
            DeviceError: It does not answer, or refuses a parameter; it is closed again.
            StartError: A package it needs is not installed.
        """
        if self._open:
            raise StateError(f"{type(self).__name__} is open already")
        self._halt.clear()
        self._do_open()
        try:
            self._open = True
            self._values |= self._do_apply(self.values())
        except BaseException:
            self._open = False
            self._do_close()
            raise

    def close(self) -> None:
        """Apply the safe state and release the hardware; harmless when not open."""
        if not self._open:
            return
        try:
            self.safe_state()
        finally:
            self._open = False
            self._do_close()

    def halt(self) -> None:
        """Stop whatever moves or emits, now; a waiting call ends with `Halted`.

        Runs on: any.
        """
        self._halt.set()
        self._do_halt()

    def abandon(self) -> None:
        """Close the handle from outside, so that a hung call may end.

        Runs on: any.
        """
        self._halt.set()
        self._do_abandon()

    def safe_state(self) -> None:
        """Light off, motion stopped, shutter closed; the default is `halt`."""
        self.halt()

    def outside_safe_state(self) -> SafeStateCall | None:
        """Return what makes it safe from a process of its own; None if nothing can.

        Asked for when the device has been opened, and called, in a new Python, if HAL's
        process freezes or is killed, or that of its module, where it has one of its
        own: `SafeStateCall("my_lab.laser:switch_off", {"port": self.port})`. Worth
        having for what goes on emitting or moving by itself.
        """
        return None

    def apply(self, changed: Mapping[str, Value]) -> Mapping[str, Value]:
        """Bring changed parameters to the hardware, if it is open."""
        return self._do_apply(changed) if self._open else {}

    def _do_open(self) -> None:
        """Connect and identify."""

    def _do_close(self) -> None:
        """Release the hardware."""

    def _do_halt(self) -> None:
        """Tell the hardware to stop, without a lock; the flag is set already."""

    def _do_abandon(self) -> None:
        """Close the port or handle under a call that may be hanging in it."""

    def _do_apply(self, changed: Mapping[str, Value]) -> Mapping[str, Value]:
        """Write parameters to the hardware; return those it rounded."""
        return {}

    def _require_open(self) -> None:
        if not self._open:
            raise StateError(f"{type(self).__name__} is not open")

    def _check_halt(self) -> None:
        """Raise `Halted` if `halt` was called since the operation began."""
        if self._halt.is_set():
            raise Halted(f"{type(self).__name__}: ended by halt")
