"""R9-R17, R22, R101-R108, R111: tasks on threads of their own; each ends once."""

from __future__ import annotations

import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hal.base import (
    BadInput,
    Cancelled,
    StateError,
    SystemClock,
    WorkerTimeout,
    set_log_sink,
    to_stderr,
)
from hal.kernel import WorkerManager, WorkerResult
from hal.kernel.announcer import Announcer
from hal.kernel.task import Task
from hal.kernel.waits import blocking_module
from hal.testing import FakeClock, wait_until
from hal.testing.contracts._halting import Background
from tests.kernel.bench import in_threads, wait_for

PATIENCE_S = 20.0
ROOT = Path(__file__).resolve().parents[2]


class Heard:
    """Everything a manager tells, by signals and callbacks."""

    def __init__(self, workers: WorkerManager) -> None:
        self.signals: list[tuple[str, str]] = []
        self.results: dict[str, list[WorkerResult[Any]]] = {}
        self.calls: list[tuple[str, WorkerResult[Any]]] = []
        workers.started.connect(self.on_started)
        workers.completed.connect(self.on_completed)
        workers.error.connect(self.on_error)
        workers.timeout.connect(self.on_timeout)

    def on_started(self, name: str) -> None:
        self.signals.append(("started", name))

    def on_completed(self, name: str, result: WorkerResult[Any]) -> None:
        self.signals.append(("completed", name))
        self.results.setdefault(name, []).append(result)

    def on_error(self, name: str, result: WorkerResult[Any]) -> None:
        self.signals.append(("error", name))
        self.results.setdefault(name, []).append(result)

    def on_timeout(self, name: str) -> None:
        self.signals.append(("timeout", name))

    def callbacks(self) -> dict[str, Callable[[WorkerResult[Any]], object]]:
        """Return the callbacks to submit a task with."""
        return {
            "on_complete": lambda result: self.calls.append(("complete", result)),
            "on_error": lambda result: self.calls.append(("error", result)),
        }

    def of(self, name: str) -> list[str]:
        """Return the signals about `name`, in order."""
        return [signal for signal, about in list(self.signals) if about == name]


Make = Callable[..., WorkerManager]


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What hung tasks wait for; opened at the test's end at the latest."""
    gate = threading.Event()
    yield gate
    gate.set()


@pytest.fixture
def make(gate: threading.Event) -> Iterator[Make]:
    """Make managers that are shut down, in real time, when the test is over."""
    made: list[WorkerManager] = []

    def make(*args: Any, **kwargs: Any) -> WorkerManager:
        made.append(WorkerManager(*args, **kwargs))
        return made[-1]

    yield make
    gate.set()
    for workers in made:
        workers.shutdown(wait=False)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def pass_time(clock: FakeClock, workers: WorkerManager, seconds: float) -> None:
    """Advance once the timer thread has taken note of everything, and let it act."""
    timers = workers._timers
    wait_until(lambda: clock.waiting and not timers._changed.is_set())
    clock.advance(seconds)


def of_event(logged: list[Any], event: str) -> list[Any]:
    return [entry for entry in list(logged) if entry["event"] == event]


# -- how a task ends ------------------------------------------------------------------


def test_a_task_that_returns_is_told_by_signals_and_callback(make: Make) -> None:
    workers = make()
    heard = Heard(workers)

    name = workers.submit("add", lambda: 1 + 1, **heard.callbacks())

    wait_until(lambda: heard.of("add") == ["started", "completed"])
    wait_until(lambda: heard.calls)
    ((called, result),) = heard.calls
    assert (name, called) == ("add", "complete")
    assert (result.success, result.value, result.timed_out) == (True, 2, False)
    assert (result.error, result.stack_trace) == (None, "")
    assert heard.results["add"] == [result]


@pytest.mark.parametrize("exc", [ValueError("boom"), SystemExit(3), RecursionError()])
def test_a_task_that_raises_has_its_error_and_stack(
    make: Make, logged: list[Any], exc: BaseException
) -> None:
    workers = make()
    heard = Heard(workers)

    def broken() -> None:
        raise exc

    workers.submit("scan", broken, **heard.callbacks())

    wait_until(lambda: heard.of("scan") == ["started", "error"])
    wait_until(lambda: heard.calls)
    ((called, result),) = heard.calls
    assert (called, result.success, result.timed_out) == ("error", False, False)
    assert result.error is exc
    assert "in broken\n" in result.stack_trace
    with pytest.raises(type(exc)):
        result.raise_if_error()
    (entry,) = of_event(logged, "task failed")
    assert (entry["level"], entry["task"]) == ("error", "scan")
    assert type(exc).__name__ in entry["reason"]
    assert entry["exception"] == result.stack_trace


