"""Generations share a device: never two at once, safe first, parameters restored."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from hal.base import (
    DeviceError,
    Float,
    LinkError,
    ModuleState,
    Parametrized,
    Text,
    Value,
)
from hal.kernel import (
    CommitParameters,
    DeviceModule,
    Loop,
    MakeSafe,
    ProposeParameters,
    System,
    handles,
)
from tests.kernel.bench import (
    HANG_S,
    Records,
    done,
    of_kind,
    only_error,
    until,
    wait_for,
)
from tests.kernel.supervised import EAGER, Ledger
from tests.kernel.vocabulary import Act


class Motor(Parametrized):
    """A driver that knows if it is misused: it must be called by one thread at a time.

    `halt` and `abandon` may be called at any moment; nothing else.
    """

    identity = "Maker Motor 1"
    is_simulated = True
    speed = Float(1.0, low=0.0, high=10.0, live=True, help="How fast.")

    def __init__(self, **values: Value) -> None:
        super().__init__(**values)
        self.calls: list[str] = []
        self.outside: list[tuple[str, str]] = []
        """Calls of `halt` and `abandon`, with the thread they were made on."""
        self.misuse: list[str] = []
        self.faults: dict[str, Callable[[], object]] = {}
        self.is_open = False
        self.hardware_speed = 0.0
        self._inside = threading.Lock()

    @contextmanager
    def _used(self, call: str) -> Iterator[None]:
        if not self._inside.acquire(blocking=False):
            self.misuse.append(f"{call} during another call")
            raise DeviceError("the port is busy")
        try:
            self.calls.append(call)
            if call in self.faults:
                self.faults[call]()
            yield
        finally:
            self._inside.release()

    def open(self) -> None:
        with self._used("open"):
            if self.is_open:
                self.misuse.append("opened twice")
            self.hardware_speed = self.speed
            self.is_open = True

    def close(self) -> None:
        if not self.is_open and not self._inside.locked():
            return
        with self._used("close"):
            self.is_open = False
            self.hardware_speed = 0.0

    def safe_state(self) -> None:
        with self._used("safe state"):
            pass

    def move(self) -> str:
        with self._used("move"):
            if not self.is_open:
                self.misuse.append("moved while closed")
            return "moved"

    def apply(self, changed: Mapping[str, Value]) -> Mapping[str, Value]:
        with self._used("apply"):
            self.hardware_speed = float(changed["speed"])  # type: ignore[arg-type]
            return {}

    def halt(self) -> None:
        self.outside.append(("halt", threading.current_thread().name))

    def abandon(self) -> None:
        self.outside.append(("abandon", threading.current_thread().name))


class MotorModule(DeviceModule[Motor]):
    driver_kind = Motor
    title = Text("motor", help="What people call it.")

    @handles(Act)
    def on_act(self, msg: Act) -> object:
        if msg.what == "answer":
            return 42
        device = self.device
        if msg.what == "die":
            self.fail(DeviceError("the driver has gone mad"))
        elif msg.what == "move":
            self.run_job(device.move, what="move")
        else:
            self.run_loop(
                partial(self._grab, device),
                stall_s=HANG_S,
                what="grab",
                serves_jobs=True,
            )
        return None

    @staticmethod
    def _grab(device: Motor, loop: Loop) -> None:
        while not loop.wait(0.005):
            loop.beat()
            loop.serve_jobs()
            device.move()


@pytest.fixture(autouse=True)
def _fast_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again soon, where the module would wait a second."""
    monkeypatch.setattr("hal.kernel.device_module.RETRY_S", 0.02)
    monkeypatch.setattr("hal.kernel.device_module.RETRY_MOST_S", 0.1)


@pytest.fixture
def motor() -> Iterator[Motor]:
    motor = Motor()
    yield motor
    assert motor.misuse == []


def add_motor(system: System, motor: Motor, **kwargs: Any) -> None:
    system.add(MotorModule, "motor", driver=motor, restart=EAGER, **kwargs)


def state(system: System) -> tuple[ModuleState, str]:
    """Return state and reason."""
    module = system.module("motor")
    return module.state, module.reason


def until_started(system: System, generation: int = 1) -> None:
    """Wait until that generation, or a later one, is ready for work."""
    until(
        lambda: (
            system.module("motor").generation >= generation
            and system.module("motor").state is ModuleState.STARTED
        )
    )


def moved(system: System) -> bool:
    """Whether the motor can be moved now."""
    return done(system.send(Act("move"))).responses == {"motor": "moved"}


# -- a device that does not answer --------------------------------------------------


def test_a_device_that_does_not_answer_is_tried_again_until_it_does(
    system: System, motor: Motor
) -> None:
    attempts = iter(range(4))

    def no_answer() -> None:
        if next(attempts, None) is not None:
            raise LinkError("no answer on COM3")

    motor.faults["open"] = no_answer
    add_motor(system, motor)

    problems = system.start()

    assert [problem.kind for problem in problems] == ["LinkError"]
    until_started(system)
    assert motor.calls == ["open"] * 5
    assert moved(system)
    assert system.module("motor").generation == 1
    assert system.module("motor").reason == ""


