"""`stats`: numbers that can be checked by hand."""

from __future__ import annotations

import orjson
import pytest


@pytest.fixture
def numbers(hal_trace):
    def run(path):
        code, out, _ = hal_trace("stats", path, "--json")
        assert code == 0
        return orjson.loads(out)

    return run


def test_times_are_of_queue_handling_and_total(new_trace, numbers):
    file = new_trace()
    for number in range(1, 101):  # queued 1..100 ms, then 2 ms of work
        queued = number / 1000
        ticket = file.ticket("stage", 0.5, 0.5 + queued, 0.502 + queued)
        file.delivery(
            f"main#{number}", "move stage", "cli", [ticket], 0.49, 0.502 + queued
        )

    (group,) = numbers(file.path)["groups"]

    assert (group["type"], group["module"], group["count"]) == (
        "move stage",
        "stage",
        100,
    )
    assert group["queue_ms"] == pytest.approx({"p50": 50, "p99": 99, "max": 100})
    assert group["handling_ms"] == pytest.approx({"p50": 2, "p99": 2, "max": 2})
    assert group["total_ms"] == pytest.approx({"p50": 62, "p99": 111, "max": 112})
    assert (group["failed"], group["late"]) == (0, 0)


def test_the_summary_alone_has_no_table(new_trace, hal_trace):
    file = new_trace()
    ticket = file.ticket("stage", 0.5, 0.6, 0.7)
    file.delivery("main#1", "move stage", "cli", [ticket], 0.5, 0.7)

    code, out, _ = hal_trace("stats", file.path, "--summary")

    assert code == 0
    assert "move stage" not in out
    assert "deliveries  1, failed 0" in out


def test_what_was_superseded_has_not_failed(new_trace, numbers):
    file = new_trace()
    for number, how in enumerate(["superseded", "full", "done"], 1):
        ticket = file.ticket("view", 0.5, 0.6, 0.7, how=how)
        file.delivery(f"main#{number}", "frame shown", "camera1", [ticket], 0.5, 0.7)

    assert numbers(file.path)["failed"] == 1
    assert numbers(file.path)["groups"][0]["failed"] == 1


def test_each_receiver_of_a_broadcast_has_its_own_line(new_trace, numbers):
    file = new_trace()
    tickets = [file.ticket(n, 0.1, 0.1, 0.2) for n in ("stage", "camera1")]
    file.delivery("main#1", "stop", "cli", tickets, 0.1, 0.2)

    stats = numbers(file.path)

    assert [group["module"] for group in stats["groups"]] == ["camera1", "stage"]
    assert stats["deliveries"] == 1


def test_what_never_started_has_waited_and_was_not_handled(new_trace, numbers):
    file = new_trace()
    ticket = file.ticket("stage", 0.1, None, 5.1, by="watchdog", how="timeout")
    file.delivery("main#1", "move stage", "cli", [ticket], 0.1, 5.1)

    (group,) = numbers(file.path)["groups"]

    assert group["queue_ms"]["max"] == pytest.approx(5000)
    assert group["handling_ms"] is None
    assert (group["failed"], group["late"]) == (1, 1)


def test_one_late_delivery_is_late_once_whoever_reports_it(new_trace, numbers):
    file = new_trace()
    late = {"module": "stage", "activity": "job", "what": "move stage"}
    file.event("late", 5.2, **late, id="main#1", age_s=5.1)
    file.event("late", 6.2, **late, id="main#1", age_s=6.1)
    file.move("main#1", 0.1, 7.0)
    file.move("main#2", 0.1, 0.1)

    stats = numbers(file.path)

    assert stats["groups"][0]["late"] == 1
    assert stats["late"] == [{"module": "stage", "activity": "job", "count": 2}]


def test_a_late_thing_that_never_completed_is_in_the_table(new_trace, hal_trace):
    file = new_trace()
    file.event(
        "late",
        5.2,
        module="stage",
        activity="job",
        what="home stage",
        id="main#1",
        age_s=5.1,
    )

    line = hal_trace("stats", file.path)[1].splitlines()[2]

    assert line.split() == ["home", "stage", "stage", "0", *["-"] * 9, "0", "1"]