def test_a_task_past_its_limit_is_given_up_with_all_stacks(
    make: Make, gate: threading.Event, logged: list[Any], tmp_path: Path
) -> None:
    workers = make(dump_folder=tmp_path / "logs")
    heard, real = Heard(workers), SystemClock()
    started_s = real.monotonic_s()

    def hang_here() -> None:
        wait_for(gate)

    workers.submit("../scan", hang_here, timeout_ms=100, **heard.callbacks())

    wait_until(lambda: heard.calls)
    assert 0.1 <= real.monotonic_s() - started_s < 1.1
    ((called, result),) = heard.calls
    assert (called, result.success, result.timed_out) == ("error", False, True)
    assert isinstance(result.error, WorkerTimeout)
    assert "task '../scan' has been going on for 0.1" in str(result.error)
    stack = result.stack_trace.split("Thread worker/../scan ")[1].split("\nThread ")[0]
    assert "in hang_here\n" in stack
    assert "Thread MainThread " in result.stack_trace
    (path,) = (tmp_path / "logs").iterdir()
    assert path.name.endswith("_000____scan.txt")
    text = path.read_text(encoding="utf-8")
    assert text == f"Hung: ../scan\n\n{result.stack_trace}"
    assert result.error.data["dump_file"] == str(path)
    assert str(path) in str(result.error)
    wait_until(lambda: heard.of("../scan") == ["started", "timeout"])
    (entry,) = of_event(logged, "task timed out")
    assert entry["exception"] == result.stack_trace
    assert workers.left_behind() == ("../scan",)


def test_what_a_hung_task_returns_at_last_changes_nothing(
    make: Make, gate: threading.Event, logged: list[Any]
) -> None:
    workers = make()
    heard = Heard(workers)
    workers.submit("scan", lambda: wait_for(gate), timeout_ms=20, **heard.callbacks())
    wait_until(lambda: heard.of("scan") == ["started", "timeout"])

    gate.set()

    wait_until(lambda: of_event(logged, "late result ignored"))
    wait_until(lambda: workers.left_behind() == ())
    assert workers.shutdown(timeout_s=PATIENCE_S) == ()
    assert [called for called, _ in heard.calls] == ["error"]
    assert heard.of("scan") == ["started", "timeout"]
    (entry,) = of_event(logged, "late result ignored")
    assert (entry["task"], entry["success"]) == ("scan", True)


def test_a_task_that_ended_in_time_never_times_out(
    make: Make, clock: FakeClock
) -> None:
    workers = make(clock=clock)
    heard = Heard(workers)
    for number in range(20):
        workers.submit(str(number), int, timeout_ms=1_000, **heard.callbacks())
    wait_until(lambda: len(heard.calls) == 20)

    pass_time(clock, workers, 1.5)
    # Whatever was due has been taken up, so that the next round finds it done.
    wait_until(lambda: all(t[0] > clock.monotonic_s() for t in workers._timers._heap))
    pass_time(clock, workers, 100.0)
    assert workers.shutdown(timeout_s=PATIENCE_S) == ()

    assert all(heard.of(str(n)) == ["started", "completed"] for n in range(20))


@pytest.mark.usefixtures("_switching_often")
def test_a_task_that_ends_at_its_limit_has_one_outcome(make: Make) -> None:
    workers = make(max_workers=8)
    heard, count, pause = Heard(workers), 300, threading.Event()
    named: list[tuple[str, str]] = []

    for number in range(count):
        workers.submit(
            str(number),
            lambda: pause.wait(0.005),
            timeout_ms=5,
            on_complete=lambda _, n=str(number): named.append((n, "completed")),
            on_error=lambda result, n=str(number): named.append(
                (n, "timeout" if result.timed_out else "error")
            ),
        )
    assert workers.shutdown(timeout_s=2 * PATIENCE_S) == ()

    assert len(named) == len(dict(named)) == count
    assert sorted(named) == sorted(
        (name, signal) for signal, name in heard.signals if signal != "started"
    )


@pytest.mark.usefixtures("_switching_often")
def test_of_many_threads_that_end_a_task_one_wins() -> None:
    for _ in range(100):
        task = Task("scan", int, None, None, None, copy_context())
        won: list[int] = []

        def end(number: int, t: Task = task, w: list[int] = won) -> None:
            if t.claim():
                w.append(number)

        in_threads(4, end)
        assert len(won) == 1


