"""A whole kernel in simulated time, in which clients follow a script.

::

    World(seed=7).run(script)  # raises AssertionError if the kernel broke a promise

The same script and seed give the same run.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import pykka

import hal.kernel
from hal.base import Leased, ModuleState, set_log_sink
from hal.kernel import Delivery, Module, RestartPolicy, Strategy, System
from hal.testing import Interleaver
from tests.kernel.world_checks import check_outcomes, check_records
from tests.kernel.world_messages import KINDS, Perform
from tests.kernel.world_modules import LIMIT_S, Lamp, LampModule, Pinned, Pooled
from tests.kernel.world_stage import Stage

CLIENTS: Final = 3
FILES: Final = tuple(
    str(Path(hal.kernel.__file__).with_name(f"{name}.py"))
    for name in (
        *(
            "activity",
            "actor",
            "aside",
            "broker",
            "delivery",
            "dispatch",
            "display_lane",
        ),
        *("loop", "mailbox", "routes", "seat", "supervisor", "turns", "waits"),
        *("work", "worker"),
    )
)
"""Where threads may be stopped at any bytecode."""
BUDGET_S: Final = 3.0
_LATE_S: Final = 0.3
"""How much later than its budget a stop may end: a few looks of the watchdog."""
_SETTLE_S: Final = 60.0

POLICIES: Final[dict[str, RestartPolicy]] = {
    "ann": RestartPolicy(Strategy.REST_FOR_ONE, intensity=2, period_s=5.0),
    "bob": RestartPolicy(intensity=1_000, backoff_s=0.0),
    "cyd": RestartPolicy(intensity=1_000, backoff_s=0.05, most_s=0.2),
    "dee": RestartPolicy(intensity=3, period_s=2.0, backoff_s=0.1),
    "lamp": RestartPolicy(intensity=1_000, backoff_s=0.01, most_s=0.1),
}
MODULES: Final = tuple(POLICIES)
CLASSES: Final[dict[str, type[Module]]] = {
    "ann": Pinned,
    "bob": Pinned,
    "cyd": Pooled,
    "dee": Pooled,
    "lamp": LampModule,
}


class Step(NamedTuple):
    """One thing a client does: a method of `World`, and its arguments."""

    client: int
    verb: str
    args: tuple[Any, ...]


class World:
    """One run of the kernel."""

    def __init__(
        self,
        seed: int,
        *,
        preempt: float = 0.0,
        stop_at_s: float | None = None,
        modules: Sequence[str] = MODULES,
    ) -> None:
        """Prepare a run.

        Args:
            seed: Decides who runs when.
            preempt: How often threads are stopped in `FILES`: see `Interleaver`.
            stop_at_s: Stop the system then, whatever is going on; None stops it when
                all has settled, and checks that everything still works before.
            modules: Which there are.
        """
        self.sim = Interleaver(
            seed,
            preempt=preempt,
            files=FILES if preempt else (),
            max_switches=5_000_000,
            patience_s=20.0,
        )
        self.stage = Stage(self.sim)
        self.records: list[Mapping[str, Any]] = []
        """The trace."""
        self.logged: list[Mapping[str, Any]] = []
        self.stopped: set[str] = set()
        """Modules that were ended through pykka."""
        self.asked_for: list[str] = []
        """Modules of which a restart was asked for."""
        self._stop_at_s = stop_at_s
        self._modules = modules
        self._futures: list[pykka.Future[Any]] = []
        self._last: dict[int, Delivery] = {}
        self._chains = 0

    def run(self, script: Sequence[Step]) -> None:
        """Follow the script; check during the run and after.

        Raises:
            AssertionError: The kernel broke a promise; names the seed.
        """
        before = set(threading.enumerate())
        previous = set_log_sink(self.logged.append)
        try:
            self.sim.run(partial(self._main, script, before))
        finally:
            set_log_sink(previous)
        assert not self.stage.violations, f"seed {self.sim.seed}: " + "\n".join(
            self.stage.violations[:10]
        )

    def _main(self, script: Sequence[Step], before: set[threading.Thread]) -> None:
        self.system = System(clock=self.sim, threads=self.sim)
        self.system.trace.listen(self.records.append)
        self.system.run_kernel()
        self._add_modules()
        self.system.start()
        clients = [
            self.sim.start(f"client{n}", partial(self._follow, n, script))
            for n in range(CLIENTS)
        ]
        if self._stop_at_s is None:
            for client in clients:
                client.join()
            self._settle()
        else:
            self.stage.sleep(self._stop_at_s)
        self._stop()
        for client in clients:
            client.join()
        self._check_end(before)

    def _add_modules(self) -> None:
        for name in self._modules:
            arguments: dict[str, Any] = {"stage": self.stage}
            if name == "lamp":
                arguments["driver"] = Lamp("lamp", self.stage)
            if name == "bob":
                arguments["requires"] = ("ann",)
            self.system.add(
                CLASSES[name],
                name,
                deadline_s=LIMIT_S,
                restart=POLICIES[name],
                **arguments,
            )

    # -- what clients do ----------------------------------------------------------

    def _follow(self, client: int, script: Sequence[Step]) -> None:
        for step in script:
            if step.client == client:
                getattr(self, step.verb)(client, *step.args)
                self.sim.yield_now()

    def say(
        self,
        client: int,
        kind: str,
        to: str | None,
        act: str,
        sync: bool = False,
        deadline_s: float | None = None,
        handoff: bool = False,
    ) -> None:
        """Send a message."""
        who, number = self.stage.sender()
        self._last[client] = self.stage.was_sent(
            self.system.broker.send(
                KINDS[kind](who, number, act),
                principal=f"script:client{client}",
                to=to,
                sync=sync,
                deadline_s=deadline_s,
                on_complete=self.stage.completed,
                handoff=handoff,
            )
        )

    def chain(self, client: int, to: str, acts: Sequence[str], sync: bool) -> None:
        """Send several messages, each after the end of the one before."""
        self._chains += 1
        who = f"chain{self._chains}"
        sent = self.system.broker.send_chain(
            tuple(Perform(who, n, act) for n, act in enumerate(acts, start=1)),
            principal=f"script:client{client}",
            to=to,
            sync=sync,
        )
        for delivery in sent:
            self.stage.was_sent(delivery)
        self._last[client] = sent[-1]

    def pause(self, _client: int, seconds: float) -> None:
        """Let time pass."""
        self.stage.sleep(seconds)

    def wait_for_last(self, client: int, timeout_s: float) -> None:
        """Wait for what this client sent last."""
        if client in self._last:
            self._last[client].wait(timeout_s)

    def release(self, _client: int, gate: str) -> None:
        """Let go what hangs there."""
        self.stage.release(gate)

    def fault(self, _client: int, place: str, what: str) -> None:
        """Have the next call at a place raise, or hang."""
        self.stage.faults[place].append(what)

    def restart(self, _client: int, name: str) -> None:
        """Ask for a restart."""
        self.asked_for.append(name)
        self.system.restart(name)

    def pykka(self, _client: int, name: str, verb: str, act: str) -> None:
        """Use pykka's own ways."""
        ref = self.system.module(name).actor_ref
        try:
            if verb == "tell":
                ref.tell(act)
            elif verb == "ask":
                self._futures.append(ref.ask(act, block=False))
            else:
                self.stopped.add(name)
                self._futures.append(ref.stop(block=False))
        except pykka.ActorDeadError:
            self.stage.covered["pykka: dead"] += 1

    # -- the end ------------------------------------------------------------------

    def alive(self) -> list[Module]:
        """Return the modules that must work, now or soon."""
        return [module for module in self.system.modules if not module.seat.is_closed]

    def _settle(self) -> None:
        """Let nothing hang, wait until all is done, and see that everything works."""
        self.stage.release_all()
        self.stage.faults.clear()
        until_s = self.sim.monotonic_s() + _SETTLE_S
        while self._is_busy():
            if self.sim.monotonic_s() > until_s:
                self.stage.wrong(f"never settled: {self._is_busy()}")
                break
            self.stage.sleep(0.1)
        self.stage.sleep(0.2603)
        self._check_leases()
        for module in self.alive():
            if len(module.seat.mailbox):
                self.stage.wrong(f"{module.name} rests, and something waits for it")
            answer = self.system.send(Perform("settled", 0), to=module.name)
            answer.wait(2.0)
            if answer.responses != {module.name: 42}:
                self.stage.wrong(f"{module.name} does not answer: {answer.errors}")
        for module in self.system.modules:
            if module.state is ModuleState.FAILED:
                self.stage.covered["failed"] += 1
                refused = self.system.send(Perform("settled", 0), to=module.name)
                refused.wait(2.0)
                kinds = [error.kind for error in refused.errors]
                if refused.tickets or kinds != ["ModuleDead"]:
                    self.stage.wrong(f"{module.name} failed and got a message: {kinds}")

    def _check_leases(self) -> None:
        """Check that no lease outlived the generation that kept it."""
        leases = self.system.leases
        for name in self._modules:
            try:
                leases.take("script:auditor", "audit", (name,), keeper=name)
            except Leased as exc:
                keeper, generation = self.stage.leases[str(exc.data["run_id"])]
                if self.system.module(keeper).generation != generation:
                    self.stage.wrong(f"{name} is leased by a ghost: {exc}")
        leases.release("audit")

    def _is_busy(self) -> list[str]:
        """Return what is still going on."""
        busy = [str(d.id) for d in self.system.broker.open_deliveries()]
        busy += [m.name for m in self.alive() if m.is_given_up or m.busy_with]
        return busy + [m.name for m in self.system.modules if m.seat.ghosts]

    def _stop(self) -> None:
        self.stage.is_ending = True
        self.ended_s = self.sim.monotonic_s()
        self.system.stop(BUDGET_S)
        took_s = self.sim.monotonic_s() - self.ended_s
        if took_s > BUDGET_S + _LATE_S:
            self.stage.wrong(f"stop took {took_s:.2f} s")

    def _check_end(self, before: set[threading.Thread]) -> None:
        stage = self.stage
        stage.release_all()
        me, until_s = threading.current_thread(), self.sim.monotonic_s() + _SETTLE_S
        while left := set(threading.enumerate()) - before - {me}:
            if self.sim.monotonic_s() > until_s:
                stage.wrong(f"threads left: {sorted(t.name for t in left)}")
                break
            self.stage.sleep(0.1)
        # Only now: until its end any thread may have been in the pump.
        for delivery in self.system.broker.open_deliveries():
            stage.wrong(f"'{delivery.type}' is open after the stop")
        for future in self._futures:
            try:
                future.get(timeout=0)
            except pykka.Timeout:
                stage.wrong("somebody waits for ever for an answer through pykka")
            except (Exception, SystemExit):  # noqa: BLE001 - any answer will do
                stage.covered["pykka: raised"] += 1
        check_outcomes(self)
        check_records(self)
