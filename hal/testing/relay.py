"""Passes the baton: of all simulated threads, the one that has it runs."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, MutableSequence
from contextlib import suppress
from functools import partial
from typing import Final

from hal.base import SystemClock
from hal.testing.preemption import Lock, Preemption, is_free
from hal.testing.processor import stay_on_one_processor
from hal.testing.schedule import NobodyCanGoOn, Schedule
from hal.testing.sim_thread import SimThread, SimulationOver, Stuck

TIMES_TOLD: Final = 100
_END_S: Final = 5.0
_END_ONE_S: Final = 0.5
_POLL_S: Final = 0.02


class Relay:
    """Starts simulated threads, switches between them, and ends them.

    Runs on: `run` any, once; `current` any; the rest, the thread with the baton.
    """

    def __init__(
        self, schedule: Schedule, preemption: Preemption, patience_s: float
    ) -> None:
        self._schedule = schedule
        self._preemption = preemption
        self._patience_s = patience_s
        self._clock = SystemClock()
        self._threads: list[SimThread] = []
        self._by_ident: dict[int, SimThread] = {}
        self._holder: SimThread | None = None
        # The thread that ended last: the next one waits until Python is done with it.
        self._ending: threading.Thread | None = None
        self._over = False
        self._problem = ""
        # A semaphore: `run` waits until the first thread ended, or none can go on.
        self._finish = threading.Lock()
        self._finish.acquire()

    @property
    def threads(self) -> tuple[SimThread, ...]:
        """All that were started; the first one is the root."""
        return tuple(self._threads)

    def current(self, verb: str) -> SimThread:
        """Return the calling thread, which is about to do what may take turns.

        Raises:
            SimulationOver: It is to end.
            RuntimeError: It is not a simulated thread.
        """
        me = self.current_or_none()
        if me is None:
            raise RuntimeError(
                f"{verb}: {threading.current_thread().name!r} is no thread of this "
                "Interleaver; expected a call from inside its run()"
            )
        return me

    def current_or_none(self) -> SimThread | None:
        """Return the calling thread, None if it is not a simulated one.

        Raises:
            SimulationOver: It is to end.
        """
        me = self._by_ident.get(threading.get_ident())
        if me is not None and self._over:
            _tell(me)
        return me

    def start(self, name: str, fn: Callable[[], None]) -> SimThread:
        """Begin a thread, which waits for its turn."""
        thread = SimThread(len(self._threads), name, partial(self._main, fn))
        thread.real.start()
        self._threads.append(thread)
        self._schedule.wake(thread)
        return thread

    def offer(self, me: SimThread) -> None:
        """Let any thread go on, this one or another."""
        if self._over and me.times_told:
            return  # It is ending; to stop it at any bytecode would break its cleanup.
        self.switch(me, "")

    def await_lock(self, me: SimThread, lock: Lock) -> None:
        """Return when `lock` is free: entering it now does not wait."""
        while not is_free(lock):
            self.switch(me, "a lock", until=partial(is_free, lock))

    def switch(
        self,
        me: SimThread,
        waits_for: str,
        *,
        at: MutableSequence[SimThread] | None = None,
        unless: Callable[[], object] | None = None,
        until: Callable[[], bool] | None = None,
        timeout_s: float = math.inf,
    ) -> None:
        """Let another thread go on, and return when it is the turn of this one.

        Args:
            me: This thread.
            waits_for: For reports; '' if it does not wait at all.
            at: Where whoever wakes it looks for it.
            unless: Asked when it stands there: if true, it does not wait.
            until: Asked at each switch; ends the wait when it is true.
            timeout_s: When the wait ends by itself.

        Raises:
            SimulationOver: It is to end.
            RuntimeError: It is being switched: a `__del__` or signal handler waits.
        """
        if self._over:
            _tell(me)
        if me.switching:
            raise RuntimeError(
                f"{me.name!r} waits in a __del__ or a signal handler, in the middle of "
                "another wait; expected that such code never waits"
            )
        me.switching = True
        try:
            if at is not None:
                at.append(me)
                # Whoever is not simulated puts before this look, or finds `me`.
                if unless is not None and unless() and _removed(me, at):
                    return
            if waits_for:
                self._schedule.park(me, waits_for, until=until, timeout_s=timeout_s)
            else:
                self._schedule.wake(me)
            if self._pass_on() is not me:
                me.baton.acquire()
                self._bury()
        finally:
            me.switching = False
        if self._over:
            _tell(me)

    def run(self, fn: Callable[[], None]) -> None:
        """Run `fn` as the first thread until it ends; then end the others.

        Raises:
            Stuck: They cannot go on, or do not end.
        """
        root = self.start("main", fn)
        self._holder = self._schedule.next()
        try:
            root.baton.release()
            problem = self._watch()
        finally:
            left = self._end_all()
        if problem or left:
            raise Stuck(problem or left)

    def _main(self, fn: Callable[[], None], me: SimThread) -> None:
        self._by_ident[threading.get_ident()] = me
        me.baton.acquire()
        self._bury()
        try:
            if not self._over:
                if me.number == 0:
                    stay_on_one_processor()
                with self._preemption.of(me):
                    fn()
        except BaseException as exc:  # noqa: BLE001 - raised again by run
            # What it raises while it is being ended says nothing about the test.
            if not self._over:
                exc.add_note(f"in the simulated thread {me.name!r}")
                me.error = exc
        finally:
            self._leave(me)

    def _leave(self, me: SimThread) -> None:
        me.ended = True
        me.switching = True
        del self._by_ident[threading.get_ident()]
        for joiner in me.joiners:
            self._schedule.wake(joiner)
        if self._over:
            return
        if me.number == 0:
            self._finish.release()
        else:
            self._ending = me.real
            self._pass_on()

    def _pass_on(self) -> SimThread | None:
        """Give the baton to whose turn it is; None if it is nobody's."""
        try:
            chosen = self._schedule.next()
        except NobodyCanGoOn as exc:
            self._problem = str(exc)
            self._finish.release()
            return None
        if chosen is not self._holder:
            self._holder = chosen
            chosen.baton.release()
        return chosen

    def _bury(self) -> None:
        ending, self._ending = self._ending, None
        if ending is not None:
            ending.join()

    def _watch(self) -> str:
        """Wait for the end; return why it is not a good one, '' if it is."""
        seen, since_s = -1, 0.0
        while not self._finish.acquire(timeout=self._patience_s / 10):
            now_s = self._clock.monotonic_s()
            if seen != self._schedule.switches:
                seen, since_s = self._schedule.switches, now_s
            elif now_s - since_s >= self._patience_s and self._holder is not None:
                self._problem = (
                    f"{self._holder.name!r} has not given others a turn for "
                    f"{self._patience_s:g} s of real time: it computes, or it waits "
                    "for something real, such as a lock that another thread holds"
                )
                break
        living = [thread for thread in self._threads if not thread.ended]
        return self._report(self._problem, living) if self._problem else ""

    def _end_all(self) -> str:
        """End what still lives; return what does not end, '' if all did."""
        self._over = True
        # One that computes for ever is told at its next bytecode.
        self._preemption.always()
        until_s = self._clock.monotonic_s() + _END_S
        # One at a time, in a certain order. One that waits for real for another one
        # does not end in its time, and has more when the others have ended.
        for patience_s in (_END_ONE_S, _END_S):
            for thread in [t for t in self._threads if t.real.is_alive()]:
                with suppress(RuntimeError):  # It has the baton already.
                    thread.baton.release()
                now_s = self._clock.monotonic_s()
                self._join(thread, min(now_s + patience_s, until_s))
        left = [thread for thread in self._threads if thread.real.is_alive()]
        return self._report("threads that do not end", left) if left else ""

    def _join(self, thread: SimThread, until_s: float) -> None:
        while thread.real.is_alive() and thread.times_told <= TIMES_TOLD:
            if self._clock.monotonic_s() > until_s:
                return
            thread.real.join(_POLL_S)

    def _report(self, problem: str, threads: list[SimThread]) -> str:
        return "\n".join(
            [
                f"{problem} (t = {self._schedule.now_s:g} s)",
                *(thread.describe(runs=thread is self._holder) for thread in threads),
            ]
        )


def _tell(me: SimThread) -> None:
    me.times_told += 1
    if me.times_told > TIMES_TOLD:
        # It was reported as one that never ends: it must not take the processor, too.
        SystemClock().wait(threading.Event(), _POLL_S)
    raise SimulationOver(f"{me.name!r} is to end: the simulation is over")


def _removed(me: SimThread, at: MutableSequence[SimThread]) -> bool:
    try:
        at.remove(me)
    except ValueError:
        return False
    return True