def test_a_task_that_has_ended_keeps_nothing_alive(make: Make) -> None:
    class Image:
        pass

    workers, image = make(), Image()
    gone = weakref.ref(image)
    heard = Heard(workers)
    workers.submit("scan", partial(id, image), timeout_ms=60_000)
    del image

    wait_until(lambda: heard.of("scan") == ["started", "completed"])
    wait_until(lambda: gone() is None)


def test_the_limit_counts_from_when_the_task_runs(
    make: Make, clock: FakeClock, gate: threading.Event
) -> None:
    workers = make(max_workers=1, clock=clock)
    heard = Heard(workers)
    workers.submit("long", lambda: wait_for(gate))
    workers.submit("next", int, timeout_ms=1_000, **heard.callbacks())

    pass_time(clock, workers, 30.0)
    gate.set()

    wait_until(lambda: heard.of("next") == ["started", "completed"])


@pytest.mark.parametrize(("strict", "ends"), [(True, ["timeout"]), (False, [])])
def test_strict_mode_limits_a_task_to_60_s(
    make: Make, clock: FakeClock, gate: threading.Event, strict: bool, ends: list[str]
) -> None:
    workers = make(strict=strict, clock=clock)
    heard = Heard(workers)
    workers.submit("scan", lambda: wait_for(gate))
    workers.submit("short", lambda: wait_for(gate), timeout_ms=60_500)
    wait_until(lambda: len(heard.signals) == 2)

    pass_time(clock, workers, 59.9)
    pass_time(clock, workers, 0.2)
    # What is told of last tells that the first would have been told of, too.
    pass_time(clock, workers, 0.5)
    wait_until(lambda: heard.of("short") == ["started", "timeout"])

    assert heard.of("scan") == ["started", *ends]


def test_a_paused_machine_is_no_hang(
    make: Make, clock: FakeClock, gate: threading.Event
) -> None:
    workers = make(clock=clock)
    heard = Heard(workers)
    workers.submit("scan", lambda: wait_for(gate), timeout_ms=5_000)
    other = threading.Event()
    workers.submit("hung", lambda: wait_for(other), timeout_ms=5_000)
    wait_until(lambda: len(heard.signals) == 2)

    pass_time(clock, workers, 3_600.0)
    wait_until(lambda: all(t.was_spared for t in workers._running.values()))
    gate.set()
    wait_until(lambda: heard.of("scan") == ["started", "completed"])

    pass_time(clock, workers, 0.2)
    wait_until(lambda: heard.of("hung") == ["started", "timeout"])
    other.set()


# -- names and room -------------------------------------------------------------------


def test_equal_names_are_told_apart(make: Make, gate: threading.Event) -> None:
    workers = make()
    heard = Heard(workers)

    names = [
        workers.submit("scan", lambda n=number: (wait_for(gate), n)[1])
        for number in range(6)
    ]
    gate.set()

    assert names == ["scan", *(f"scan-{number}" for number in range(2, 7))]
    wait_until(lambda: len(heard.results) == 6)
    assert [heard.results[name][0].value for name in names] == list(range(6))
    wait_until(lambda: not workers._untold)
    assert workers.submit("scan", int) == "scan"


def test_a_name_is_not_given_again_while_its_task_hangs(
    make: Make, gate: threading.Event
) -> None:
    workers = make()
    heard = Heard(workers)
    workers.submit("scan", lambda: wait_for(gate), timeout_ms=20)
    wait_until(lambda: heard.of("scan") == ["started", "timeout"])

    assert workers.submit("scan", int) == "scan-2"

    gate.set()
    wait_until(lambda: workers.left_behind() == () and not workers._untold)
    assert workers.submit("scan", int) == "scan"


def test_at_most_max_workers_run_at_once(make: Make) -> None:
    workers = make(max_workers=3)
    heard, pause = Heard(workers), threading.Event()
    at_work: list[int] = []
    most: list[int] = []

    def task() -> None:
        at_work.append(1)
        most.append(len(at_work))
        pause.wait(0.002)
        at_work.pop()

    for number in range(60):
        workers.submit(str(number), task, **heard.callbacks())
    wait_until(lambda: len(heard.calls) == 60)

    assert max(most) == 3
    assert [result.error for _, result in heard.calls] == [None] * 60


