"""`late`: which module, how long, who waited, and behind what."""

from __future__ import annotations

import pytest


def _hung_job(file, **more):
    """The stage hangs in a job, the watchdog gives it up, two others stood behind."""
    file.event(
        "late",
        5.12,
        module="stage",
        activity="job",
        what="home stage",
        id="main#1",
        deadline_s=5.0,
        age_s=5.02,
        dump="/logs/dump_1.txt",
    )
    given_up = file.ticket("stage", 0.1, 0.11, 5.12, by="watchdog", how="timeout")
    file.delivery("main#1", "home stage", "cli", [given_up], 0.1, 5.12, **more)
    for number, queued in ((2, 1.0), (3, 2.0)):
        waited = file.ticket("stage", queued, 5.13, 5.14)
        file.delivery(
            f"main#{number}",
            "move stage",
            "gui",
            [waited],
            queued,
            5.14,
            deadline_s=60.0,
        )


def test_a_hung_job_is_named_with_who_waited_and_the_dump(hal_trace, new_trace):
    file = new_trace()
    _hung_job(file)

    code, out, err = hal_trace("late", file.path)

    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "1 late, or with 80 % of the deadline used; longest first",
        "     5020 ms of 5000 ms      stage         job 'home stage' #1",
        "            sent by cli at 2026-11-20 06:00:00.100 UTC; timeout by watchdog",
        "            kept waiting: gui (2 messages, up to 4120 ms)",
        "            dump: /logs/dump_1.txt",
    ]


def test_what_stood_in_the_queue_says_behind_what(hal_trace, new_trace):
    file = new_trace()
    file.move("main#1", 0.0, 4.0, deadline_s=60.0)
    short = file.ticket("stage", 0.5, None, 1.5, by="watchdog", how="timeout")
    file.delivery("main#2", "stop stage", "gui", [short], 0.5, 1.5, deadline_s=1.0)

    _, out, _ = hal_trace("late", file.path)

    assert "1000 ms of 1000 ms      stage         'stop stage' #2" in out
    assert "1000 ms in the queue behind 'move stage' #1 from cli\n" in out


def test_what_was_queued_behind_a_hang_that_never_completed_says_so(
    hal_trace, new_trace
):
    file = new_trace()
    late = {"module": "stage", "activity": "handler", "what": "home stage"}
    file.event("late", 2.0, **late, id="main#1", age_s=2.0, deadline_s=0.01)
    short = file.ticket("stage", 0.5, None, 1.5, by="watchdog", how="timeout")
    file.delivery("main#2", "stop stage", "gui", [short], 0.5, 1.5, deadline_s=1.0)

    _, out, _ = hal_trace("late", file.path)

    assert "sender not known: the delivery never completed" in out
    assert "1000 ms in the queue behind handler 'home stage'" in out


def test_the_slowest_receiver_is_blamed_for_a_slow_delivery(hal_trace, new_trace):
    file = new_trace()
    tickets = [
        file.ticket("stage", 0.0, 0.0, 0.9),
        file.ticket("lamp", 0.0, 0.0, 0.1),
    ]
    file.delivery("main#1", "stop", "cli", tickets, 0.0, 0.9, deadline_s=1.0)

    _, out, _ = hal_trace("late", file.path)

    assert "900.0 ms of 1000 ms      stage         'stop' #1" in out
    assert "lamp" not in out


@pytest.mark.parametrize(("percent", "found"), [(80, "nothing"), (50, "1 late")])
def test_how_much_of_a_deadline_is_late_can_be_chosen(
    hal_trace, new_trace, percent, found
):
    file = new_trace()
    file.move("main#1", 0.0, 0.6, deadline_s=1.0)

    _, out, _ = hal_trace("late", file.path, "--percent", percent)

    assert out.startswith(found)


def test_the_longest_come_first_and_the_rest_is_counted(hal_trace, new_trace):
    file = new_trace()
    for number, took in enumerate((2.0, 9.0, 5.0)):
        file.move(f"main#{number}", 0.0, took, deadline_s=1.0)

    _, out, _ = hal_trace("late", file.path, "--limit", 2)

    lines = [
        line for line in out.splitlines() if "'move stage'" in line and " of " in line
    ]
    assert [line.split()[0] for line in lines] == ["9000", "5000"]
    assert out.endswith("and 1 more (--limit)\n")


def test_the_watchdogs_view_of_the_job_wins_over_that_of_the_delivery(
    hal_trace, new_trace
):
    file = new_trace()
    late = {"module": "stage", "what": "home stage", "id": "main#1"}
    file.event("late", 1.0, **late, activity="job", age_s=1.0, deadline_s=0.5)
    file.event("late", 6.0, **late, activity="delivery", age_s=6.0, deadline_s=5.0)

    _, out, _ = hal_trace("late", file.path)

    assert out.startswith("1 late")
    assert "job 'home stage'" in out


def test_loops_that_miss_their_beat_are_listed_each(hal_trace, new_trace):
    file = new_trace()
    late = {"module": "camera1", "activity": "loop", "what": "grab", "id": None}
    file.event("late", 1.0, **late, age_s=1.0, deadline_s=0.5)
    file.event("late", 3.0, **late, age_s=0.7, deadline_s=0.5)

    _, out, _ = hal_trace("late", file.path)

    assert out.splitlines()[1:] == [
        "     1000 ms of 500.0 ms     camera1       loop 'grab'",
        "    700.0 ms of 500.0 ms     camera1       loop 'grab'",
    ]


def test_a_result_that_came_too_late_is_mentioned(hal_trace, new_trace):
    file = new_trace()
    _hung_job(file)
    file.event(
        "late result", 9.0, module="stage", what="home stage", id="main#1", how="done"
    )

    assert (
        "its result (done) came later and was discarded"
        in (hal_trace("late", file.path)[1])
    )


def test_processes_are_compared_by_the_wall_clock(hal_trace, new_trace):
    main = new_trace()
    short = main.ticket("stage", 7.5, None, 8.5, by="watchdog", how="timeout")
    main.delivery("main#2", "stop stage", "gui", [short], 7.5, 8.5, deadline_s=1.0)
    child = new_trace(process="camera1", pid=2, wall_s=1795154407.0)
    child.move("camera1#1", 0.0, 4.0, deadline_s=60.0)

    assert "behind 'move stage' camera1#1 from cli" in hal_trace("late", main.path)[1]
