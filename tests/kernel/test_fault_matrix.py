"""R1, R2, R14, R103, R107: whatever one module does, the other four answer throughout.

One module of five misbehaves, in its handler, a job or a loop. Asserted each time: the
others answer quickly; every message ends exactly once, with one outcome of each of its
receivers; afterwards the module works again, or is `failed` and says why; HAL stops in
its budget, and no thread is left once what hung has been let go.
"""

from __future__ import annotations

import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from hal.base import ModuleState
from hal.kernel import Delivery, Loop, RestartPolicy, System
from tests.kernel.bench import PATIENCE_S, Records, done, of_kind, until
from tests.kernel.supervised import (
    EAGER,
    Ledger,
    Pooled,
    Scripted,
    add_scripted,
    check_outcomes,
    die,
    ended_once,
    module_of,
)
from tests.kernel.vocabulary import Act, ActAtOnce, Noted

HANG_S = 0.2
USUAL_S = 0.05
"""What the median answer of a bystander may take, on a machine that is busy."""
LONGEST_S = 2.0
GOOD = {"pinned1": Scripted, "pinned2": Scripted, "pool1": Pooled, "pool2": Pooled}


class Trouble:
    """What faults need: a gate and a lock that hold them."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.lock = threading.Lock()
        self.lock.acquire()
        self.deed: Delivery | None = None
        """The message that the bad module is about."""

    def let_go(self) -> None:
        """Let what hangs come back."""
        if not self.gate.is_set():
            self.gate.set()
            self.lock.release()


Fault = Callable[[Trouble, Scripted], object]


def raises(_trouble: Trouble, _module: Scripted) -> object:
    raise ValueError("defect")


def exits(_trouble: Trouble, _module: Scripted) -> object:
    sys.exit("defect")


def sleeps(trouble: Trouble, _module: Scripted) -> object:
    while not trouble.gate.is_set():
        time.sleep(0.02)
    return "too late"


def locked(trouble: Trouble, _module: Scripted) -> object:
    with trouble.lock:
        return "too late"


def spins(trouble: Trouble, _module: Scripted) -> object:
    while not trouble.gate.is_set():
        pass
    return "too late"


def is_slow(_trouble: Trouble, _module: Scripted) -> object:
    time.sleep(HANG_S / 2)
    return 1


def dies(_trouble: Trouble, module: Scripted) -> object:
    return die(module)


def recurses(trouble: Trouble, module: Scripted) -> object:
    return recurses(trouble, module)


def eats_memory(_trouble: Trouble, _module: Scripted) -> object:
    return bytearray(10**18)


def answers_late(trouble: Trouble, _module: Scripted) -> object:
    """Answer a message that has ended: its sender has not waited for so long."""
    until(lambda: trouble.deed is not None and trouble.deed.complete)
    return "too late"


def sends_elsewhere(_trouble: Trouble, module: Scripted) -> object:
    """Send from a thread that HAL does not know, like a maker's callback."""

    def callback() -> None:
        for number in range(20):
            module.send(Noted("bad", number))

    thread = threading.Thread(target=callback)
    thread.start()
    thread.join(PATIENCE_S)
    return 1


HANGS: tuple[Fault, ...] = (sleeps, locked, spins)
DEFECTS: tuple[Fault, ...] = (raises, exits, recurses, eats_memory)
ANYWHERE: tuple[Fault, ...] = (*DEFECTS, *HANGS, dies)


class Cell(NamedTuple):
    fault: Fault
    where: str
    kind: type[Scripted]
    policy: RestartPolicy = EAGER

    @property
    def name(self) -> str:
        """What the test is called."""
        failing = "" if self.policy is EAGER else "-failing"
        name = self.fault.__name__.replace("_", " ")
        return f"{name}-{self.where}-{self.kind.__name__.lower()}{failing}"