def test_each_failed_attempt_leaves_the_reason_of_that_moment(
    system: System, motor: Motor, records: Records
) -> None:
    errors = iter([LinkError("no answer"), RuntimeError("bad checksum")])

    def fail() -> None:
        error = next(errors, None)
        if error is not None:
            raise error

    motor.faults["open"] = fail
    add_motor(system, motor)
    system.start()
    until_started(system)

    until(lambda: of_kind(records, "state", module="motor", state="started"))
    reasons = [
        record["reason"]
        for record in of_kind(records, "state", module="motor", state="degraded")
    ]
    assert reasons[0] == "no answer"
    assert "bad checksum" in reasons[1]


def test_a_degraded_module_refuses_work_and_does_not_touch_the_device(
    system: System, motor: Motor, gate: threading.Event
) -> None:
    def no_answer() -> None:
        if not gate.is_set():
            raise LinkError("no answer")

    motor.faults["open"] = no_answer
    add_motor(system, motor)
    system.start()

    error = only_error(system.send(Act("move")))

    assert (error.kind, error.text) == ("StateError", "motor is degraded: no answer")
    assert set(motor.calls) == {"open"}
    gate.set()
    until_started(system)
    assert moved(system)


def test_a_lost_connection_degrades_the_module_until_it_is_back(
    system: System, motor: Motor
) -> None:
    add_motor(system, motor)
    system.start()
    unplugged = threading.Event()
    unplugged.set()

    def lost() -> None:
        if unplugged.is_set():
            raise LinkError("the cable is out")

    motor.faults |= {"move": lost, "open": lost}
    assert only_error(system.send(Act("move"))).kind == "LinkError"
    assert state(system) == (ModuleState.DEGRADED, "the cable is out")
    until(lambda: motor.calls.count("open") >= 3)  # it is being tried again

    unplugged.clear()
    until_started(system)

    assert moved(system)
    assert motor.calls.count("close") == 1  # before it was opened again
    assert system.module("motor").generation == 1


def test_other_errors_of_a_device_do_not_degrade_it(
    system: System, motor: Motor
) -> None:
    def out_of_reach() -> None:
        raise DeviceError("out of reach")

    add_motor(system, motor)
    system.start()
    motor.faults["move"] = out_of_reach

    assert only_error(system.send(Act("move"))).text == "out of reach"

    assert state(system) == (ModuleState.STARTED, "")
    motor.faults.clear()
    assert moved(system)


# -- a call that hangs --------------------------------------------------------------


def hang_in(motor: Motor, call: str, gate: threading.Event) -> threading.Event:
    """Have the next such call hang until the gate opens; return what says it does."""
    hangs = threading.Event()
    left = [True]

    def hang() -> None:
        if left:
            left.pop()
            hangs.set()
            wait_for(gate)

    motor.faults[call] = hang
    return hangs


@pytest.mark.parametrize("where", ["job", "loop"])
def test_a_hung_call_is_abandoned_and_the_successor_waits_for_its_end(
    system: System, motor: Motor, gate: threading.Event, where: str
) -> None:
    add_motor(system, motor, deadline_s=HANG_S)
    system.start()
    hang_in(motor, "move", gate)

    sent = system.send(Act("move" if where == "job" else "grab"), deadline_s=30.0)
    if where == "job":
        assert only_error(sent).kind == "WorkerTimeout"
    until(lambda: system.module("motor").generation == 2)
    until(lambda: system.module("motor").state is ModuleState.DEGRADED)

    what = "job 'move'" if where == "job" else "loop 'grab'"
    assert f"still held by generation 1, in {what}" in state(system)[1]
    names = [name for name, _ in motor.outside]
    assert names[:2] == ["halt", "abandon"]
    assert all(thread.startswith("motor/1/") for _, thread in motor.outside[:2])
    assert all("worker" not in thread for _, thread in motor.outside)
    error = only_error(system.send(Act("move")))
    assert (error.kind, "still held" in error.text) == ("StateError", True)
    assert motor.calls == ["open", "move"]
    assert done(system.send(Act("answer"))).result() == 42

    gate.set()
    until_started(system, generation=2)

    # Closed by the last, opened by the next, safe before anything else.
    assert motor.calls[2:5] == ["close", "open", "safe state"]
    assert moved(system)
    assert system.left_behind() == ()


