"""The XY stage module."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from hal.devices import XYStage
from hal.kernel import DeviceModule, handles
from hal.messages import (
    GetStageAbility,
    GetStagePosition,
    HaltMotion,
    MoveStage,
    MoveStageBy,
    StageAbility,
    StageMoved,
    StagePosition,
)


class XYStageModule(DeviceModule[XYStage]):
    """Owns one XY stage and speaks for it; a move completes on arrival."""

    role = "stage"
    driver_kind: ClassVar[type[Any]] = XYStage

    @handles(MoveStage)
    def on_move(self, msg: MoveStage) -> None:
        """Move to a position."""
        self._move(partial(self.device.move_and_settle, msg.x_um, msg.y_um))

    @handles(MoveStageBy)
    def on_move_by(self, msg: MoveStageBy) -> None:
        """Move by a distance."""
        self._move(partial(self.device.move_by, msg.dx_um, msg.dy_um))

    @handles(GetStagePosition)
    def on_get_position(self, msg: GetStagePosition) -> None:
        """Ask the stage where it is."""
        device = self.device
        self.run_job(device.position_um, then=lambda at: StagePosition(*at))

    @handles(GetStageAbility)
    def on_get_ability(self, msg: GetStageAbility) -> None:
        """Tell where it may go, where it is, and how long moves take."""
        stage = self.device

        def look() -> StageAbility:
            x_um, y_um = stage.position_um()
            return StageAbility(
                x_low_um=stage.x_low_um,
                x_high_um=stage.x_high_um,
                y_low_um=stage.y_low_um,
                y_high_um=stage.y_high_um,
                x_um=x_um,
                y_um=y_um,
                timing=stage.move_timing(),
            )

        self.run_job(look)

    @handles(HaltMotion)
    def on_halt(self, msg: HaltMotion) -> None:
        """Stop at once; the move in progress fails with `Halted`."""
        self._driver.halt()

    def _move(self, move: partial[None]) -> None:
        device = self.device

        def move_and_look() -> tuple[float, float]:
            move()
            return device.position_um()

        deadline_s = device.move_timeout_s + device.settle_s + self.deadline_s
        self.run_job(move_and_look, deadline_s=deadline_s, then=self._arrived)

    def _arrived(self, at: tuple[float, float]) -> StagePosition:
        self.send(StageMoved(self.name, *at))
        return StagePosition(*at)
