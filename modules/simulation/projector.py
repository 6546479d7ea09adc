"""A simulated projector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from hal.base import Float, Int, Text, Value
from hal.devices import Mask, Projector
from modules.simulation._inhabitant import Inhabitant
from modules.simulation.world import PROJECTOR
from modules.simulation.world.masked import illuminate


class SimProjector(Inhabitant, Projector):
    """A mirror array in front of some light sources; dark when opened.

    In a world, the sources it stands before reach the sample through its masks alone.
    All light of a mask is delivered when it begins, as with exposures of cameras, so
    that it does not depend on the machine's speed; the world's clock stands still.

    Runs on: worker; `halt` any.
    """

    kind: ClassVar[str] = PROJECTOR
    is_simulated: ClassVar[bool] = True
    times_are_exact: ClassVar[bool] = True

    before = Text(
        "",
        help="Names of the light sources behind it, separated by blanks; empty for "
        "none, so that it projects nothing.",
    )
    rows = Int(256, low=1, high=256, help="Rows of mirrors.")
    columns = Int(256, low=1, high=256, help="Columns of mirrors.")
    pixel_um = Float(
        0.2,
        unit="um",
        low=0.01,
        high=100.0,
        help="Size of a mirror's image in the sample; its middle is the optical axis.",
    )

    def __init__(self, **values: Value) -> None:
        super().__init__(**values)
        self._is_lit = False

    @property
    def height_px(self) -> int:
        return self.rows

    @property
    def width_px(self) -> int:
        return self.columns

    def commit(self, accepted: Mapping[str, Value]) -> dict[str, Value]:
        now = super().commit(accepted)
        self._note()
        return now

    def time_to_project_s(self, duration_s: float) -> float:
        return duration_s

    def _do_open(self) -> None:
        super()._do_open()
        self._is_lit = False
        if self._here is not None:
            self._note()
            self._publish(is_dark=True)

    def _do_show(self, mask: Mask, duration_s: float) -> None:
        self._is_lit = True
        world, here = self._world_or_none, self._here
        if world is not None and here is not None:
            self._publish(is_dark=False)
            illuminate(world, here, mask, self.pixel_um, duration_s)

    def _do_clear(self) -> None:
        self._is_lit = False
        if self._known_place is not None:
            self._publish(is_dark=True)

    def _do_is_dark(self) -> bool:
        return not self._is_lit

    def _do_halt(self) -> None:
        self._do_clear()

    def _note(self) -> None:
        if self._known_place is not None:
            self._known_place.note = tuple(self.before.split())
