"""What a rehearsal says that a run would have cost."""

from __future__ import annotations

import json
from pathlib import Path

from hal.acquisition import RunState, RunStatus
from hal.frames import LedgerCounts
from hal.testing.chaos import GOOD_FRAME, Caused, make_report, report_lines

CAMERAS = ("camera1", "camera2")


def caused(t_s: float, module: str, kind: str, **more: object) -> Caused:
    more = {"call": "move", "number": 2, **more}
    return Caused(t_s=t_s, module=module, kind=kind, **more)


def good(t_s: float, camera: str) -> Caused:
    return Caused(t_s=t_s, module=camera, kind=GOOD_FRAME)


def status(tmp_path: Path, **more: object) -> RunStatus:
    table = tmp_path / "movie_events.ndjson"
    rows = [("done", 1), ("done", 3), ("skipped", 3), ("done", 2), ("failed", 1)]
    table.write_text(
        "".join(json.dumps({"outcome": o, "tries": t}) + "\n" for o, t in rows)
    )
    counts = LedgerCounts(
        camera="camera1",
        planned=9,
        triggered=9,
        received=7,
        stored=7,
        verified=7,
        gaps=(2, 5),
        gap_count=2,
    )
    return RunStatus(
        run_id="r",
        state=RunState.ERROR,
        frames={"camera1": counts},
        files=(str(tmp_path / "movie.dax"), str(table)),
    )


def test_it_adds_up_what_was_lost_and_how_long_that_took(tmp_path):
    noted = [
        caused(11.0, "stage", "hang"),
        caused(11.5, "camera2", "repeat", call="read_into", frame=4),
        good(12.0, "camera1"),
        caused(12.5, "camera1", "pixels", call="read_into", number=0, frame=3),
        good(14.0, "camera2"),
        good(14.5, "camera1"),
        caused(15.0, "camera1", "kill"),
    ]

    report = make_report(
        status(tmp_path), noted, seed=7, file="c.xml", since_s=10.0, cameras=CAMERAS
    )

    # After a stage any camera counts, after a camera only itself.
    assert [fault.to_next_frame_s for fault in report.faults] == [1.0, 2.5, 2.0, None]
    assert [fault.t_s for fault in report.faults] == [1.0, 1.5, 2.5, 5.0]
    assert (report.median_s, report.worst_s, report.without_frame) == (2.0, 2.5, 1)
    assert (report.tried_again, report.passed_over) == (3, 1)
    assert report.lost == {"camera1": (2, 5)}
    assert report.repeated == {"camera2": (4,)}
    assert report.spoiled == {"camera1": (3,)}
    assert report_lines(report) == [
        "chaos: 4 faults from c.xml, seed 7",
        "chaos:     1.000 s  stage: hang (call 2 of move); next good frame after "
        "1.000 s",
        "chaos:     1.500 s  camera2: repeat (call 2 of read_into, frame 4); next good "
        "frame after 2.500 s",
        "chaos:     2.500 s  camera1: pixels (by order, in read_into, frame 3); next "
        "good frame after 2.000 s",
        "chaos:     5.000 s  camera1: kill (call 2 of move); no good frame after it",
        "chaos: camera1: frames 2, 5 lost",
        "chaos: camera2: an earlier frame once more as frame 4",
        "chaos: camera1: frame 3 with wrong pixels, which nobody can see",
        "chaos: 3 events tried again, 1 passed over",
        "chaos: from a fault to the next good frame: median 2.000 s, worst 2.500 s",
        "chaos: after 1 fault no good frame came",
        "chaos: the run ended in state error",
    ]


def test_nothing_went_wrong():
    report = make_report(RunStatus(run_id="", state=RunState.DONE), [], seed=1)

    assert report_lines(report) == [
        "chaos: 0 faults, seed 1",
        "chaos: 0 events tried again, 0 passed over",
        "chaos: the run ended in state done",
    ]


def test_many_faults_are_shown_in_part_and_counted_in_full():
    noted = [caused(float(n), "stage", "slow") for n in range(50)]
    report = make_report(RunStatus(run_id="", state=RunState.DONE), noted, seed=1)

    lines = report_lines(report)

    assert len(report.faults) == 50
    assert len(lines) < 30
    assert "chaos: and 30 more: --json has them all" in lines
