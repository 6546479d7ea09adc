"""`show`: one line a record, in order of time, and only what was asked for."""

from __future__ import annotations

import re

import pytest

FAILED = "failed at stage by handler"
LAMPS = "cli -> lamp0, lamp1, lamp2, 57 more"
LATE = "late: job 'move stage' for 520.0 ms, deadline 500.0 ms"
LATE_RESULT = "late result: 'move stage' done after it was given up; discarded"
LIMIT = {
    "kind": "LimitError",
    "text": "x_um 9e9 is outside 0..1000",
    "source": "stage",
    "severity": "error",
    "traceback": "Traceback:\n  File stage.py\nLimitError: x_um",
    "dump": "/logs/dump_1.txt",
    "data": {},
}


def took(ms):
    return [f"{ms:.1f} ms", "ok"]


@pytest.fixture
def session(new_trace):
    """A move, one that failed, a broadcast, a child process and one of each event."""
    main = new_trace()
    main.event("state", 0.0, module="stage", was="configured", state="started")
    failed = main.ticket("stage", 0.3, 0.31, 0.35, how="failed")
    main.delivery(
        "main#2", "move stage", "gui:stage", [failed], 0.3, 0.35, errors=[LIMIT]
    )
    main.move("main#1", 0.2, 0.1, run="01RUN", fields={"x_um": 10, "y_um": 2.5})
    lamps = [main.ticket(f"lamp{n}", 0.4, 0.4, 0.42) for n in range(60)]
    main.delivery("main#3", "lights off", "cli", lamps, 0.4, 0.42)
    main.delivery("main#4", "stage moved", "stage", [], 0.5, 0.5)
    main.event(
        "late",
        0.6,
        module="stage",
        activity="job",
        what="move stage",
        id="main#1",
        deadline_s=0.5,
        age_s=0.52,
        dump="/logs/dump_2.txt",
    )
    main.event(
        "late result", 0.7, module="stage", what="move stage", id="main#1", how="done"
    )
    main.event(
        "frames", 0.8, camera="camera1", run="01RUN", first=0, last=9, step="received"
    )
    main.event(
        "parameters", 0.9, module="camera1", values={"exposure_s": 0.05}, by="cli"
    )
    main.event("log", 1.0, level="info", module="stage", event="homing done", axis="z")
    main.event("log", 1.1, level="warning", module="stage", event="retried", count=2)
    main.event("gap", 1.2, lost=123)
    main.put(kind="lease", t_s=1001.3, holder="cli", devices=["stage", "camera1"])
    main.event("footer", 1.4)
    new_trace(process="camera1", pid=2).move("camera1#3", 0.25)
    return main.path


def test_everything_is_one_line_in_order_of_sending(hal_trace, session):
    code, out, err = hal_trace("show", session)

    assert (code, err) == (0, "")
    day, *lines = out.splitlines()
    assert day == "# 2026-11-20 UTC"
    assert all(line.startswith("06:00:0") for line in lines if line[0] != " ")
    assert [re.split("  +", line[7:].rstrip()) for line in lines] == [
        ["0.000", "-", "stage", "state: configured -> started"],
        ["0.200", "#1", "cli -> stage", "move stage", "x_um=10 y_um=2.5", *took(100)],
        ["0.250", "camera1#3 cli -> stage", "move stage", *took(100)],
        ["0.300", "#2", "gui:stage -> stage", "move stage", "50.0 ms", FAILED],
        ["itError at stage: x_um 9e9 is outside 0..1000"],
        ["0.400", "#3", LAMPS, "lights off", *took(20)],
        ["0.500", "#4", "stage -> nobody", "stage moved", "0.00 ms", "ok"],
        ["0.600", "#1", "stage", LATE],
        ["0.700", "#1", "stage", LATE_RESULT],
        ["0.800", "-", "camera1", "frames: 0-9 received"],
        ["0.900", "-", "camera1", "parameters: exposure_s=0.05", "by cli"],
        ["1.000", "-", "stage", "info: homing done", "axis=z"],
        ["1.100", "-", "stage", "warning: retried", "count=2"],
        ["1.200", "-", "-", "gap: 123 records were not written"],
        ["1.300", "-", "-", "lease:", "holder=cli devices=[stage, camera1]"],
        ["1.400", "-", "-", "end: main ended in order"],
    ]


