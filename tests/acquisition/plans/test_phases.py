from __future__ import annotations

import pytest

from hal.acquisition import FilmPlan
from hal.acquisition.plans import (
    ImageEvent,
    Phase,
    combine,
    explicit,
    film,
    from_useq,
    wait,
)
from hal.base import PlanError
from tests.acquisition.plans.sequences import made


def test_a_phase_without_an_id_is_refused():
    with pytest.raises(PlanError, match="phase_name='Baseline' has no phase_id"):
        from_useq(made({"metadata": {"phase_name": "Baseline"}, "channels": ["a"]}))


def test_a_phase_that_nobody_declared_is_refused():
    with pytest.raises(PlanError, match=r"unknown phase 'bse'.*did you mean 'base'"):
        explicit([ImageEvent(phase="bse")], phases=(Phase("base"),))
    plan = explicit([ImageEvent(phase="base")], phases=(Phase("base"),))
    assert plan.phases == (Phase("base"),)


@pytest.mark.parametrize("phase_id", ["", "  ", "1st", "a b"])
def test_a_phase_id_that_no_program_could_use_is_refused(phase_id):
    with pytest.raises(PlanError, match="phase_id"):
        explicit([ImageEvent()], phases=(Phase(phase_id),))


def test_a_phase_is_on_the_events_of_its_part_only():
    base = made({"metadata": {"phase_id": "base"}, "channels": ["a"]})
    plan = combine(from_useq(base), wait(1, Phase("rest")), film(FilmPlan(1)))

    assert [event.phase for event in plan] == ["base", "rest", ""]
    assert [phase.id for phase in plan.phases] == ["base", "rest"]
