"""Stages show their world where they rest, and go on there when they come back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hal.testing import FakeClock
from modules.simulation import SimXYStage, SimZStage
from modules.simulation.world import World
from tests.simulation.inhabited import inhabit, shown

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return World.create(tmp_path / "w.state", seed=3).path


def test_a_stage_shows_where_the_sample_really_is(state: Path) -> None:
    stage = inhabit(
        SimXYStage(world="w", backlash_um=2.0, home_x_um=5.0), state, "stage"
    )
    assert World.open(state).position_um() == (5.0, 0.0)

    stage.move_and_settle(100.0, 50.0)
    assert World.open(state).position_um() == (100.0, 50.0)

    stage.move_and_settle(90.0, 60.0)
    assert World.open(state).position_um() == (92.0, 60.0)
    assert stage.position_um() == (90.0, 60.0)


def test_a_stage_on_its_way_shows_where_it_rested_last(state: Path) -> None:
    clock = FakeClock()
    stage = inhabit(SimZStage(world="w", speed_um_s=1.0), state, "z", clock)
    stage.start_move(10.0)
    clock.advance(5.0)
    assert stage.is_moving()
    assert World.open(state).defocus_um() == 0.0

    clock.advance(6.0)
    assert not stage.is_moving()

    assert World.open(state).defocus_um() == 10.0


def test_a_stage_that_comes_back_goes_on_as_if_it_had_never_left(state: Path) -> None:
    faults = {"backlash_um": 1.0, "repeatability_um": 0.3, "encoder_um": 0.1}
    targets = [(10.0, 20.0), (5.0, 25.0), (7.0, 10.0), (7.0, 12.0), (-3.0, 4.0)]

    def visit(stage: SimXYStage, some: list[tuple[float, float]]) -> list[Any]:
        seen = []
        for target in some:
            stage.move_and_settle(*target)
            seen.append((stage.position_um(), stage.true_um()))
        return seen

    one = inhabit(SimXYStage(world="w", **faults), state, "stage")
    before = visit(one, targets[:3])
    at = shown(state, "stage")
    one.close()
    again = inhabit(SimXYStage(world="w", **faults), state, "stage")
    assert again.true_um() == (at["x_um"], at["y_um"])
    assert shown(state, "stage") == at
    after = visit(again, targets[3:])

    whole_state = World.create(state.with_name("whole"), seed=3).path
    whole = inhabit(SimXYStage(world="w", **faults), whole_state, "stage")
    assert visit(whole, targets) == before + after


def test_errors_depend_on_the_world_the_name_and_the_seed(tmp_path: Path) -> None:
    def arrival(world_seed: int, name: str, seed: int) -> float:
        path = tmp_path / f"{world_seed}{name}{seed}"
        state = World.create(path, seed=world_seed).path
        stage = SimZStage(world="w", repeatability_um=1.0, seed=seed)
        inhabit(stage, state, name).move_and_settle(10.0)
        return stage.true_um()[0]

    arrivals = {
        arrival(world_seed, name, seed)
        for world_seed in (1, 2)
        for name in ("z", "piezo")
        for seed in (1, 2)
    }

    assert len(arrivals) == 8


def test_a_stage_starts_where_somebody_has_put_it(state: Path) -> None:
    World.open(state).device("z", kind="z_stage").write(z_um=7.0)

    stage = inhabit(SimZStage(world="w", home_um=1.0), state, "z")

    assert stage.position_um() == stage.true_um()[0] == 7.0


def test_a_stage_of_less_travel_starts_at_its_end(state: Path) -> None:
    World.open(state).device("z", kind="z_stage").write(z_um=700.0)

    stage = inhabit(SimZStage(world="w", travel_um=100.0), state, "z")

    assert stage.position_um() == 50.0


OTHER_PROCESS = """
import sys
from pathlib import Path
from modules.simulation import SimXYStage

stage = SimXYStage(world="w", backlash_um=2.0, speed_um_s=1e6)
stage.enter(Path(sys.argv[1]), "stage")
stage.open()
stage.move_and_settle(100.0, 50.0)
stage.move_and_settle(90.0, 40.0)
"""


def test_another_process_moves_the_sample_of_this_one(state: Path) -> None:
    world = World.open(state)

    subprocess.run(
        [sys.executable, "-c", OTHER_PROCESS, str(state)],
        cwd=ROOT,
        check=True,
        timeout=60,
    )

    assert world.position_um() == (92.0, 42.0)


def test_a_move_that_begins_while_the_world_is_told_is_shown_at_its_end(
    state: Path,
) -> None:
    clock = FakeClock()
    stage = inhabit(SimZStage(world="w", speed_um_s=1.0), state, "z", clock)
    tell = stage._publish

    def move_and_tell(**numbers: float) -> None:
        stage._publish = tell
        stage._do_start_move(10.0)
        clock.advance(1.0)
        tell(**numbers)

    stage._publish = move_and_tell
    stage._do_halt()
    assert shown(state, "z")["z_um"] == 0.0

    clock.advance(20.0)
    assert not stage.is_moving()
    assert shown(state, "z")["z_um"] == 10.0


def test_a_halted_stage_shows_where_it_stopped(state: Path) -> None:
    clock = FakeClock()
    stage = inhabit(SimZStage(world="w", speed_um_s=1.0), state, "z", clock)
    stage.start_move(10.0)
    clock.advance(4.0)

    stage.halt()

    assert shown(state, "z")["z_um"] == pytest.approx(4.0)