def test_frames_are_counted_once_and_what_is_missing_is_named(new_trace, hal_trace):
    file = new_trace()

    def frames(step, *ranges):
        for first, last in ranges:
            file.event(
                "frames",
                1.0,
                camera="camera1",
                run="R",
                first=first,
                last=last,
                step=step,
            )

    frames("received", (0, 9), (10, 19), (25, 29))
    frames("stored", (10, 17), (0, 9), (0, 9), (27, 29))

    _, out, _ = hal_trace("stats", file.path)

    assert (
        "camera1 run R: 25 received, 21 stored; received but not stored: 18-19, 25-26"
        "; no record of receiving: 20-24\n" in out
    )


def test_frames_are_not_missed_where_old_parts_were_rotated_away(new_trace, hal_trace):
    file = new_trace(part=3)
    file.event("frames", 1, camera="c", run="R", first=50, last=59, step="received")

    _, out, _ = hal_trace("stats", file.path)

    assert "c run R: 10 received\n" in out
    assert "parts of main (pid 1) that are no longer there: 1, 2" in out


def test_the_summary_counts_errors_gaps_and_log(new_trace, hal_trace):
    file = new_trace()
    error = {"kind": "LimitError", "text": "outside", "source": "stage"}
    warning = {**error, "kind": "Cancelled", "severity": "warning"}
    file.move("main#1", 0.1, errors=[error])
    file.move("main#2", 0.2, errors=[error, warning])
    file.move("main#3", 0.3, errors=[warning])
    file.event("gap", 0.4, lost=100)
    file.event("gap", 0.5, lost=23)
    file.event("log", 0.6, level="info", module="stage", event="homed")
    file.event("log", 0.7, level="warning", module="laser", event="retried")
    file.event("log", 0.8, level="warning", module="laser", event="retried")
    file.event("footer", 2.0)

    code, out, err = hal_trace("stats", file.path)

    assert (code, err) == (0, "")
    assert out[out.index("session") :].splitlines() == [
        "session     01JD3NABCDEFGHJKMNPQRSTVWX  (hal 0.1.0)",
        "time        2026-11-20 06:00:00.000 UTC to 2026-11-20 06:00:02.000 UTC"
        "  (2.000 s)",
        "deliveries  3, failed 2",
        "errors      LimitError 2, Cancelled (warning) 2",
        "late        none",
        "gaps        2, with 123 records not written",
        "log         warning 2, info 1",
        "            2 x warning: laser: retried",
        "ended       in order",
    ]


def test_a_session_that_was_killed_says_so(new_trace, hal_trace, numbers):
    file = new_trace()
    file.move("main#1", 0.1)
    file.raw(b'{"kind":"del')

    _, out, err = hal_trace("stats", file.path)

    assert "damage      last lines cut off: 1" in out
    assert "ended       CUT OFF" in out
    assert "until 2026-11-20 06:00:00.200 UTC" in out
    assert "1 last line cut off" in err
    assert numbers(file.path)["ended_in_order"] is False


def test_only_the_last_part_tells_how_it_ended(new_trace, numbers):
    new_trace(part=1).event("footer", 1.0)
    last = new_trace(part=2)

    assert numbers(last.path)["ended_in_order"] is False


def test_a_child_that_died_does_not_make_the_session_cut_off(new_trace, hal_trace):
    file = new_trace()
    file.event("footer", 1.0)
    new_trace(process="camera1", pid=7)

    _, out, _ = hal_trace("stats", file.path)

    assert "process     camera1 (pid 7) was cut off" in out
    assert out.endswith("ended       in order\n")


def test_a_session_without_any_record_has_statistics(new_trace, hal_trace):
    code, out, _ = hal_trace("stats", new_trace().path)

    assert code == 0
    assert "deliveries  0, failed 0" in out


def test_restarts_and_the_deepest_queues_are_told(new_trace, numbers, hal_trace):
    file = new_trace()
    file.event("restarted", 0.5, module="camera1", generation=2)
    for t_s, queued in ((1.0, 3), (6.0, 7), (11.0, 2)):
        samples = [
            {"module": "camera1", "queued": queued},
            {"module": "stage", "queued": 0},
        ]
        file.event("statistics", t_s, modules=samples)

    found = numbers(file.path)
    assert found["restarts"] == {"camera1": 1}
    assert found["deepest_queue"] == {"camera1": 7, "stage": 0}
    _, out, _ = hal_trace("stats", file.path)
    assert "restarts    camera1 1" in out
    assert "queues      most found waiting: camera1 7\n" in out
