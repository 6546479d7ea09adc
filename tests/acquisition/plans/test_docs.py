"""What `docs/plans.rst` shows can be done as it stands there."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from hal.acquisition.plans import load_plan, preflight
from tests.acquisition.plans.microscopes import Scope

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs" / "plans.rst").read_text("utf-8")
FOUND = re.findall(r"\.\. code-block:: (\w+)\n\n((?:    .*\n|\n)+)", TEXT)
BLOCKS = [(language, block) for language, block in FOUND if language != "xml"]


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_every_example_is_a_plan_that_can_be_run(number, tmp_path):
    language, block = BLOCKS[number]
    suffix = {"yaml": ".yaml", "json": ".json", "python": ".py"}[language]
    path = tmp_path / f"plan{suffix}"
    path.write_text(textwrap.dedent(block), "utf-8")

    plan = load_plan(path)

    assert len(list(plan)) == plan.n_events
    scope = Scope()
    scope.xy_limits_um = lambda: (-1e5, 1e5, -1e5, 1e5)
    assert preflight(plan, scope).is_ok


def test_there_are_examples_of_each_kind():
    assert {language for language, _ in BLOCKS} == {"yaml", "json", "python"}
    assert len(BLOCKS) >= 5


def test_the_channel_it_shows_is_one_of_the_simulated_microscope():
    (block,) = (block for language, block in FOUND if language == "xml")
    microscope = (ROOT / "xml_configs" / "sim.xml").read_text("utf-8")

    assert " ".join(block.split()) in " ".join(microscope.split())


def test_the_times_it_tells_are_those_of_its_example(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text(textwrap.dedent(BLOCKS[1][1]), "utf-8")

    times_s = [e.min_start_time_s for e in load_plan(path) if e.makes_image]
    assert times_s == [0, 10, 20, 30, 35]
