"""What `docs/analysis.rst` shows can be done as it stands there."""

from __future__ import annotations

import re
import runpy
import textwrap
from pathlib import Path

from hal.acquisition.plans import StimulationEvent, load_plan, preflight
from hal.testing import part, running_hal
from tests.acquisition.plans.microscopes import Scope
from tests.analysis.bench import (
    NotingProjector,
    begin,
    camera_part,
    end_of,
    errors,
    image,
    projector_part,
    stimulation,
)

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "analysis.rst").read_text("utf-8")
BLOCKS = dict(re.findall(r"\.\. code-block:: (\w+)\n\n((?:    .*\n|\n)+)", TEXT))


def test_its_plan_can_be_run(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(textwrap.dedent(BLOCKS["yaml"]), "utf-8")

    plan = load_plan(path)

    lit = [event for event in plan if isinstance(event, StimulationEvent)]
    assert len(lit) == 5
    scope = Scope(analyses=("spots",), projectors=("dmd",))
    scope.devices |= {"spots": True, "dmd": True}
    assert preflight(plan, scope).is_ok


def test_its_analysis_works(tmp_path: Path) -> None:
    path = tmp_path / "my_module.py"
    path.write_text(textwrap.dedent(BLOCKS["python"]), "utf-8")
    bright = part("smart", runpy.run_path(str(path))["Brightness"])
    dmd = NotingProjector()

    with running_hal(camera_part(), projector_part(dmd), bright) as hal:
        status = end_of(begin(hal, tmp_path, image(0), stimulation(0)))

    assert errors(status) == []
    assert status.frames["camera1"].verified == 3
    assert len(dmd.shown) == 1
