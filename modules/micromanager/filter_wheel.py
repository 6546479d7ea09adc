"""Filter wheels, turrets and sliders that Micro-Manager drives."""

from __future__ import annotations

from collections.abc import Mapping

from hal.base import ParameterError, Text, Value
from hal.devices import FilterWheel
from modules.micromanager.device import MMDevice


class MMFilterWheel(MMDevice, FilterWheel):
    """A state device of a Micro-Manager configuration; slot 1 is its state 0.

    Runs on: worker; `halt` and `abandon` any.
    """

    simulated_by = "simulation.filter_wheel"
    _kind = "State"

    filters = Text(
        "",
        help="Names of the filters from slot 1 on, separated by commas; empty for "
        "the labels in the configuration.",
    )

    def check_together(self, values: Mapping[str, Value]) -> None:
        if values["filters"]:
            super().check_together(values)

    def _do_apply(self, changed: Mapping[str, Value]) -> Mapping[str, Value]:
        if "filters" not in changed:
            return {}
        label = self._label
        labels = self._call("labels of", lambda core: core.getStateLabels(label))
        if not changed["filters"]:
            named = {"filters": ",".join(labels)}
            super().check_together(self._values | named)
            return named
        wanted = len(str(changed["filters"]).split(","))
        if wanted > len(labels):
            raise ParameterError(
                f"filters: {wanted} names, but '{label}' has {len(labels)} slots"
            )
        return {}

    def _do_start_move(self, slot: int) -> None:
        label = self._label
        self._call("move", lambda core: core.setState(label, slot - 1))

    def _do_is_moving(self) -> bool:
        label = self._label
        return self._call("is moving", lambda core: core.deviceBusy(label))

    def _do_slot(self) -> int:
        label = self._label
        return self._call("state of", lambda core: core.getState(label)) + 1

    def _do_halt(self) -> None:
        """Do nothing: Micro-Manager has no stop for state devices; they soon arrive."""