def test_hung_tasks_use_up_no_room(make: Make, gate: threading.Event) -> None:
    workers = make(max_workers=2)
    heard = Heard(workers)
    for number in range(10):
        workers.submit(f"hung{number}", lambda: wait_for(gate), timeout_ms=20)

    workers.submit("good", lambda: "good", **heard.callbacks())

    wait_until(lambda: heard.calls)
    assert heard.calls[0][1].value == "good"
    wait_until(lambda: len(workers.left_behind()) == 10)


def test_a_module_that_waits_is_not_blamed_for_its_tasks(make: Make) -> None:
    workers = make()
    seen: list[str] = []
    token = blocking_module.set("stage")
    workers.submit("scan", lambda: seen.append(blocking_module.get()))
    blocking_module.reset(token)

    wait_until(lambda: seen)
    assert seen == [""]


@pytest.mark.parametrize("timeout_ms", [0, -2, float("nan"), float("inf"), 1e12])
def test_a_limit_that_makes_no_sense_is_refused(make: Make, timeout_ms: float) -> None:
    workers = make()

    with pytest.raises(BadInput, match=r"timeout_ms of 'scan' is .*: expected -1"):
        workers.submit("scan", int, timeout_ms=timeout_ms)

    assert workers.submit("scan", int) == "scan"


def test_no_workers_at_all_are_refused() -> None:
    with pytest.raises(BadInput, match="max_workers is 0: expected at least 1"):
        WorkerManager(0)


# -- callbacks and slots that misbehave -----------------------------------------------


