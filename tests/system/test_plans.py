"""`hal.py --plan`: read before anything starts, run, shown, and checked without."""

from __future__ import annotations

from pathlib import Path

import pytest

from hal.acquisition import RunState, RunStatus
from hal.app import plan as configured
from hal.base import BadInput, PlanError
from hal.cli_arguments import parse
from hal.cli_plan import plan_lines
from hal.film_progress_bar import FilmProgressBar, progress_text
from hal.testing import FakeClock
from tests.system.running import ROOT, SIM, SMALL

FILM = """\
from hal.acquisition import FilmPlan
from hal.acquisition.plans import film

plan = film(FilmPlan(frames=5))
"""


def test_a_plan_is_run_and_reported_as_a_film_is(hal, films):
    file = hal.folder / "film.py"
    file.write_text(FILM)

    done = hal.run(
        *(SIM, "--plan", file, "--output", films, "--name", "planned"),
        *("--json", *SMALL),
    )

    assert done.code == 0, done.stderr
    assert done.json["state"] == "done"
    assert done.json["frames"]["camera1"]["verified"] == 5
    assert [Path(file).parent for file in done.json["files"]] == [films] * 2


def test_a_plan_that_cannot_be_read_ends_before_anything_starts(hal, films):
    file = hal.folder / "plan.yaml"
    file.write_text("phases:\n  - channels: [DAPI]\n    phase_name: Baseline\n")

    done = hal.run(SIM, "--plan", "plan.yaml", "--output", films, "--json")

    assert done.code == 2
    (line,) = done.complaints
    assert line.startswith("hal: plan.yaml:3: ")
    assert "phase_name='Baseline' has no phase_id" in line
    (error,) = done.json["errors"]
    assert error["kind"] == "PlanError"
    assert not films.exists()
    assert not hal.logs.exists()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--film", "3", "--plan", "a.yaml"], "not allowed with argument --film"),
        (["--plan", " "], "it is empty: expected a path"),
        (["--notes", "x"], "--notes is about a recording: expected --film FRAMES or"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(words, complaint):
    with pytest.raises(BadInput, match=complaint):
        parse(["scope.xml", *words])


def test_a_plan_is_named_as_it_was_typed():
    assert parse(["scope.xml", "--plan", "../a.yaml"]).plan == "../a.yaml"
    assert parse(["scope.xml", "--plan=~/a.yaml"]).plan == str(Path.home() / "a.yaml")
    assert parse(["check", "scope.xml", "--plan", "a.yaml"]).plan == "a.yaml"


@pytest.fixture
def checked(tmp_path):
    """What `check` says of a plan on the simulated microscope."""
    microscope = configured(ROOT / "xml_configs" / "sim.xml")

    def check(text: str) -> list[str]:
        file = tmp_path / "plan.yaml"
        file.write_text(text)
        return list(plan_lines(str(file), microscope))[1:]

    return check


def test_check_tells_what_is_known_of_a_plan_without_hardware(checked):
    assert checked(
        """\
phases:
  - stage_positions: [[0, 0], [1000000, 0]]
    channels: [{config: DAPI, exposure: 100}, Cy5]
    time_plan: {interval: 10, loops: 3}
  - wait_s: 5
  - channels: [FITC]
    setup: {properties: [[laser_488, power_mw, 3]]}
"""
    ) == [
        "  15 events, 13 images",
        "  axes: t=4, p=2, c=2",
        "  takes at least 25.5 s by its own times",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("channels: [DPI]", "channel='DPI': expected one of Cy5, DAPI, FITC; did you"),
        ("channels: [{config: FITC, camera: cam1}]", "expected one of camera1"),
        (
            "{channels: [FITC], setup: {properties: [[lasr_488, power_mw, 3]]}}",
            "did you mean 'laser_488'",
        ),
        (
            "time_plan: {interval: 0.1, loops: 2}\n"
            "channels: [{config: DAPI, exposure: 200}]",
            "interval_s=0.1: a timepoint takes 0.2 s: expected at least that",
        ),
    ],
)
def test_check_refuses_what_no_hardware_could_do(checked, text, words):
    with pytest.raises(PlanError, match=words) as refused:
        checked(text)

    assert "plan.yaml" in str(refused.value)


def status(state: RunState, **fields: object) -> RunStatus:
    shown = {"n_events_total": 9, "follows_plan": True, **fields}
    return RunStatus(run_id="r", state=state, **shown)


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (status(RunState.RUNNING), "running"),
        (status(RunState.PENDING, step="arming cameras"), "arming cameras"),
        (
            status(RunState.WAITING, n_events_consumed=5, wait_remaining_s=11.2),
            "waiting 12 s for event 5",
        ),
        (status(RunState.WAITING, event=7, wait_remaining_s=0.5), "1 s for event 7"),
        (status(RunState.RUNNING, lag_ms=99.0), "running"),
        (status(RunState.RUNNING, lag_ms=1240.0), "running, 1.2 s late"),
        (
            status(RunState.PAUSED, why_paused="focus lost", wait_remaining_s=3.0),
            "paused: focus lost",
        ),
    ],
)
def test_progress_says_what_is_waited_for_and_how_late_it_is(shown, text):
    assert progress_text(shown).endswith(text)
    assert progress_text(shown).startswith(text[:3]) or text.startswith("1 s")


def test_waiting_and_working_in_turns_is_told_now_and_then(capsys):
    clock = FakeClock()
    bar = FilmProgressBar(clock)
    for second in range(10):
        bar.show(status(RunState.RUNNING, n_events_consumed=second))
        clock.advance(0.5)
        left_s = 0.5
        bar.show(status(RunState.WAITING, event=second + 1, wait_remaining_s=left_s))
        clock.advance(0.5)
    bar.show(status(RunState.CANCELLING, n_events_consumed=9))
    bar.close()

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) <= 7
    assert "0 of 9 events" in lines[0]
    assert lines[-1] == "cancelling: 9 of 9 events"
