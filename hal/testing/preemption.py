"""Stops a simulated thread before any bytecode, as the system may stop a real one.

A thread can be stopped while it holds a lock. Another one that comes to
`with <lock>:` must not wait for real, because nobody would ever release the lock: it
waits as a simulated thread does, until the lock is free.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from os import path
from types import CodeType, FrameType
from typing import Any, Final, Protocol

from hal.testing.sim_thread import SimThread

Trace = Callable[[FrameType, str, Any], Any]
_ENTER: Final = "BEFORE_WITH"


class Lock(Protocol):
    """What `with` can enter, if it can be tried, too."""

    def acquire(self, blocking: bool = ...) -> bool: ...

    def release(self) -> None: ...


def is_free(lock: Lock) -> bool:
    """Whether this thread could acquire `lock` now."""
    free = lock.acquire(blocking=False)
    if free:
        lock.release()
    return free


class Preemption:
    """Offers the baton before bytecodes of some files.

    Runs on: the thread with the baton.
    """

    def __init__(
        self,
        share: float,
        files: Sequence[str],
        draw: Callable[[], float],
        offer: Callable[[SimThread], None],
        await_lock: Callable[[SimThread, Lock], None],
    ) -> None:
        """Prepare to trace.

        Args:
            share: Of all bytecodes; 0 traces nothing.
            files: Whose bytecodes: paths of source files.
            draw: Gives the next random number from 0 to 1.
            offer: Lets any thread run.
            await_lock: Returns when the lock is free.

        Raises:
            ValueError: No share, or files that are not there.
        """
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"preempt={share}: expected a probability from 0 to 1")
        self._files = {path.abspath(file) for file in files}
        missing = sorted(file for file in self._files if not path.isfile(file))
        if missing:
            raise ValueError(f"files: expected source files, got {', '.join(missing)}")
        if share and not files:
            raise ValueError(f"preempt={share}: expected files in which to do it")
        self._share = share
        self._draw = draw
        self._offer = offer
        self._await_lock = await_lock
        self._locks: dict[CodeType, dict[int, list[str]]] = {}

    @contextmanager
    def of(self, thread: SimThread) -> Iterator[None]:
        """Trace this thread, which is `thread`, until the end of the block."""
        if not self._share:
            yield
            return
        before = sys.gettrace()
        sys.settrace(self._tracer(thread))
        try:
            yield
        finally:
            sys.settrace(before)

    def always(self) -> None:
        """From now on offer the baton before each bytecode.

        Runs on: any.
        """
        if self._share:
            self._share = 1.0

    def _tracer(self, thread: SimThread) -> Trace:
        """Return what Python calls for each new frame of `thread`."""
        draw, files = self._draw, self._files

        def on_opcode(frame: FrameType, event: str, _arg: Any) -> Trace:
            if event == "opcode" and not thread.switching:
                if draw() < self._share:
                    self._offer(thread)
                names = self._locks[frame.f_code].get(frame.f_lasti)
                # Nobody comes between this look and the bytecode that enters.
                if names is not None and (lock := _find(names, frame)) is not None:
                    self._await_lock(thread, lock)
            return on_opcode

        def on_call(frame: FrameType, _event: str, _arg: Any) -> Trace | None:
            code = frame.f_code
            if code.co_filename not in files:
                return None
            if code not in self._locks:
                self._locks[code] = _entered(code)
            frame.f_trace_lines = False
            frame.f_trace_opcodes = True
            return on_opcode

        return on_call


def _entered(code: CodeType) -> dict[int, list[str]]:
    """Return where `code` enters `with a.b:`, and these names."""
    found = {}
    steps = list(dis.get_instructions(code))
    for at, step in enumerate(steps):
        if step.opname == _ENTER:
            names: list[str] = []
            while at and steps[at - 1].opname == "LOAD_ATTR":
                names.insert(0, steps[at - 1].argval)
                at -= 1
            if at and steps[at - 1].opname.startswith("LOAD_"):
                found[step.offset] = [str(steps[at - 1].argval), *names]
    return found


def _find(names: Sequence[str], frame: FrameType) -> Lock | None:
    """Return what `with` is about to enter, if it is a lock."""
    first, *others = names
    found = frame.f_locals.get(first, frame.f_globals.get(first))
    for name in others:
        found = getattr(found, name, None)
    is_lock = hasattr(found, "acquire") and hasattr(found, "release")
    return found if is_lock else None
