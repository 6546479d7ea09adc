"""What the simulated stages have in common: motion, and the faults of real stages."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from hal.base import Bool, Clock, Float, ParameterError, SystemClock, Value
from hal.devices import MoveTiming
from modules.simulation._axes import Axes, Point, on_grid
from modules.simulation._unsteady import Unsteady


class SimStage(Unsteady):
    """A driver of one or more axes; comes first among the bases.

    Says what its encoder says. Where the stage really is, which backlash and the error
    of each arrival decide, only the sample knows: `true_um` tells it. A world is shown
    where it rests, never a moment on the way.

    Runs on: worker; `halt` any.
    """

    _axis_names: ClassVar[tuple[str, ...]]

    is_simulated: ClassVar[bool] = True
    times_are_exact: ClassVar[bool] = True

    travel_um = Float(
        100_000.0, unit="um", low=1.0, high=1e6, help="Length of travel of each axis."
    )
    speed_um_s = Float(
        10_000.0, unit="um/s", low=1e-3, high=1e9, help="Highest speed of a move."
    )
    acceleration_um_s2 = Float(
        0.0,
        unit="um/s2",
        low=0.0,
        high=1e12,
        help="Of speeding up and braking; 0 for full speed at once.",
    )
    backlash_um = Float(
        0.0,
        unit="um",
        low=0.0,
        high=1e3,
        help="Way the drive turns after a reversal before the stage follows.",
    )
    encoder_um = Float(
        0.0,
        unit="um",
        low=0.0,
        high=1e3,
        help="Smallest step the encoder tells apart; 0 for any.",
    )
    repeatability_um = Float(
        0.0,
        unit="um",
        low=0.0,
        high=1e3,
        help="Standard deviation of the true position after equal moves.",
    )

    must_home = Bool(
        False,
        help="Whether it has to find its home again when its module begins anew, as a "
        "drive that counts its steps.",
    )

    clock: Clock = SystemClock()
    """Where time comes from; tests put a `FakeClock` on the instance."""

    def __init__(self, **values: Value) -> None:
        travel = type(self).travel_um
        half_um = travel.check(self, values.get("travel_um", travel.default)) / 2
        self._set_travel(half_um)
        self._half_um = half_um
        super().__init__(**values)
        self._axes = Axes.homed(*self._home())
        self._shown: Axes | None = None
        self._moves = 0

    @property
    def needs_homing(self) -> bool:
        """Whether it has to find its home again, as it is told."""
        return self.must_home

    def true_um(self) -> Point:
        """Return where the stage really is, one number per axis.

        Runs on: any.
        """
        return self._within_travel(self._axes.true(self.clock.monotonic_s()))

    def check_together(self, values: Mapping[str, Value]) -> None:
        super().check_together(values)
        if values["travel_um"] != 2 * self._half_um:
            raise ParameterError("travel_um is fixed when the stage is made")
        step_um = float(values["encoder_um"])
        for axis in self._axis_names:
            low_um, high_um = values[f"{axis}_low_um"], values[f"{axis}_high_um"]
            if step_um > float(high_um) - float(low_um):
                raise ParameterError(
                    f"encoder_um={step_um:g}: expected at most the way from "
                    f"{axis}_low_um to {axis}_high_um"
                )

    def _do_open(self) -> None:
        super()._do_open()
        here = self._here
        if here is not None:
            self._resume(here.read())
            self._show()

    def _go_to(self, *target: float) -> None:
        now_s = self.clock.monotonic_s()
        self._show_rest(now_s)
        end = self._reachable(target)
        if end == self._axes.leg.end and self._axes.leg.is_over(now_s):
            return  # it is there already: nothing turns, and so nothing changes
        self._moves += 1
        throw = self._throw(self._moves, len(end))
        self._axes = self._axes.towards(
            *end,
            now_s=now_s,
            speed=self.speed_um_s,
            acceleration=self.acceleration_um_s2,
            backlash=self.backlash_um,
            error=tuple(self.repeatability_um * number for number in throw),
        )

    def _do_start_home(self) -> None:
        self._go_to(*self._home())

    def _timing(self, settle_s: float) -> MoveTiming:
        """Return how long moves take, with such a pause after arrival."""
        return MoveTiming(
            speed_um_s=self.speed_um_s,
            acceleration_um_s2=self.acceleration_um_s2,
            settle_s=settle_s,
        )

    def _reading(self) -> Point:
        at = self._axes.leg.at(self.clock.monotonic_s())
        half_um = self._half_um
        return tuple(on_grid(um, self.encoder_um, -half_um, half_um) for um in at)

    def _do_is_moving(self) -> bool:
        return not self._show_rest(self.clock.monotonic_s())

    def _do_halt(self) -> None:
        self._axes = self._axes.stopped(self.clock.monotonic_s())
        self._show()

    def _show_rest(self, now_s: float) -> bool:
        """Return whether it rests; the world hears of it the first time."""
        axes = self._axes
        if not axes.leg.is_over(now_s):
            return False
        if axes is not self._shown:
            self._show()
        return True

    def _show(self) -> None:
        """Tell the world where it rests."""
        if self._known_place is None:
            return
        now_s = self.clock.monotonic_s()
        # A halt on another thread may tell it at the same time: then once more, so
        # that what is true now is told last.
        while (axes := self._axes).leg.is_over(now_s):
            self._publish(**self._numbers(axes), moves=self._moves)
            self._shown = axes
            if self._axes is axes:
                return

    def _numbers(self, axes: Axes) -> dict[str, float]:
        """Return what the world keeps of axes that rest."""
        now_s = self.clock.monotonic_s()
        rest = axes.stopped(now_s)
        numbers: dict[str, float] = {}
        for prefix, point in (
            ("", self._within_travel(axes.true(now_s))),
            ("drive_", rest.leg.end),
            ("pushed_", rest.pushed),
            ("error_", rest.error),
        ):
            names = (f"{prefix}{axis}_um" for axis in self._axis_names)
            numbers |= zip(names, point, strict=True)
        return numbers

    def _resume(self, found: Mapping[str, float]) -> None:
        """Go on where the world says that this stage stands; at home in a new one."""

        def point(prefix: str) -> Point:
            names = (f"{prefix}{axis}_um" for axis in self._axis_names)
            return self._within_travel(tuple(found[name] for name in names))

        self._moves = int(found["moves"])
        if self._moves:
            self._axes = Axes.left(
                point("drive_"), point("pushed_"), point("error_"), self.backlash_um
            )
        elif any(point("")):
            self._axes = Axes.homed(*point(""))

    def _within_travel(self, point: Point) -> Point:
        # The ends of travel are hard.
        return tuple(min(max(at, -self._half_um), self._half_um) for at in point)

    def _reachable(self, target: Point) -> Point:
        """Return the place nearest to `target` that the encoder can tell apart."""
        return tuple(
            on_grid(
                um,
                self.encoder_um,
                getattr(self, f"{axis}_low_um"),
                getattr(self, f"{axis}_high_um"),
            )
            for axis, um in zip(self._axis_names, target, strict=True)
        )

    @abstractmethod
    def _set_travel(self, half_um: float) -> None:
        """State the limits of the hardware."""

    @abstractmethod
    def _home(self) -> Point:
        """Return where it stands at first."""