def test_a_device_that_hangs_at_its_opening_is_opened_once_more_when_it_is_back(
    system: System, motor: Motor, gate: threading.Event
) -> None:
    add_motor(system, motor, deadline_s=HANG_S)
    hang_in(motor, "open", gate)

    problems = system.start()

    assert "WorkerTimeout" in {problem.kind for problem in problems}
    until(lambda: system.module("motor").state is ModuleState.DEGRADED)
    assert motor.calls == ["open"]
    gate.set()
    until_started(system, generation=2)
    assert motor.calls == ["open", "close", "open", "safe state"]
    assert moved(system)


def test_hung_calls_of_several_generations_are_waited_for_one_after_the_other(
    system: System, motor: Motor
) -> None:
    add_motor(system, motor, deadline_s=HANG_S)
    system.start()
    for generation in (2, 3, 4):
        gate = threading.Event()
        hang_in(motor, "move", gate)
        only_error(system.send(Act("move"), deadline_s=30.0))
        until(lambda g=generation: system.module("motor").generation == g)  # type: ignore[misc]
        gate.set()
        until_started(system, generation=generation)

    assert moved(system)
    assert motor.calls.count("open") == 4
    assert motor.calls.count("close") == 3


def test_a_stop_while_a_call_hangs_leaves_the_device_to_it(
    system: System, motor: Motor, gate: threading.Event
) -> None:
    """The successor has not got the device: it is not for it to close."""
    add_motor(system, motor, deadline_s=HANG_S)
    system.start()
    hang_in(motor, "move", gate)
    only_error(system.send(Act("move"), deadline_s=30.0))
    until(lambda: system.module("motor").state is ModuleState.DEGRADED)

    system.stop()

    assert system.left_behind() == ("motor",)
    assert motor.calls == ["open", "move"]
    gate.set()  # a notebook goes on, and may want to open the port again
    until(lambda: motor.calls == ["open", "move", "close"])
    until(lambda: system.left_behind() == ())


def test_a_stop_during_a_call_that_hangs_does_not_call_the_driver_a_second_time(
    system: System, motor: Motor, gate: threading.Event
) -> None:
    add_motor(system, motor, deadline_s=60.0)
    system.start()
    hangs = hang_in(motor, "move", gate)
    ledger = Ledger(system)
    sent = ledger.send(Act("move"))
    assert hangs.wait(20.0)

    system.stop()

    assert only_error(sent).kind == "ModuleDead"
    assert motor.calls == ["open", "move"]
    assert [name for name, _ in motor.outside][-1] == "abandon"
    ledger.check()


# -- a successor --------------------------------------------------------------------


def test_a_module_that_dies_has_its_device_made_safe_closed_and_opened_again(
    system: System, motor: Motor
) -> None:
    add_motor(system, motor)
    system.start()

    system.send(Act("die"))
    until_started(system, generation=2)

    # Made safe by its end, unless it was not quite out of its handler.
    assert motor.calls[-4:] in (
        ["safe state", "close", "open", "safe state"],
        ["open", "close", "open", "safe state"],
    )
    assert [name for name, _ in motor.outside] == ["halt"]
    assert moved(system)


def test_parameters_are_brought_back_to_the_hardware(
    system: System, motor: Motor, gate: threading.Event
) -> None:
    add_motor(system, motor, deadline_s=HANG_S, title="before")
    system.start()
    values: dict[str, Value] = {"speed": 7.5, "title": "after"}
    done(system.send(ProposeParameters("t1", values), to="motor"))
    committed = done(system.send(CommitParameters("t1"), to="motor"))
    assert committed.result() == values
    hang_in(motor, "move", gate)
    only_error(system.send(Act("move"), deadline_s=30.0))
    until(lambda: system.module("motor").generation == 2)
    gate.set()
    until_started(system, generation=2)

    assert motor.hardware_speed == 7.5
    module = system.module("motor")
    assert isinstance(module, MotorModule)
    assert module.title == "after"


def test_a_device_that_was_restarted_is_open_once_and_closed_at_the_stop(
    system: System, motor: Motor
) -> None:
    add_motor(system, motor)
    system.start()
    for generation in range(2, 8):
        system.restart("motor")
        until_started(system, generation=generation)

    assert moved(system)
    system.stop()

    assert not motor.is_open
    assert motor.calls.count("open") == motor.calls.count("close") == 7


def test_a_device_is_made_safe_when_told_and_goes_on(
    system: System, motor: Motor
) -> None:
    add_motor(system, motor)
    system.start()

    assert done(system.send(MakeSafe(), to="motor")).errors == ()

    assert motor.calls == ["open", "safe state"]
    assert motor.outside[0][0] == "halt"
    assert moved(system)


@pytest.mark.parametrize("call", ["safe state", "close"])
def test_a_device_that_fails_at_the_end_is_opened_again_all_the_same(
    system: System, motor: Motor, call: str
) -> None:
    add_motor(system, motor)
    system.start()
    left = [True]

    def fail_once() -> None:
        if left:
            left.pop()
            raise DeviceError("no")

    motor.faults[call] = fail_once
    system.send(Act("die"))

    until_started(system, generation=2)

    assert moved(system)
