"""What stages promise, as tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import ClassVar, TypeVar

import pytest

from hal.base import LimitError, SystemClock, UnsupportedError
from hal.devices import XYStage, ZStage
from hal.testing.contracts._halting import halt_during
from hal.testing.contracts.device import DeviceContract

S = TypeVar("S", XYStage, ZStage)
Point = tuple[float, ...]


def _no_places(target: Point) -> list[Point]:
    """Return `target` with each of its axes replaced by what is no number."""
    return [
        (*target[:axis], wrong, *target[axis + 1 :])
        for axis in range(len(target))
        for wrong in (math.nan, math.inf, -math.inf)
    ]


class _StageContract(DeviceContract[S]):
    """Tests for one or two axes; positions are tuples."""

    near: ClassVar[Point]
    """A target that takes little time."""
    far: ClassVar[Point]
    """Another one."""
    outside: ClassVar[tuple[Point, ...]]
    """Targets beyond each limit that `limits` sets."""
    limits: ClassVar[dict[str, float]]
    """Soft limits that allow `near` and `far`, but not `outside`."""
    wait_s: float = 60.0
    """Longest time a move between `near` and `far` may take."""
    start_within_s: float = 0.5
    """How soon `start_move` has to return."""
    halt_after_s: float = 0.1
    """How long a move goes on before a test halts it."""

    def move(self, device: S, target: Point) -> None:
        device.move_and_settle(*target)

    def start(self, device: S, target: Point) -> None:
        device.start_move(*target)

    def position(self, device: S) -> Point:
        at = device.position_um()
        return at if isinstance(at, tuple) else (at,)

    def said_s(self, device: S) -> float:
        """Return how long it says that it takes from `near` to `far`; override."""
        raise NotImplementedError

    def assert_at(self, device: S, target: Point) -> None:
        at = self.position(device)
        assert at == pytest.approx(target, abs=device.tolerance_um)

    def operations(self, device: S) -> Mapping[str, Callable[[], object]]:
        return {
            "position_um": device.position_um,
            "is_moving": device.is_moving,
            "start_move": lambda: self.start(device, self.near),
            "wait_until_idle": lambda: device.wait_until_idle(self.wait_s),
            "move_and_settle": lambda: self.move(device, self.near),
            "move_by": lambda: device.move_by(*(0.0 for _ in self.near)),
        }

    def test_arrives_where_it_was_sent(self, device: S) -> None:
        for target in (self.near, self.far, self.near):
            self.move(device, target)

            assert not device.is_moving()
            self.assert_at(device, target)

    def test_moves_relative_to_where_it_is(self, device: S) -> None:
        self.move(device, self.near)

        device.move_by(
            *(far - near for near, far in zip(self.near, self.far, strict=True))
        )

        self.assert_at(device, self.far)

    def test_start_move_returns_at_once(self, device: S) -> None:
        self.move(device, self.near)
        clock = SystemClock()
        begun_s = clock.monotonic_s()

        self.start(device, self.far)

        assert clock.monotonic_s() - begun_s < self.start_within_s
        device.wait_until_idle(self.wait_s)
        assert not device.is_moving()
        self.assert_at(device, self.far)

    def test_tells_how_long_a_move_takes(self, device: S) -> None:
        self.move(device, self.near)
        clock = SystemClock()
        begun_s = clock.monotonic_s()

        self.move(device, self.far)

        took_s = clock.monotonic_s() - begun_s
        said_s = self.said_s(device)
        assert 0.0 <= said_s <= device.move_timeout_s + device.settle_s
        assert took_s >= said_s or not device.times_are_exact

    def test_says_as_data_how_long_a_move_takes_if_it_knows(self, device: S) -> None:
        timing = device.move_timing()

        assert (timing is not None) == device.times_are_exact
        if timing is not None:
            way_um = (b - a for a, b in zip(self.near, self.far, strict=True))
            # Its encoder may round the target.
            assert timing.time_s(*way_um) == pytest.approx(self.said_s(device), rel=0.1)

    def test_target_outside_its_limits_leaves_it_unmoved(self, device: S) -> None:
        self.move(device, self.near)
        device.set_parameters(self.limits)

        for target in (*self.outside, *_no_places(self.far)):
            for move in (self.move, self.start):
                with pytest.raises(LimitError):
                    move(device, target)

                assert not device.is_moving()
                self.assert_at(device, self.near)

    def test_relative_target_outside_its_limits_is_refused(self, device: S) -> None:
        self.move(device, self.near)
        device.set_parameters(self.limits)
        target = self.outside[0]

        with pytest.raises(LimitError):
            device.move_by(*(t - n for t, n in zip(target, self.near, strict=True)))

        self.assert_at(device, self.near)

    def test_halt_from_another_thread_ends_a_move(self, device: S) -> None:
        self.move(device, self.near)
        # However fast it moves, the settling time can be halted.
        settle_s = device.settle_s
        device.set_parameters({"settle_s": 60.0})

        halt_during(
            device,
            lambda: self.move(device, self.far),
            after_s=self.halt_after_s,
            within_s=self.halt_within_s,
        )

        device.set_parameters({"settle_s": settle_s})
        device.wait_until_idle(self.halt_within_s)
        at = self.position(device)
        assert not device.is_moving()
        assert self.position(device) == pytest.approx(at, abs=device.tolerance_um)
        for target in (self.near, self.far):
            self.move(device, target)
            self.assert_at(device, target)

    def test_halt_before_a_move_does_not_end_it(self, device: S) -> None:
        device.halt()

        self.move(device, self.near)

        self.assert_at(device, self.near)

    def test_finds_its_home_or_says_that_it_has_none(self, device: S) -> None:
        self.move(device, self.far)
        try:
            device.home()
        except UnsupportedError:
            assert not device.needs_homing
        else:
            assert not device.is_moving()
            assert all(math.isfinite(um) for um in self.position(device))

        self.move(device, self.near)
        self.assert_at(device, self.near)

    def test_safe_state_stops_the_motion(self, device: S) -> None:
        self.move(device, self.near)
        self.start(device, self.far)

        device.safe_state()

        clock = SystemClock()
        deadline_s = clock.monotonic_s() + self.halt_within_s
        while device.is_moving():
            assert clock.monotonic_s() < deadline_s


class XYStageContract(_StageContract[XYStage]):
    """Tests of an XY stage."""

    near = (10.0, -10.0)
    far = (500.0, 300.0)
    limits: ClassVar[dict[str, float]] = {
        "x_low_um": -600.0,
        "x_high_um": 600.0,
        "y_low_um": -400.0,
        "y_high_um": 400.0,
    }
    outside = ((-601.0, 0.0), (601.0, 0.0), (0.0, -401.0), (0.0, 401.0))

    def said_s(self, device: XYStage) -> float:
        (near_x, near_y), (far_x, far_y) = self.near, self.far
        return device.time_to_move_s((near_x, near_y), (far_x, far_y))


class ZStageContract(_StageContract[ZStage]):
    """Tests of a focus drive."""

    near = (1.0,)
    far = (50.0,)
    limits: ClassVar[dict[str, float]] = {"z_low_um": -60.0, "z_high_um": 60.0}
    outside = ((-61.0,), (61.0,))

    def said_s(self, device: ZStage) -> float:
        return device.time_to_move_s(self.near[0], self.far[0])