def cells() -> Iterator[Cell]:
    kinds = (Scripted, Pooled)
    for number, fault in enumerate(ANYWHERE):
        for place, where in enumerate(("handler", "job", "loop")):
            yield Cell(fault, where, kinds[(number + place) % 2])
    for fault in (is_slow, answers_late, sends_elsewhere):
        yield Cell(fault, "handler", Pooled)
        yield Cell(fault, "job", Scripted)
    for fault in (sleeps, dies):
        yield Cell(fault, "handler", Pooled, RestartPolicy(intensity=0))


def do(fault: Fault, where: str, trouble: Trouble, module: Scripted) -> object:
    """Do the deed in that place of a module."""
    if where == "handler":
        return fault(trouble, module)
    if where == "job":
        module.run_job(lambda: fault(trouble, module))
        return None

    def loop(_loop: Loop) -> None:
        fault(trouble, module)

    module.run_loop(loop, stall_s=HANG_S, what="bad loop")
    return None


@pytest.fixture
def trouble(system: System) -> Iterator[Trouble]:
    trouble = Trouble()
    yield trouble
    trouble.let_go()


@pytest.fixture(autouse=True)
def _as_hal_does() -> Iterator[None]:
    """Let threads change as often as HAL has them do."""
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    yield
    sys.setswitchinterval(before_s)


@pytest.fixture
def flood_size(request: pytest.FixtureRequest) -> int:
    """Many more than a mailbox holds; fewer where each takes longer."""
    return 100_000 if "direct" in request.node.name else 25_000


class Bystanders:
    """Four modules that only want to do their work."""

    def __init__(self, system: System, ledger: Ledger) -> None:
        self.took_s: list[float] = []
        self.scripts = {n: add_scripted(system, n, kind) for n, kind in GOOD.items()}
        self._ledger = ledger

    def ask_all(self, message: Act | ActAtOnce) -> None:
        """Have each answer, and note how long it takes."""
        for name in GOOD:
            started_s = time.monotonic()
            answer = self._ledger.send(message, to=name)
            answer.wait(PATIENCE_S)
            self.took_s.append(time.monotonic() - started_s)
            assert answer.responses == {name: 42}, answer.errors

    def check(self) -> None:
        """Fail unless they were as quick as ever."""
        assert statistics.median(self.took_s) < USUAL_S
        assert max(self.took_s) < LONGEST_S


@pytest.mark.parametrize("cell", [pytest.param(cell, id=cell.name) for cell in cells()])
def test_one_of_five_is_in_trouble(
    system: System, trouble: Trouble, records: Records, cell: Cell
) -> None:
    ledger = Ledger(system)
    others = Bystanders(system, ledger)
    # Others have all the time they need: a busy machine is no hang.
    hangs = cell.fault in HANGS and cell.where != "loop"
    deadline_s = HANG_S if hangs else 5.0
    script = add_scripted(
        system, "bad", cell.kind, restart=cell.policy, deadline_s=deadline_s
    )
    script.acts["misbehave"] = lambda module: do(
        cell.fault, cell.where, trouble, module
    )
    assert system.start() == ()
    threads = threading.active_count()
    first = module_of(system, "bad")
    patience_s = 0.05 if cell.fault is answers_late else 10.0

    deed = ledger.send(Act("misbehave"), to="bad", deadline_s=patience_s)
    trouble.deed = deed
    events = [ledger.send(Noted("test", number)) for number in range(20)]
    for _ in range(6):
        others.ask_all(Act("answer"))
    done(deed)
    goes_down = cell.fault in (*HANGS, dies)
    if goes_down:
        until(lambda: first.is_given_up)
    is_back = comes_back(system, ledger)
    others.ask_all(Act("answer"))
    others.check()

    kinds = [error.kind for error in deed.errors]
    if cell.where == "loop":
        assert kinds == [] or cell.fault is dies
        until(lambda: not module_of(system, "bad").loops)
    elif cell.fault in (*HANGS, answers_late):
        assert kinds == ["WorkerTimeout"]
    elif cell.fault in DEFECTS:
        assert kinds == ["HandlerFailed"]
    assert is_back is (cell.policy is EAGER)
    assert (module_of(system, "bad") is not first) is (goes_down and is_back)
    if not is_back:
        assert "given up after 1 ends" in module_of(system, "bad").reason
    for name, other in others.scripts.items():
        heard = [number for number, _ in other.seen]
        assert heard[: len(events)] == list(range(20)) or (
            cell.fault is sends_elsewhere and sorted(heard) == sorted([*range(20)] * 2)
        ), name
        assert system.module(name).generation == 1
    started_s = time.monotonic()
    system.stop(3.0)
    assert time.monotonic() - started_s < 3.5
    trouble.let_go()

    ledger.check()
    until(lambda: not [t for t in threading.enumerate() if "bad/" in t.name])
    assert threading.active_count() <= threads
    assert ended_once(records)
    assert [r for r in records if r["kind"] == "gap"] == []


