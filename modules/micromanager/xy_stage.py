"""XY stages that Micro-Manager drives."""

from __future__ import annotations

from hal.devices import XYStage
from modules.micromanager.device import MMDevice


class MMXYStage(MMDevice, XYStage):
    """An XY stage of a Micro-Manager configuration.

    Micro-Manager does not know the travel of a stage: give the soft limits
    (`x_low_um` ...) that keep the objective safe.

    Runs on: worker; `halt` and `abandon` any.
    """

    simulated_by = "simulation.xy_stage"
    _kind = "XYStage"

    def _do_start_move(self, x_um: float, y_um: float) -> None:
        label = self._label
        self._call("move", lambda core: core.setXYPosition(label, x_um, y_um))

    def _do_is_moving(self) -> bool:
        label = self._label
        return self._call("is moving", lambda core: core.deviceBusy(label))

    def _do_position(self) -> tuple[float, float]:
        label = self._label
        x_um, y_um = self._call("position of", lambda core: core.getXYPosition(label))
        return x_um, y_um

    def _do_halt(self) -> None:
        self._stop_motion()
