"""What a real stage does and a good one does not."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hal.base import DeviceError, DeviceTimeout, Halted, LimitError, ParameterError
from hal.testing import FakeClock
from hal.testing.contracts import XYStageContract, ZStageContract
from modules.simulation import SimXYStage, SimZStage
from tests.simulation.clocks import WindingClock

FAULTS: dict[str, Any] = {
    "acceleration_um_s2": 50_000.0,
    "backlash_um": 0.4,
    "encoder_um": 0.05,
    "repeatability_um": 0.02,
    "settle_s": 0.01,
}


class TestFaultyXYStage(XYStageContract):
    halt_within_s = 0.5

    def make_device(self) -> SimXYStage:
        return SimXYStage(travel_um=10_000.0, speed_um_s=5_000.0, **FAULTS)


class TestFaultyZStage(ZStageContract):
    halt_within_s = 0.5

    def make_device(self) -> SimZStage:
        return SimZStage(travel_um=1_000.0, speed_um_s=500.0, **FAULTS)


def z_stage(**values: Any) -> tuple[SimZStage, WindingClock]:
    stage = SimZStage(**({"travel_um": 1000.0} | values))
    stage.clock = clock = WindingClock()
    stage.open()
    return stage, clock


def true_after(stage: SimZStage, *targets: float) -> list[float]:
    """Return where the stage really was after each move."""
    found = []
    for target in targets:
        stage.move_and_settle(target)
        found.append(stage.true_um()[0])
    return found


def test_the_stage_lags_by_the_backlash_after_a_move_down() -> None:
    stage, _ = z_stage(backlash_um=2.0)

    assert true_after(stage, 10.0, 20.0, 15.0, 10.0, 15.0) == [
        10.0,  # from below: where the drive is
        20.0,
        17.0,  # from above: the play of the thread remains
        12.0,
        15.0,
    ]
    # The encoder sits on the drive and sees nothing of it.
    assert stage.position_um() == 15.0


def test_a_move_shorter_than_the_backlash_moves_nothing() -> None:
    stage, _ = z_stage(backlash_um=2.0)

    assert true_after(stage, 10.0, 9.0, 8.5, 9.5) == [10.0, 10.0, 10.0, 10.0]
    assert true_after(stage, 7.0) == [9.0]


def test_coming_from_below_undoes_the_backlash() -> None:
    stage, _ = z_stage(backlash_um=2.0)

    assert true_after(stage, 50.0, 10.0, 7.0, 10.0)[-1] == 10.0


@given(
    backlash=st.floats(0.0, 10.0),
    targets=st.lists(st.floats(-100.0, 100.0), max_size=8),
)
def test_the_stage_is_never_further_from_its_drive_than_the_backlash(
    backlash: float, targets: list[float]
) -> None:
    stage, _ = z_stage(backlash_um=backlash)

    for target, true in zip(targets, true_after(stage, *targets), strict=True):
        assert target <= true <= target + backlash


def test_arrivals_spread_by_the_repeatability_and_the_encoder_sees_none() -> None:
    stage, _ = z_stage(repeatability_um=0.5)
    errors = []
    for target in (10.0, 0.0) * 200:
        (true,) = true_after(stage, target)
        errors.append(true - target)
        assert stage.position_um() == target

    mean = sum(errors) / len(errors)
    spread = math.sqrt(sum((e - mean) ** 2 for e in errors) / len(errors))
    assert mean == pytest.approx(0.0, abs=0.1)
    assert spread == pytest.approx(0.5, rel=0.15)


def test_equal_seeds_make_equal_errors_and_others_do_not() -> None:
    def journey(**values: Any) -> list[float]:
        stage, clock = z_stage(repeatability_um=0.5, backlash_um=1.0, **values)
        clock.advance(values.get("settle_s", 0.0) * 1000)
        return true_after(stage, 5.0, -3.0, 8.0, 8.0, 1.0)

    assert journey(seed=4) == journey(seed=4)
    assert journey(seed=4) == journey(seed=4, speed_um_s=7.0, settle_s=0.3)
    assert journey(seed=4) != journey(seed=5)


def test_questions_do_not_change_what_happens() -> None:
    quiet, _ = z_stage(repeatability_um=0.5)
    asked, _ = z_stage(repeatability_um=0.5)
    for target in (5.0, -5.0):
        quiet.move_and_settle(target)
        for _ in range(3):
            asked.position_um()
            asked.is_moving()
        asked.move_and_settle(target)
        for _ in range(3):
            asked.true_um()

    assert asked.true_um() == quiet.true_um()


def test_a_move_to_where_it_is_turns_nothing() -> None:
    stage, _ = z_stage(repeatability_um=0.5)
    (before,) = true_after(stage, 5.0)

    assert true_after(stage, 5.0, 5.0) == [before, before]


def test_the_true_place_has_no_jumps() -> None:
    clock = FakeClock()
    stage = SimZStage(speed_um_s=1.0, repeatability_um=0.5, backlash_um=1.0)
    stage.clock = clock
    stage.open()
    places = [stage.true_um()[0]]
    for target in (5.0, 2.0, 4.0):
        stage.start_move(target)
        while stage.is_moving():
            clock.advance(0.01)
            places.append(stage.true_um()[0])

    assert max(abs(b - a) for a, b in itertools.pairwise(places)) < 0.05


def test_the_encoder_tells_steps() -> None:
    stage, clock = z_stage(encoder_um=0.5, speed_um_s=1.0, tolerance_um=0.5)

    stage.move_and_settle(1.3)
    assert stage.position_um() == 1.5

    stage.start_move(3.0)
    clock.advance(0.3)
    assert stage.position_um() in (1.5, 2.0)
    assert stage.true_um()[0] == pytest.approx(1.8)


def test_an_encoder_too_coarse_for_its_tolerance_says_where_it_stopped() -> None:
    stage, _ = z_stage(encoder_um=1.0, tolerance_um=0.1)

    with pytest.raises(DeviceError, match=r"stopped at 1 um, expected 1\.3"):
        stage.move_and_settle(1.3)


def test_an_encoder_coarser_than_its_range_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"encoder_um=3: expected at most the way"):
        SimZStage(encoder_um=3.0, z_low_um=0.2, z_high_um=0.8)


@settings(max_examples=200)
@given(
    travel=st.floats(1.0, 1e5),
    speed=st.floats(1e-3, 1e9),
    acceleration=st.floats(0.0, 1e12),
    backlash=st.floats(0.0, 1e3),
    encoder=st.one_of(st.just(0.0), st.floats(0.0, 1.1)),
    repeatability=st.floats(0.0, 1e3),
    limits=st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0)),
    moves=st.lists(
        st.tuples(st.floats(allow_nan=True), st.floats(-1.0, 1.0)), max_size=6
    ),
    halts=st.lists(st.booleans(), min_size=12, max_size=12),
)
def test_limits_hold_whatever_the_parameters(
    travel: float,
    speed: float,
    acceleration: float,
    backlash: float,
    encoder: float,
    repeatability: float,
    limits: tuple[float, float],
    moves: list[tuple[float, float]],
    halts: list[bool],
) -> None:
    low, high = (travel * (part - 0.5) for part in sorted(limits))
    values = {
        "travel_um": travel,
        "speed_um_s": speed,
        "acceleration_um_s2": acceleration,
        "backlash_um": backlash,
        "encoder_um": min(encoder * (high - low), 1e3),
        "repeatability_um": repeatability,
        "z_low_um": low,
        "z_high_um": high,
        "tolerance_um": 1e3,
        "move_timeout_s": 0.1,
    }
    try:
        stage, clock = z_stage(**values)
    except ParameterError:
        assert encoder > 1.0
        return
    targets = [t for anywhere, part in moves for t in (anywhere, part * travel / 2)]
    for target, halted in zip(targets, halts, strict=False):
        try:
            if halted:
                stage.start_move(target)
                clock.advance(0.01)
                stage.halt()
            else:
                stage.move_and_settle(target)
        except LimitError:
            assert not low <= target <= high
        except (DeviceTimeout, Halted):
            pass
        else:
            assert low <= target <= high
            if not halted:
                assert low <= stage.position_um() <= high
        half = travel / 2
        assert not stage.is_moving()
        assert -half <= stage.true_um()[0] <= half
        assert -half <= stage.position_um() <= half


def test_halt_in_mid_move_stops_where_the_profile_is() -> None:
    clock = FakeClock()
    stage = SimZStage(speed_um_s=10.0, acceleration_um_s2=5.0, backlash_um=1.0)
    stage.clock = clock
    stage.open()
    stage.start_move(-100.0)
    clock.advance(2.0)

    stage.halt()

    clock.advance(100.0)
    assert not stage.is_moving()
    assert stage.position_um() == pytest.approx(-10.0)
    assert stage.true_um()[0] == pytest.approx(-9.0)


def test_halt_twice_changes_nothing() -> None:
    clock = FakeClock()
    stage = SimZStage(speed_um_s=10.0, repeatability_um=0.5, backlash_um=1.0)
    stage.clock = clock
    stage.open()
    stage.start_move(50.0)
    clock.advance(1.0)
    stage.halt()
    at = stage.true_um()

    clock.advance(1.0)
    stage.halt()

    assert stage.true_um() == at


def test_an_xy_move_speeds_up_along_its_path() -> None:
    clock = FakeClock()
    stage = SimXYStage(speed_um_s=10.0, acceleration_um_s2=5.0)
    stage.clock = clock
    stage.open()
    stage.start_move(60.0, 80.0)

    clock.advance(1.0)
    assert stage.position_um() == pytest.approx((1.5, 2.0))
    clock.advance(10.9)
    assert stage.is_moving()
    clock.advance(0.2)
    assert stage.position_um() == (60.0, 80.0)


def test_it_stands_at_its_home_at_first() -> None:
    stage = SimXYStage(home_x_um=120.0, home_y_um=-30.0)
    stage.open()

    assert stage.position_um() == stage.true_um() == (120.0, -30.0)
    with pytest.raises(ParameterError, match="home_x_um"):
        SimXYStage(travel_um=100.0, home_x_um=51.0)