@pytest.mark.parametrize(
    ("options", "times"),
    [
        (["--module", "gui:stage"], ["300"]),
        (["--module", "lamp59"], ["400"]),
        (["--module", "camera1"], ["800", "900"]),
        (["--type", "move stage"], ["200", "250", "300", "600", "700"]),
        (["--type", "MoveStage", "--module", "gui:stage"], ["300"]),
        (["--type", "lease"], ["300"]),
        (["--run", "01RUN"], ["200", "800"]),
        (["--run", "RUN"], ["200", "800"]),
        (["--id", "1"], ["200", "600", "700"]),
        (["--id", "#1"], ["200", "600", "700"]),
        (["--id", "main#1"], ["200", "600", "700"]),
        (["--id", "camera1#3"], ["250"]),
        (["--errors"], ["300", "600", "700", "100", "200"]),
        (["--errors", "--id", "2"], ["300"]),
    ],
)
def test_only_what_matches_every_filter_is_shown(hal_trace, session, options, times):
    _, out, _ = hal_trace("show", session, *options)

    found = [line[9:12] for line in out.splitlines() if line.startswith("06:")]
    assert found == times


def test_errors_come_with_traceback_and_dump(hal_trace, session):
    _, out, _ = hal_trace("show", session, "--errors", "--id", "2")

    assert out.splitlines()[2:] == [
        "    LimitError at stage: x_um 9e9 is outside 0..1000",
        "      traceback:",
        "        Traceback:",
        "          File stage.py",
        "        LimitError: x_um",
        "      dump: /logs/dump_1.txt",
    ]


def test_without_errors_the_traceback_stays_out_of_the_way(hal_trace, session):
    assert "Traceback" not in hal_trace("show", session)[1]


def test_a_filter_that_matches_nothing_suggests_what_was_meant(hal_trace, session):
    code, out, err = hal_trace("show", session, "--module", "stag")

    assert (code, out) == (0, "")
    assert "no record matches --module stag; did you mean --module 'stage'?" in err


def test_a_warning_is_not_shown_as_a_failure(hal_trace, new_trace):
    file = new_trace()
    file.move("main#1", 0.1, errors=[{**LIMIT, "severity": "warning"}])

    _, out, _ = hal_trace("show", file.path)

    assert "ok, with a warning" in out
    assert "    warning: LimitError at stage" in out


def test_an_error_without_a_receiver_is_a_failure(hal_trace, new_trace):
    file = new_trace()
    file.delivery("main#1", "move stge", "cli", [], 0.1, 0.1, errors=[LIMIT])

    assert "cli -> nobody" in hal_trace("show", file.path)[1]
    assert "0.00 ms  failed" in hal_trace("show", file.path)[1]


def test_the_day_is_said_when_it_changes(hal_trace, new_trace):
    file = new_trace()
    file.move("main#1", 0.0)
    file.move("main#2", 86400.0)

    days = [x for x in hal_trace("show", file.path)[1].splitlines() if x[0] == "#"]
    assert days == ["# 2026-11-20 UTC", "# 2026-11-21 UTC"]


def test_text_of_a_device_cannot_command_the_terminal(hal_trace, new_trace):
    file = new_trace()
    file.event("log", 0.1, level="info", module="laser", event="\x1b[2Jcleared\nnow")
    file.move("main#1", 0.2, fields={"name": "\x1b[31m"})

    _, out, _ = hal_trace("show", file.path)

    assert "\x1b" not in out
    assert "\\x1b[2Jcleared\\nnow" in out
    assert len(out.splitlines()) == 3


def test_long_fields_are_cut_and_shown_whole_with_errors(hal_trace, new_trace):
    file = new_trace()
    file.move("main#1", 0.1, fields={"positions": "p" * 100}, errors=[LIMIT])

    assert "pp...  100.0 ms" in hal_trace("show", file.path)[1]
    assert "p" * 100 in hal_trace("show", file.path, "--errors")[1]


def test_values_are_short_and_say_what_they_are(hal_trace, new_trace):
    file = new_trace()
    fields = {"a": True, "b": 1, "c": None, "d": [1, 2, 3, 4, 5], "e": {"f": [[[1]]]}}
    file.move("main#1", 0.1, fields=fields)

    line = hal_trace("show", file.path)[1].splitlines()[1]
    assert "a=yes b=1 c=none d=[1, 2, 3, 4, 1 more] e={f: [[...]]}" in line
