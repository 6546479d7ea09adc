"""The z stage module."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from hal.devices import ZStage
from hal.kernel import DeviceModule, handles
from hal.messages import (
    GetZAbility,
    GetZPosition,
    HaltMotion,
    MoveZ,
    MoveZBy,
    ZAbility,
    ZMoved,
    ZPosition,
)


class ZStageModule(DeviceModule[ZStage]):
    """Owns one z stage and speaks for it; a move completes on arrival."""

    role = "z"
    driver_kind: ClassVar[type[Any]] = ZStage

    @handles(MoveZ)
    def on_move(self, msg: MoveZ) -> None:
        """Move to a height."""
        self._move(partial(self.device.move_and_settle, msg.z_um))

    @handles(MoveZBy)
    def on_move_by(self, msg: MoveZBy) -> None:
        """Move by a height."""
        self._move(partial(self.device.move_by, msg.dz_um))

    @handles(GetZPosition)
    def on_get_position(self, msg: GetZPosition) -> None:
        """Ask the stage where it is."""
        self.run_job(self.device.position_um, then=ZPosition)

    @handles(GetZAbility)
    def on_get_ability(self, msg: GetZAbility) -> None:
        """Tell where it may go, where it is, and how long moves take."""
        stage = self.device

        def look() -> ZAbility:
            return ZAbility(
                z_low_um=stage.z_low_um,
                z_high_um=stage.z_high_um,
                z_um=stage.position_um(),
                timing=stage.move_timing(),
            )

        self.run_job(look)

    @handles(HaltMotion)
    def on_halt(self, msg: HaltMotion) -> None:
        """Stop at once; the move in progress fails with `Halted`."""
        self._driver.halt()

    def _move(self, move: partial[None]) -> None:
        device = self.device

        def move_and_look() -> float:
            move()
            return device.position_um()

        deadline_s = device.move_timeout_s + device.settle_s + self.deadline_s
        self.run_job(move_and_look, deadline_s=deadline_s, then=self._arrived)

    def _arrived(self, z_um: float) -> ZPosition:
        self.send(ZMoved(self.name, z_um))
        return ZPosition(z_um)
