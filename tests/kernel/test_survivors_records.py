"""What trace, log and states say of trouble: whose, since when, and why."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from hal.base import DeviceError, ModuleDead, ModuleState, SystemClock
from hal.kernel import Loop, MakeSafe, RestartPolicy, System, Trace
from tests.kernel.bench import (
    HANG_S,
    Records,
    add,
    answers,
    done,
    of_kind,
    only_error,
    successor,
    until,
    wait_for,
)
from tests.kernel.supervised import (
    Scripted,
    add_scripted,
    module_of,
    until_failed,
    until_generation,
)
from tests.kernel.vocabulary import Act, PlaceProbe


@pytest.mark.parametrize("where", ["handler", "job"])
def test_what_is_late_is_noted_with_its_message_deadline_and_age(
    system: System,
    gate: threading.Event,
    log_folder: Path,
    records: Records,
    where: str,
) -> None:
    bad = add(system, "bad", deadline_s=HANG_S)
    bad.acts["handler"] = lambda: wait_for(gate)
    bad.acts["job"] = lambda: bad.run_job(lambda: wait_for(gate))

    delivery = done(system.send(Act(where), deadline_s=30.0))

    until(lambda: of_kind(records, "late", module="bad", activity=where))
    (late,) = of_kind(records, "late", module="bad", activity=where)
    assert late["id"] == str(delivery.id)
    assert late["deadline_s"] == pytest.approx(HANG_S)
    assert late["age_s"] > HANG_S
    (path,) = log_folder.glob("dump_*.txt")
    assert late["dump"] == str(path)
    assert answers(system, "bad")  # its successor, before the gate opens


def test_the_late_end_of_a_loop_says_how_it_ended_and_for_which_message(
    system: System, gate: threading.Event, records: Records
) -> None:
    probe = add(system, "probe")

    def stalls(loop: Loop) -> None:
        wait_for(gate)

    probe.acts["loop"] = lambda: (
        probe.run_loop(stalls, stall_s=HANG_S, what="grab") and None
    )
    delivery = done(system.send(Act("loop")))
    until(lambda: of_kind(records, "given up", module="probe"))

    gate.set()

    until(lambda: of_kind(records, "late result", what="grab"))
    (late,) = of_kind(records, "late result", what="grab")
    assert (late["how"], late["id"]) == ("done", str(delivery.id))
    assert late["generation"] == 1
    assert answers(system, "probe")


def test_a_successor_that_is_no_better_off_says_why(system: System) -> None:
    script = add_scripted(system, "lamp")

    def configure(module: Scripted) -> None:
        if module.generation > 1:
            raise DeviceError("the new bulb is dark, too")

    script.hooks["configure"] = configure
    system.start()

    system.send(Act("die"), to="lamp")

    until(lambda: system.module("lamp").state is ModuleState.DEGRADED)
    assert system.module("lamp").reason == "the new bulb is dark, too"


def test_what_takes_too_long_at_an_end_is_noted_by_module_and_name(
    system: System,
    gate: threading.Event,
    logged: list[Any],
    records: Records,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hal.kernel.aside.ASIDE_S", HANG_S)
    script = add_scripted(system, "bad")
    script.hooks["make safe"] = lambda _: wait_for(gate)

    system.send(Act("die"), to="bad")

    until(lambda: [e for e in logged if e["event"] == "takes too long"])
    (entry,) = [e for e in logged if e["event"] == "takes too long"]
    assert (entry["name"], entry["what"]) == ("bad", "make safe")
    assert "job 'make safe' of bad" in entry["why"]
    until(lambda: of_kind(records, "late", module="bad", what="make safe"))
    assert answers(system, "bad")


def test_the_log_of_a_failed_message_names_its_source(
    system: System, logged: list[Any]
) -> None:
    probe, other = add(system, "probe"), add(system, "other")

    def refuse() -> None:
        raise DeviceError("no")

    other.acts["refuse"] = refuse
    probe.acts["send"] = lambda: probe.send(Act("refuse"), to="other") and None

    done(system.send(Act("send"), to="probe"))

    until(lambda: [e for e in logged if e["event"] == "message failed"])
    (entry,) = [e for e in logged if e["event"] == "message failed"]
    assert (entry["source"], entry["type"], entry["why"]) == ("other", "act", "no")
    assert entry["module"] == "probe"


def test_the_log_keeps_the_stack_of_a_listener_that_raises(logged: list[Any]) -> None:
    def broken(record: Any) -> None:
        raise ValueError("listener")

    trace = Trace(SystemClock())
    trace.listen(broken)
    trace.start()
    trace.record("test")

    trace.stop()

    (entry,) = [e for e in logged if e["event"] == "trace listener failed"]
    assert "ValueError: listener" in str(entry)


def test_a_batch_of_frames_is_noted_with_camera_run_and_indices() -> None:
    records: Records = []
    trace = Trace(SystemClock())
    trace.listen(records.append)
    trace.start()
    trace.frames("stored", "camera", "run1", 10, 19)

    trace.stop()

    (frames,) = of_kind(records, "frames")
    assert {name: value for name, value in frames.items() if name != "t_s"} == {
        "kind": "frames",
        "camera": "camera",
        "run": "run1",
        "first": 10,
        "last": 19,
        "step": "stored",
    }


def test_a_message_that_is_not_plain_data_is_noted_as_such(
    system: System, records: Records
) -> None:
    delivery = system.send(PlaceProbe(x_um=1.0, extra={"a": object()}))

    assert only_error(delivery).kind == "InvalidMessage"
    add(system, "probe")
    assert answers(system, "probe")
    until(lambda: of_kind(records, "delivery", id=str(delivery.id)))
    (record,) = of_kind(records, "delivery", id=str(delivery.id))
    assert record["fields"] == {"(not plain data)": "TypeError"}


def test_what_a_stop_cancelled_is_noted_as_ended_by_it(
    system: System, gate: threading.Event, records: Records
) -> None:
    script = add_scripted(system, "stage")
    script.acts["job"] = lambda module: module.run_job(lambda: wait_for(gate))
    at_work = system.send(Act("job"), to="stage")
    until(lambda: system.module("stage").job_count)
    queued = system.send(Act("answer"), to="stage")

    assert done(system.send(MakeSafe(), to="stage")).errors == ()

    assert done(queued).tickets["stage"].by == "stop"
    gate.set()
    assert done(at_work).tickets["stage"].by == "job"
    assert done(system.send(Act("answer"), to="stage")).tickets["stage"].by == "handler"


def test_a_successor_that_says_nothing_of_its_state_is_loaded_again(
    system: System, logged: list[Any]
) -> None:
    class Silent(Scripted):
        """Says nothing when it is configured or started."""

        def on_configure(self, msg: Any) -> None:
            pass

        def on_start_module(self, msg: Any) -> None:
            pass

    add_scripted(system, "silent", Silent)
    system.start()
    first = system.module("silent")

    system.send(Act("die"), to="silent")

    again = successor(system, first, state="loaded")
    assert answers(system, "silent")
    assert again.reason == ""
    assert "supervisor failed" not in {entry["event"] for entry in logged}


def test_a_module_given_up_is_noted_with_its_generation_and_why(
    system: System, logged: list[Any], records: Records
) -> None:
    add_scripted(system, "lamp")

    system.send(Act("die"), to="lamp")

    until(lambda: of_kind(records, "given up", module="lamp"))
    (given_up,) = of_kind(records, "given up", module="lamp")
    assert (given_up["generation"], given_up["why"]) == (1, "the lamp has burst")
    (entry,) = [e for e in logged if e["event"] == "module given up"]
    assert (entry["name"], entry["why"]) == ("lamp", "the lamp has burst")
    assert answers(system, "lamp")


def test_only_what_was_slow_is_called_slow(system: System, logged: list[Any]) -> None:
    probe = add(system, "probe")
    nap = threading.Event()
    probe.acts["nap"] = lambda: nap.wait(0.02) and None

    for _ in range(10):
        assert answers(system, "probe")
    done(system.send(Act("nap"), to="probe"))

    until(lambda: [e for e in logged if e["event"] == "slow handler"])
    # Whatever else a busy machine has made slow.
    for entry in [e for e in logged if e["event"] == "slow handler"]:
        assert entry["took_s"] > 0.010


def test_what_a_dead_generation_says_is_refused_with_its_end(system: System) -> None:
    add_scripted(system, "lamp")
    add(system, "other")
    first = module_of(system, "lamp")
    system.send(Act("die"), to="lamp")
    until_generation(system, "lamp", 2)
    why = "generation 1 of lamp was given up: the lamp has burst"

    error = only_error(first.send(Act("answer"), to="other"))

    assert (error.kind, error.source, error.text) == ("ModuleDead", "lamp", why)
    with pytest.raises(ModuleDead, match=why):
        first.ask(Act("answer"), to="other")
    assert answers(system, "lamp")


def test_a_module_that_has_failed_is_logged_by_name_with_the_reason(
    system: System, logged: list[Any]
) -> None:
    add_scripted(system, "lamp", restart=RestartPolicy(intensity=0))

    system.send(Act("die"), to="lamp")

    reason = until_failed(system, "lamp")
    (entry,) = [e for e in logged if e["event"] == "module failed"]
    assert (entry["name"], entry["reason"]) == ("lamp", reason)
    assert reason.endswith("the last: the lamp has burst")


def test_a_broken_circle_is_told_to_programs_too(system: System) -> None:
    probe = add(system, "probe")
    probe.acts["ask"] = lambda: probe.run_job(
        lambda: probe.ask(Act("answer"), deadline_s=60.0)
    )

    error = only_error(system.send(Act("ask"), deadline_s=60.0))

    assert error.kind == "DeadlockError"
    assert error.data["path"] == "probe > probe"


def test_no_thread_of_the_kernel_keeps_a_process_alive(system: System) -> None:
    add(system, "probe")
    assert answers(system, "probe")

    threads = {t.name: t for t in threading.enumerate() if t.name.startswith("hal/")}

    assert {"hal/trace", "hal/timers", "hal/watchdog", "hal/supervisor"} <= set(threads)
    assert [name for name, thread in threads.items() if not thread.daemon] == []


def test_the_log_keeps_the_stack_of_a_constructor_that_raises(
    system: System, logged: list[Any]
) -> None:
    script = add_scripted(system, "lamp")

    def make(module: Scripted) -> None:
        if module.generation == 2:
            raise DeviceError("no such socket")

    script.hooks["make"] = make

    system.send(Act("die"), to="lamp")

    until_generation(system, "lamp", 3)
    (entry,) = [e for e in logged if e["event"] == "module not made"]
    assert entry["name"] == "lamp"
    assert "no such socket" in str(entry)
    assert answers(system, "lamp")
