"""A process of modules: what `hal.isolation.host` starts.

The kernel runs here as in HAL, with the modules this process has. It ends when HAL says
so, when one of its modules is given up (the process is the generation), and when HAL is
gone: then lights go off first.
"""

from __future__ import annotations

import faulthandler
import importlib
import os
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any, Final

from hal.base import (
    Clock,
    ErrorRecord,
    HalError,
    InvalidMessage,
    SystemClock,
    SystemThreads,
    record_class,
    safe_callback,
    set_log_sink,
)
from hal.frames import FrameRings
from hal.isolation.frames import (
    Beat,
    Begin,
    Ended,
    Extended,
    Free,
    Hello,
    Leave,
    Post,
    Ready,
    Refused,
    Residents,
    Result,
    RingAnswered,
    decode_down,
    no_outcome,
)
from hal.isolation.launch import find_class
from hal.isolation.main_thread import MainThread
from hal.isolation.rings import RemoteRings
from hal.isolation.to_hal import ToHal, TraceToHal
from hal.kernel import Delivery, Module, Resident, System
from hal.transport import Pipe, adopt, limit_memory, prepare_child

BEAT_S: Final = 0.2
NOT_SAFE: Final = 3
"""Exit code of a process that could not make all safe in its time."""
_PHASES: Final = {"configure module": 1, "start module": 2}