def comes_back(system: System, ledger: Ledger) -> bool:
    """Return True when the bad module answers again, False when it has failed."""
    while system.module("bad").state is not ModuleState.FAILED:
        if done(ledger.send(Act("answer"), to="bad")).responses == {"bad": 42}:
            return True
    (error,) = done(ledger.send(Act("answer"), to="bad")).errors
    assert error.kind == "ModuleDead"
    assert system.module("bad").reason in error.text
    return False


def test_a_flood_of_messages_to_one_is_refused_and_the_others_do_not_notice(
    system: System, trouble: Trouble, flood_size: int
) -> None:
    ledger = Ledger(system)
    others = Bystanders(system, ledger)
    script = add_scripted(system, "bad", Pooled, deadline_s=60.0)
    script.acts["wait"] = lambda module: sleeps(trouble, module)
    flood: list[Delivery] = []
    waiting = ledger.send(Act("wait"), to="bad", deadline_s=60.0)

    def send_many() -> None:
        for number in range(flood_size):
            message = Noted("test", number)
            flood.append(system.send(message, to="bad", deadline_s=120.0))

    sender = threading.Thread(target=send_many)
    sender.start()
    while sender.is_alive():
        others.ask_all(Act("answer"))
    trouble.let_go()
    done(waiting)
    for delivery in flood:
        check_outcomes(done(delivery))
    others.check()

    refused = [d for d in flood if d.errors]
    assert {d.errors[0].kind for d in refused} == {"MailboxFull"}
    kept = [number for number, _ in script.seen]
    assert len(kept) + len(refused) == flood_size
    assert kept == sorted(kept)
    assert kept[:20_000] == list(range(20_000))
    assert done(ledger.send(Act("answer"), to="bad")).result() == 42
    ledger.check()


def test_a_flood_of_messages_by_one_does_not_keep_the_others_from_answering(
    system: System, records: Records, flood_size: int
) -> None:
    ledger = Ledger(system)
    others = Bystanders(system, ledger)
    script = add_scripted(system, "bad", Pooled)
    flood: list[Delivery] = []

    def pour(loop: Loop) -> None:
        module = module_of(system, "bad")
        for number in range(flood_size):
            flood.append(module.send(Noted("bad", number), to="pool1"))
            loop.beat()

    script.acts["flood"] = lambda module: (
        module.run_loop(pour, stall_s=60.0, what="flood") and None
    )
    done(ledger.send(Act("flood"), to="bad"))
    while module_of(system, "bad").loops:
        others.ask_all(ActAtOnce("answer"))
    for delivery in flood:
        check_outcomes(done(delivery))
    others.check()

    assert len(flood) == flood_size
    failed = {error.kind for delivery in flood for error in delivery.errors}
    assert failed <= {"MailboxFull"}
    arrived = [number for number, _ in others.scripts["pool1"].seen]
    assert len(arrived) == len([d for d in flood if not d.errors])
    assert arrived == sorted(arrived)
    assert done(ledger.send(Act("answer"), to="bad")).result() == 42
    ledger.check()
    assert of_kind(records, "given up") == []
