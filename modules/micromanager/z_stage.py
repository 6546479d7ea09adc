"""Focus drives and piezos that Micro-Manager drives."""

from __future__ import annotations

from hal.devices import ZStage
from modules.micromanager.device import MMDevice


class MMZStage(MMDevice, ZStage):
    """A single-axis stage of a Micro-Manager configuration.

    Micro-Manager does not know the travel of a drive: give the soft limits
    (`z_low_um`, `z_high_um`) that keep the objective off the sample.

    Runs on: worker; `halt` and `abandon` any.
    """

    simulated_by = "simulation.z_stage"
    _kind = "Stage"

    def _do_start_move(self, z_um: float) -> None:
        label = self._label
        self._call("move", lambda core: core.setPosition(label, z_um))

    def _do_is_moving(self) -> bool:
        label = self._label
        return self._call("is moving", lambda core: core.deviceBusy(label))

    def _do_position(self) -> float:
        label = self._label
        return self._call("position of", lambda core: core.getPosition(label))

    def _do_halt(self) -> None:
        self._stop_motion()
