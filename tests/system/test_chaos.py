"""`hal.py --chaos`: an experiment is rehearsed, and its cost is told."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from hal.cli import main
from hal.storage import read_acquisition
from tests.system.running import ROOT, Hal

SCOPE = """<hal name="t" directory="data">
<module name="camera1" class="cameras.camera" isolation="process" patience_s="0.5">
<driver class="simulation.camera" width_px="64" height_px="64" exposure_s="0.002"/>
</module>
<module name="stage" class="stages.xy_stage" isolation="process">
<driver class="simulation.xy_stage"/></module>
<module name="z" class="stages.z_stage"><driver class="simulation.z_stage"/></module>
</hal>"""
PLAN = """phases:
  - stage_positions: [{positions}]
    channels: []
on_failure: {{retries: 3, then: skip}}
"""
REHEARSAL = ROOT / "xml_configs" / "plans" / "rehearsal.yaml"


def written(folder: Path, faults: str, events: int = 8) -> list[Path | str]:
    """Return the arguments of a rehearsal."""
    positions = ", ".join(f"[{10 * n}, 0, {n % 3}]" for n in range(events))
    plan = PLAN.format(positions=positions).replace("    channels: []\n", "")
    for name, text in (
        ("scope.xml", SCOPE),
        ("plan.yaml", plan),
        ("chaos.xml", f'<chaos seed="1">\n{faults}</chaos>'),
    ):
        (folder / name).write_text(text)
    return ["scope.xml", "--plan", "plan.yaml", "--chaos", "chaos.xml"]


def test_a_rehearsal_says_what_the_faults_have_cost(hal, films):
    rehearsal = written(
        hal.folder,
        '<fault module="stage" call="move" kind="segv" at="3"/>\n'
        '<fault module="z" kind="lie" at="8"/>\n'
        '<fault module="camera1" call="read_into" kind="pixels" at="6"/>\n',
    )

    done = hal.run(*rehearsal, "--output", films, "--json", "--notes", "try")

    assert done.json["state"] == "done", done.stderr
    assert done.code == 0
    told = done.json["chaos"]
    assert (told["state"], told["seed"], told["file"]) == ("done", 1, "chaos.xml")
    faults = {fault["module"]: fault for fault in told["faults"]}
    assert {name: fault["kind"] for name, fault in faults.items()} == {
        "stage": "segv",
        "z": "lie",
        "camera1": "pixels",
    }
    assert told["spoiled"] == {"camera1": [faults["camera1"]["frame"]]}
    assert told["lost"] == {}
    assert told["tried_again"] >= 1
    assert told["passed_over"] == told["without_frame"] == 0
    assert 0.0 < told["median_s"] <= told["worst_s"]
    assert f"worst {told['worst_s']:.3f} s" in done.stdout
    assert "chaos: the run ended in state done" in done.stdout.splitlines()
    assert "hal: faults are caused on purpose (3 of chaos.xml, seed 1)" in (
        done.complaints
    )
    # Whoever finds the film later shall know as well.
    notes = read_acquisition(films / "movie_0001.xml")["notes"]
    assert notes.startswith("try")
    assert "faults are caused on purpose" in notes


def test_a_fault_that_would_end_hal_itself_is_refused_at_its_line(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    rehearsal = written(
        tmp_path,
        '<fault module="stage" kind="segv" at="3"/>\n'
        '<fault module="z" kind="segv" at="3"/>\n',
    )

    before = set(tmp_path.iterdir())

    assert main([*map(str, rehearsal), "--output", "films", "--json"]) == 2

    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert line.startswith("hal: chaos.xml:3: <fault> kind='segv' ends the process")
    assert set(tmp_path.iterdir()) == before
    assert "chaos" not in json.loads(said.out)


def test_check_reads_the_faults_too(capsys):
    scope = str(ROOT / "xml_configs" / "sim_chaos.xml")

    assert main(["check", scope, "--plan", str(REHEARSAL)]) == 0
    assert main(["check", scope, "--chaos", "missing.xml"]) == 2

    said = capsys.readouterr()
    assert f"{scope}: ok: faults 7, seed 1" in said.out
    assert "stage: kill in move, at 6" in said.out
    assert "missing.xml: no such file" in said.err


def kinds_at_random(rng: random.Random) -> str:
    """Return faults of modules that a run is to survive, as XML."""
    choices = (
        *(("stage", "move", kind) for kind in ("segv", "kill", "exit", "stop")),
        ("stage", "move", "slow"),
        ("stage", "position", "lie"),
        ("stage", "move", "raise"),
        ("z", "move", "raise"),
        ("z", "position", "lie"),
        ("camera1", "request", "raise"),
        ("camera1", "read_into", "drop"),
        ("camera1", "request", "no_trigger"),
    )
    faults = ""
    for _ in range(8):
        module, call, kind = rng.choice(choices)
        at = rng.randrange(2, 25)
        faults += f'<fault module="{module}" call="{call}" kind="{kind}" at="{at}"/>\n'
    return faults


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.timeout(300)
def test_every_rehearsal_ends_and_accounts_for_every_frame(tmp_path, seed):
    """Two of each seed: what went wrong is the same."""
    told = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        hal = Hal(folder)
        try:
            faults = kinds_at_random(random.Random(seed))
            rehearsal = written(folder, faults, events=20)
            done = hal.run(
                *(*rehearsal, "--output", folder / "films", "--json"), timeout_s=120.0
            )
        finally:
            hal.kill_all()
        assert done.code in (0, 1), done.stderr
        counts = done.json["frames"]["camera1"]
        assert counts["stored"] + len(counts["gaps"]) == counts["planned"] == 20
        assert counts["verified"] == counts["stored"]
        told.append(
            sorted(
                (fault["module"], fault["kind"], fault["number"])
                for fault in done.json["chaos"]["faults"]
            )
        )
    assert told[0] == told[1]