@pytest.mark.parametrize("fails", [False, True])
def test_a_callback_that_raises_is_logged_and_changes_nothing(
    make: Make, logged: list[Any], fails: bool
) -> None:
    workers = make()
    heard = Heard(workers)
    called: list[bool] = []

    def evil(result: WorkerResult[Any]) -> None:
        called.append(result.success)
        raise SystemExit

    workers.submit(
        "scan", (lambda: 1 // 0) if fails else int, on_complete=evil, on_error=evil
    )

    wait_until(lambda: of_event(logged, "callback failed"))
    assert workers.shutdown(timeout_s=PATIENCE_S) == ()
    assert called == [not fails]
    assert heard.of("scan") == ["started", "error" if fails else "completed"]


def test_a_callback_that_hangs_is_reported_and_makes_room(
    make: Make, clock: FakeClock, gate: threading.Event, logged: list[Any]
) -> None:
    workers = make(max_workers=1, clock=clock)
    heard = Heard(workers)
    calling = threading.Event()

    def hang(_: object) -> None:
        calling.set()
        wait_for(gate)

    workers.submit("bad", int, on_complete=hang)
    workers.submit("good", int, **heard.callbacks())
    assert calling.wait(PATIENCE_S)
    assert heard.of("good") == []

    pass_time(clock, workers, 60.1)

    wait_until(lambda: heard.calls)
    (entry,) = of_event(logged, "callback hangs")
    assert entry["task"] == "bad"
    gate.set()
    assert workers.shutdown(timeout_s=PATIENCE_S) == ()
    assert workers._running == {}


def test_a_callback_may_submit_the_next_task(make: Make) -> None:
    workers = make(max_workers=1)
    heard = Heard(workers)

    workers.submit(
        "first",
        int,
        on_complete=lambda _: workers.submit("second", int, **heard.callbacks()),
    )

    wait_until(lambda: heard.of("second") == ["started", "completed"])


def test_a_slot_that_raises_is_logged_and_the_callback_is_called(
    make: Make, logged: list[Any]
) -> None:
    workers = make()
    heard = Heard(workers)

    def evil(_name: str) -> None:
        raise ValueError("slot")

    workers.started.connect(evil)
    workers.submit("scan", int, **heard.callbacks())

    wait_until(lambda: heard.of("scan") == ["started", "completed"])
    wait_until(lambda: heard.calls)
    (entry,) = of_event(logged, "callback failed")
    assert "slot" in entry["exception"]
    assert "started" in entry["reason"]


def test_a_slot_that_hangs_holds_up_signals_only(
    make: Make, gate: threading.Event
) -> None:
    workers = make(max_workers=1)
    heard = Heard(workers)
    workers.started.connect(lambda _name: wait_for(gate))

    for number in range(20):
        workers.submit(str(number), int, **heard.callbacks())

    wait_until(lambda: len(heard.calls) == 20)
    assert len(heard.signals) <= 1
    gate.set()
    wait_until(lambda: len(heard.signals) == 40)
    assert heard.signals == [
        (signal, str(n)) for n in range(20) for signal in ("started", "completed")
    ]


def test_signals_nobody_can_take_are_bounded_and_the_loss_is_told(
    make: Make, gate: threading.Event, logged: list[Any], clock: FakeClock
) -> None:
    workers = make()
    announcer = Announcer("signals", clock)
    workers.started.connect(lambda _name: wait_for(gate))

    for number in range(10_005):
        announcer.announce(workers.started, str(number))

    lost = of_event(logged, "signal dropped: a slot hangs")
    assert len(lost) in (4, 5)  # the first may have been taken out already
    assert lost[0]["signal"] == "started"
    gate.set()
    assert announcer.wait_until_idle(1.0)


# -- shutting down --------------------------------------------------------------------


def test_shutdown_waits_for_what_ends_in_time(
    make: Make, gate: threading.Event
) -> None:
    workers = make()
    heard = Heard(workers)
    workers.submit("scan", lambda: wait_for(gate), **heard.callbacks())
    left: list[tuple[str, ...]] = []
    ending = Background(lambda: left.append(workers.shutdown(timeout_s=PATIENCE_S)))
    assert not ending.join(0.05)

    gate.set()

    assert ending.join(PATIENCE_S)
    assert left == [()]
    assert heard.signals == [("started", "scan"), ("completed", "scan")]
    assert [called for called, _ in heard.calls] == ["complete"]


@pytest.mark.parametrize("wait", [True, False])
def test_shutdown_cancels_what_waits_and_leaves_behind_what_hangs(
    make: Make, gate: threading.Event, wait: bool
) -> None:
    workers = make(max_workers=1)
    heard, real = Heard(workers), SystemClock()
    workers.submit("hung", lambda: wait_for(gate), **heard.callbacks())
    ran: list[int] = []
    for number in range(3):
        workers.submit(str(number), lambda: ran.append(1), **heard.callbacks())
    wait_until(lambda: heard.of("hung"))
    began_s = real.monotonic_s()

    left = workers.shutdown(wait=wait, timeout_s=0.3 if wait else PATIENCE_S)

    took_s = real.monotonic_s() - began_s
    assert took_s < 1.3
    assert took_s >= 0.3 or not wait
    assert "hung" in left
    wait_until(lambda: len(heard.calls) == 4)
    results = {str(result.error): result for _, result in heard.calls}
    assert all(isinstance(result.error, Cancelled) for result in results.values())
    assert {called for called, _ in heard.calls} == {"error"}
    text = "task 'hung' was given up: it had not ended at the shutdown"
    assert "Thread worker/hung " in results[text].stack_trace
    assert results["task '0' was cancelled before it began"].stack_trace == ""
    gate.set()
    wait_until(lambda: workers.left_behind() == ())
    wait_until(lambda: len(heard.signals) == 5)
    assert [heard.of(name) for name in "012"] == [["error"]] * 3
    assert heard.of("hung") == ["started", "error"]
    assert ran == []
    assert workers._running == {}
    assert not workers._queue


def test_a_task_given_up_before_its_thread_begins_is_not_run(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers, ran = make(), []
    heard, begin = Heard(workers), threading.Thread.start
    slow: list[threading.Thread] = []

    def start(thread: threading.Thread) -> None:
        if thread.name == "worker/scan":
            slow.append(thread)
        else:
            begin(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    workers.submit("scan", lambda: ran.append(1), **heard.callbacks())
    workers.shutdown(wait=False)
    wait_until(lambda: heard.of("scan") == ["error"])
    begin(slow[0])
    slow[0].join(PATIENCE_S)

    assert ran == []
    assert heard.of("scan") == ["error"]


def test_after_a_shutdown_tasks_are_refused_and_a_second_one_does_nothing(
    make: Make,
) -> None:
    with make() as workers:
        workers.submit("scan", int)

    with pytest.raises(StateError, match="'scan' not accepted: workers are shut down"):
        workers.submit("scan", int)
    assert workers.shutdown() == ()


def test_a_hung_callback_does_not_hold_up_the_shutdown(
    make: Make, gate: threading.Event, logged: list[Any]
) -> None:
    workers, calling = make(), threading.Event()

    def hang(_: object) -> None:
        calling.set()
        wait_for(gate)

    workers.submit("scan", int, on_complete=hang)
    assert calling.wait(PATIENCE_S)

    assert workers.shutdown(timeout_s=0.05) == ("scan",)

    (entry,) = of_event(logged, "tasks left behind at shutdown")
    assert entry["tasks"] == "scan"


@pytest.mark.usefixtures("_switching_often")
def test_tasks_from_many_threads_amid_a_shutdown_each_end_once(make: Make) -> None:
    for _ in range(10):
        workers = make(max_workers=3)
        heard = Heard(workers)
        accepted: list[str] = []

        def work(number: int, w: Any = workers, h: Any = heard, a: Any = accepted):
            if number == 0:
                wait_until(lambda: len(a) > 20)
                assert w.shutdown(timeout_s=PATIENCE_S) == ()
                return
            for _ in range(30):
                try:
                    a.append(w.submit("task", int, 1_000, **h.callbacks()))
                except StateError:
                    return

        in_threads(4, work)

        assert len(accepted) > 20
        ends = [signal for signal, _ in heard.signals if signal != "started"]
        assert len(ends) == len(heard.calls) == len(accepted)
        assert workers._running == workers._untold == workers._given_up == {}


def test_a_process_with_a_hung_task_exits_at_once() -> None:
    code = (
        "import threading\n"
        "from hal.kernel import WorkerManager\n"
        "workers, began = WorkerManager(), threading.Event()\n"
        "hang = lambda: (began.set(), threading.Event().wait())\n"
        "workers.submit('hung', hang, on_error=lambda _: None)\n"
        "assert began.wait(10)\n"
        "print('end')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20.0,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr


# -- what the machine does not give ---------------------------------------------------


def test_a_task_that_gets_no_thread_ends_with_the_reason(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = make()
    heard = Heard(workers)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    for number in range(3):
        workers.submit(str(number), int, **heard.callbacks())
    monkeypatch.undo()

    assert [str(result.error) for _, result in heard.calls] == [
        f"'{number}' got no thread: can't start new thread" for number in range(3)
    ]
    assert heard.signals == [("error", str(number)) for number in range(3)]
    workers.submit("good", int)
    wait_until(lambda: heard.of("good") == ["started", "completed"])


def test_a_time_out_is_told_even_if_no_thread_is_left(
    make: Make, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = make()
    heard = Heard(workers)
    workers.submit("hung", lambda: wait_for(gate), timeout_ms=200, **heard.callbacks())
    wait_until(lambda: heard.of("hung") == ["started"])

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    wait_until(lambda: heard.calls and heard.of("hung") == ["started", "timeout"])

    assert heard.calls[0][1].timed_out


def test_a_folder_that_takes_no_file_costs_the_file_only(
    make: Make, gate: threading.Event, logged: list[Any], tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    workers = make(dump_folder=blocked)
    heard = Heard(workers)

    workers.submit("hung", lambda: wait_for(gate), timeout_ms=20, **heard.callbacks())

    wait_until(lambda: heard.calls)
    result = heard.calls[0][1]
    assert "Thread worker/hung " in result.stack_trace
    assert isinstance(result.error, WorkerTimeout)
    assert result.error.data["dump_file"] == ""
    assert of_event(logged, "thread dump not written")


def test_dump_files_are_limited_and_stacks_are_not(
    make: Make, gate: threading.Event, tmp_path: Path
) -> None:
    workers = make(dump_folder=tmp_path)
    for _ in range(205):
        workers._dumps.write("stacks", "scan")

    assert len(list(tmp_path.iterdir())) == 10
    heard = Heard(workers)
    workers.submit("hung", lambda: wait_for(gate), timeout_ms=20, **heard.callbacks())
    wait_until(lambda: heard.calls)
    assert "Thread worker/hung " in heard.calls[0][1].stack_trace


def test_a_time_out_without_stderr_is_told_all_the_same(
    make: Make, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    previous = set_log_sink(to_stderr)
    monkeypatch.setattr(sys, "stderr", None)
    try:
        workers = make()
        heard = Heard(workers)
        workers.submit(
            "hung", lambda: wait_for(gate), timeout_ms=20, **heard.callbacks()
        )
        wait_until(lambda: heard.calls)
    finally:
        set_log_sink(previous)
    assert heard.calls[0][1].timed_out


def test_a_task_is_given_up_even_if_its_stacks_cannot_be_had(
    make: Make, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> str:
        raise MemoryError

    monkeypatch.setattr("hal.kernel.worker_manager.dump_threads", broken)
    workers = make()
    heard = Heard(workers)
    workers.submit("hung", lambda: wait_for(gate), timeout_ms=20, **heard.callbacks())

    wait_until(lambda: heard.calls)

    assert heard.calls[0][1].stack_trace == "(no stacks: see the log)"