class Child:
    """One process of modules.

    Runs on: `run` the main thread; what HAL sends is taken on the pipe's reader.

    Guarantees:
        It never outlives HAL by more than the longest `end_s` of its modules, unless a
        call holds the interpreter: then until the sentinel ends it, or, where there is
        none, by its deadline and some seconds.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._threads = MainThread()
        self._main = self._threads.serial("main")
        self._to_hal = ToHal(clock, self._leave)
        self._rings = RemoteRings(self._to_hal.put, clock)
        self._system: System | None = None
        self._lock = threading.Lock()
        # Until a module has been made, its messages wait here.
        self._early: dict[str, list[Post]] = {}
        self._deadline_s = 5.0
        self._patience_until_s = 0.0
        self._leaving = [True]
        self._is_safe = True
        self._end_s = Module.end_s
        self._made: list[str] = []

    def run(self, pipe: Pipe) -> None:
        """Do what HAL says, for ever."""
        self._to_hal.pipe = pipe
        pipe.start()
        self._threads.start("hal/heart", self._beat)
        self._threads.run()

    def on_frame(self, data: bytes) -> None:
        """Take what HAL sends."""
        frame = decode_down(data)
        if isinstance(frame, Post):
            self._post_or_keep(frame)
        elif isinstance(frame, Ended):
            self._to_hal.ended(frame)
        elif isinstance(frame, Extended):
            self._to_hal.extended(frame)
        elif isinstance(frame, RingAnswered):
            self._rings.answered(frame)
        elif isinstance(frame, Residents):
            self._to_hal.residents = tuple(Resident(*each) for each in frame.modules)
        elif isinstance(frame, Begin):
            with self._lock:
                self._early[frame.module] = []
            self._main.put(partial(self._begin, frame))
        elif isinstance(frame, Hello):
            self._greet(frame)
        elif isinstance(frame, Leave):
            self._leave()

    def on_end(self, why: str) -> None:
        """End: HAL is gone."""
        self._rings.hal_is_gone()
        self._leave(self._end_s)

    # -- its beginning ------------------------------------------------------------

    def _greet(self, hello: Hello) -> None:
        sys.setswitchinterval(0.0005)  # as HAL has it
        if hello.memory_mb is not None:
            limit_memory(int(hello.memory_mb * 2**20))
        folder = Path(hello.log_folder) if hello.log_folder else None
        self._system = System(
            clock=self._clock,
            threads=self._threads,
            log_folder=folder,
            process=hello.process,
            session=hello.session,
            uplink=self._to_hal,
            trace=TraceToHal(self._clock, hello.process, self._to_hal),
        )
        self._system.provide(self._rings, FrameRings)
        set_log_sink(self._to_hal.log)
        self._system.run_kernel()

    def _begin(self, frame: Begin) -> None:
        """Make a module; on the main thread, which is to import its libraries."""
        assert self._system is not None
        arguments: dict[str, Any] = dict(frame.values)
        try:
            module_class = find_class(frame.class_path)
            if frame.driver_path:
                driver_class = find_class(frame.driver_path)
                driver = driver_class(**frame.driver_values)
                if frame.world_state:
                    driver.enter(Path(frame.world_state), frame.module)
                arguments["driver"] = driver
            self._deadline_s = max(self._deadline_s, frame.deadline_s)
            self._end_s = max(self._end_s, module_class.end_s)
            self._system.add(
                module_class,
                frame.module,
                deadline_s=frame.deadline_s,
                generation=frame.generation,
                **arguments,
            )
            self._made.append(frame.module)
        except BaseException as exc:  # noqa: BLE001 - a plugin's code: told to HAL
            error = ErrorRecord.from_exception(exc, frame.module)
            self._to_hal.put(Refused(frame.module, error))
            self._leave()
            return
        with self._lock:
            for post in self._early.pop(frame.module):
                self._post(post)
        self._to_hal.put(Ready(frame.module))

    # -- messages -----------------------------------------------------------------

    def _post_or_keep(self, frame: Post) -> None:
        with self._lock:
            early = self._early.get(frame.envelope.to or "")
            if early is not None:
                early.append(frame)
                return
        self._post(frame)

    def _post(self, frame: Post) -> None:
        assert self._system is not None
        sent = frame.envelope
        name = sent.to or ""
        try:
            record_class(sent.type)
        except InvalidMessage:
            safe_callback(importlib.import_module, frame.home)
        if sent.type in _PHASES:
            self._system.module(name).seat.phase = _PHASES[sent.type]
        try:
            self._system.broker.relay(
                sent,
                on_complete=self._to_hal.completed,
                on_extended=self._extended,
            )
        except HalError as exc:
            error = ErrorRecord.from_exception(exc, name)
            self._to_hal.put(Result(no_outcome(sent.id, name, error)))

    def _extended(self, delivery: Delivery, patience_s: float) -> None:
        until_s = self._clock.monotonic_s() + patience_s
        self._patience_until_s = max(self._patience_until_s, until_s)
        self._guard()
        self._to_hal.put(Extended(delivery.id, patience_s))

    def _look_for_free(self) -> None:
        """Ask those that outlasted a sender's patience whether they take messages."""
        for name in list(self._to_hal.overrun):
            assert self._system is not None
            self._to_hal.overrun.discard(name)
            module = self._system.module(name)
            module.post_own(partial(self._tell_if_free, module))

    def _tell_if_free(self, module: Module) -> None:
        """Say so; on the actor, which is in no handler then."""
        if module.admits:
            self._to_hal.put(Free(module.name))
        else:
            self._to_hal.overrun.add(module.name)

    # -- its life, and its end ----------------------------------------------------

    def _beat(self) -> None:
        pause = threading.Event()
        while True:
            self._guard()
            self._to_hal.put(Beat())
            self._look_for_free()
            self._clock.wait(pause, BEAT_S)

    def _guard(self) -> None:
        """Have the system end this process if nobody here can do it any more.

        HAL would, long before; this is for a call that holds the interpreter while HAL
        is gone.
        """
        allowed_s = max(
            self._deadline_s, self._patience_until_s - self._clock.monotonic_s()
        )
        faulthandler.dump_traceback_later(2.0 * allowed_s + 2.0, exit=True)

    def _leave(self, end_s: float = Module.end_s) -> None:
        """End, with everything made safe as far as it goes; returns at once."""
        try:
            self._leaving.pop()
        except IndexError:
            return
        ended = threading.Event()

        def leave() -> None:
            is_safe = self._clock.wait(ended, end_s) and self._is_safe
            if self._to_hal.pipe is not None:
                self._to_hal.pipe.flush(0.2)
            # Past atexit and destructors, where vendors' libraries like to hang.
            os._exit(0 if is_safe else NOT_SAFE)

        self._threads.start("hal/end", leave)
        self._threads.start("hal/safe", partial(self._make_safe, ended))

    def _make_safe(self, ended: threading.Event) -> None:
        for module in self._modules():
            # One given up the supervisor has seen to, as far as it can be reached.
            made_safe = False
            if not module.is_given_up:
                is_free = not module.doing

                def make_safe(module: Module = module, is_free: bool = is_free) -> None:
                    nonlocal made_safe
                    module.make_safe(hung=False, is_free=is_free)
                    made_safe = is_free

                module.contained("make safe", make_safe)
                module.contained("emergency cleanup", module.emergency_cleanup)
                if not module.doing:
                    module.contained("let go", module.let_go)
            self._is_safe = self._is_safe and made_safe
        ended.set()

    def _modules(self) -> tuple[Module, ...]:
        """Return those that have been made; another one may be being made now."""
        system = self._system
        return () if system is None else tuple(map(system.module, list(self._made)))


def main() -> None:
    """Be the process that `hal.isolation.host` has started."""
    connected = adopt(sys.argv[-1])
    prepare_child()
    clock = SystemClock()
    child = Child(clock)
    pipe = Pipe(
        connected,
        "hal",
        threads=SystemThreads(),
        clock=clock,
        on_frame=child.on_frame,
        on_end=child.on_end,
    )
    child.run(pipe)
