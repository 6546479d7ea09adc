"""What all drivers of Micro-Manager devices have in common: a core and a label."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar, TypeVar

from hal.base import StateError, Text, Value
from hal.devices import Device
from modules.micromanager.core import CALL_S, CoreOwner
from modules.micromanager.shared import abandon, acquire, core_key, release

if TYPE_CHECKING:
    from pymmcore_plus import CMMCorePlus

T = TypeVar("T")

HALT_S = 1.0
"""How long a halt waits for the one short call that may be running."""


class MMDevice(Device):
    """A device that Micro-Manager's core drives, found by its label.

    Drivers that name the same `config` share one core and its thread. Comes first
    among the bases: `class MMCamera(MMDevice, Camera)`.

    Runs on: worker; `halt` and `abandon` any.
    """

    needs = ("pymmcore_plus",)
    # Adapters are the vendors' code, in C; a crash of one is a crash of its process.
    isolation = "process:micromanager"

    config = Text(
        help="Path of a Micro-Manager configuration (.cfg), or 'demo' for the "
        "simulated devices that Micro-Manager brings along."
    )
    device = Text(
        "", help="Label of the device in that file; empty for the file's default."
    )

    _kind: ClassVar[str] = ""
    """Name of its Micro-Manager device type, as `XYStage`."""

    _owner: CoreOwner | None = None
    _label = ""
    _identity = ""

    @classmethod
    def shared_handle(cls, values: Mapping[str, Value]) -> str:
        """Return the configuration, whose core all its devices share."""
        return core_key(str(values.get("config", "")))

    @property
    def identity(self) -> str:
        """Adapter library, device name and label; before `open` the driver's name."""
        return self._identity or super().identity

    def _do_open(self) -> None:
        owner = acquire(self.config)
        try:
            label = owner.find_device(self.device, self._kind)
            self._identity = owner.call(
                f"identify '{label}'",
                lambda core: (
                    f"Micro-Manager {core.getDeviceLibrary(label)} "
                    f"{core.getDeviceName(label)} '{label}'"
                ),
            )
        except BaseException:
            release(owner)
            raise
        self._owner, self._label = owner, label

    def _do_close(self) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            release(owner)

    def _do_abandon(self) -> None:
        owner = self._owner
        if owner is not None:
            abandon(owner)

    def _call(
        self, what: str, fn: Callable[[CMMCorePlus], T], timeout_s: float = CALL_S
    ) -> T:
        """Run `fn` with the core; see `CoreOwner.call`."""
        owner = self._require_owner()
        return owner.call(f"{what} '{self._label}'", fn, timeout_s)

    def _require_owner(self) -> CoreOwner:
        owner = self._owner
        if owner is None:
            raise StateError(f"{type(self).__name__} is not open")
        return owner

    def _call_urgently(self, what: str, fn: Callable[[CMMCorePlus], None]) -> None:
        """Run `fn` before all waiting calls; harmless when not open. Runs on: any."""
        owner = self._owner
        if owner is not None:
            owner.call(f"{what} '{self._label}'", fn, HALT_S, urgent=True)

    def _stop_motion(self) -> None:
        label = self._label

        def stop(core: CMMCorePlus) -> None:
            try:
                core.stop(label)
            except RuntimeError:
                # Many adapters of piezos know no stop; they are there at once.
                if core.deviceBusy(label):
                    raise

        self._call_urgently("stop", stop)
