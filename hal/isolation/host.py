"""HAL's side of one child process: started, listened to, found silent, ended."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from hal.base import (
    Clock,
    DeliveryId,
    ErrorRecord,
    LinkError,
    ModuleDead,
    ProcessUsage,
    StartError,
    Threads,
    ThreadSafeFlag,
    WorkerTimeout,
    get_logger,
)
from hal.frames import OwnRings
from hal.isolation.frames import (
    Begin,
    Extended,
    Frame,
    Free,
    GaveUp,
    Hello,
    Leave,
    Logged,
    Noted,
    Ready,
    Refused,
    Residents,
    Result,
    RingAsked,
    SecondPath,
    Sent,
    State,
    Up,
    Waits,
    decode_up,
    encode,
)
from hal.isolation.rings import RingDoor
from hal.kernel import DumpFolder, Resident
from hal.transport import ChildProcess, Exit, Pipe

START_S: Final = 30.0
"""From the order to start a process until its modules have been made."""
LEAVE_S: Final = 2.5
"""What a process may take to make all safe and end, once it was asked."""
TERMINATE_S: Final = 0.3
_KILL_S: Final = 1.0
_PAUSED_S: Final = 1.0
_LEAST_SILENCE_S: Final = 2.0
_STOPPED_S: Final = 0.7
"""So long a process may be stopped by a signal; it beats much more often."""

_BOOT: Final = (
    "import json,sys;sys.path[:]=json.loads(sys.argv[2]);"
    "from hal.isolation.child import main;main()"
)
log = get_logger(module="hal")


class Member(Protocol):
    """A module of the process, as its host knows it.

    Runs on: the threads of the host; nothing blocks.
    """

    name: str
    deadline_s: float

    def take(self, frame: Up) -> None:
        """Take what the child says about this module, or in its name."""

    def lost(self, error: ErrorRecord) -> None:
        """Hear that the process is gone, or is about to be; once."""

    def ended(self) -> None:
        """Hear that the process is gone; once."""


class Host:
    """One child process, and the modules in it.

    Runs on: any.

    Guarantees:
        Every member hears once that the process has ended, or hangs, and why; before
        that, all that the process still said.
        After `finish` no process is left, nor a pipe, nor a thread.
    """

    def __init__(
        self,
        name: str,
        process: str,
        *,
        session: str,
        clock: Clock,
        threads: Threads,
        log_folder: Path | None,
        memory_mb: float | None,
        on_noted: Callable[[dict[str, object]], None],
        rings: OwnRings | None,
    ) -> None:
        """Start the process; returns at once.

        Args:
            name: What it is called in the configuration.
            process: What it is called in ids: unique in the session.
            session: ULID of HAL's session.
            clock: Counts all waiting.
            threads: Where it is served.
            log_folder: Where dumps, and what it prints, are kept.
            memory_mb: Allocations beyond this fail in it; None for no limit.
            on_noted: Gets what it wants to have traced.
            rings: What its cameras fill and its recorders read.
        """
        self.name = name
        self.is_ending = False
        """Whether it takes no more members."""
        self.exit_code: int | None = None
        """How it ended; 0 if everything in it was made safe."""
        self._clock = clock
        self._on_noted = on_noted
        self._rings = None
        if rings is not None:
            self._rings = RingDoor(rings, process, self.send, threads)
        self._dumps = DumpFolder(log_folder, clock)
        self._lock = threading.Lock()
        self._members: dict[str, Member] = {}
        # When each module that has not been made yet was asked for.
        self._begun_s: dict[str, float] = {}
        self._heard_s = self._spoke_s = self._ticked_s = clock.monotonic_s()
        # Until when a message with a job may keep the child from saying anything.
        self._patience_s: dict[DeliveryId, float] = {}
        self._lost: ErrorRecord | None = None
        self._pipe_ended = ThreadSafeFlag(clock)
        self._gone = ThreadSafeFlag(clock)
        self._pipe_why = ""
        self._residents: tuple[Resident, ...] = ()
        ours, theirs = socket.socketpair()
        self._pipe = Pipe(
            ours,
            f"{process}/pipe",
            threads=threads,
            clock=clock,
            on_frame=self._on_frame,
            on_end=self._on_pipe_end,
            on_tick=self._look,
        )
        folder = str(log_folder or "")
        self.send(Hello(session, process, name, folder, memory_mb))
        output = None
        if log_folder is not None:
            output = log_folder / f"output_{session[-6:].lower()}_{process}.txt"
        self._process = ChildProcess(
            # The name is for people who look at a list of processes.
            [sys.executable, "-c", _BOOT, f"hal:{name}", json.dumps(sys.path)],
            name=process,
            connected=theirs,
            output=output,
            threads=threads,
            clock=clock,
            on_exit=self._on_exit,
        )
        self._pipe.start()

    @property
    def pid(self) -> int:
        """What the system calls the process; 0 before it was started."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone, and all it said was heard."""
        return self._gone.is_set()

    def usage(self) -> ProcessUsage | None:
        """Return what the process has used; None if it is not there."""
        return self._process.usage()

    def join(self, member: Member, begin: Begin) -> None:
        """Have the child make a module, which hears from now on.

        Raises:
            StartError: The process is about to end; another one is needed.
        """
        with self._lock:
            if self.is_ending:
                raise StartError(f"process {self.name} is about to end")
            self._members[member.name] = member
            self._begun_s[member.name] = self._clock.monotonic_s()
        self.send(begin)

    def has_others(self, member: Member) -> bool:
        """Whether the process has other members."""
        with self._lock:
            return any(other is not member for other in self._members.values())

    def leave(self, member: Member) -> None:
        """Hear no more; who was the last ends the process."""
        with self._lock:
            if self._members.get(member.name) is member:
                del self._members[member.name]
            self.is_ending = self.is_ending or not self._members

    def is_made(self, name: str) -> bool:
        """Whether the module has been made in the child."""
        return name not in self._begun_s

    def send(self, frame: Frame) -> None:
        """Send a frame; if the pipe is closed, its end is on its way."""
        with contextlib.suppress(LinkError):
            self._pipe.send(encode(frame))

    def tell_residents(self, residents: tuple[Resident, ...]) -> None:
        """Have the child know the modules of the system."""
        if residents != self._residents:
            self._residents = residents
            modules = tuple((m.name, m.role, m.owns_driver) for m in residents)
            self.send(Residents(modules))

    def finish(self, grace_s: float) -> bool:
        """End the process; return whether it is gone.

        Blocks: for `grace_s` it may end itself, then the system is asked, then it is
        killed; one second more at most.
        """
        self.is_ending = True
        if grace_s > 0.0:
            self.send(Leave())
            if self._gone.wait(grace_s):
                return True
            self._process.terminate()
            if self._gone.wait(TERMINATE_S):
                return True
        self._process.kill()
        return self._gone.wait(_KILL_S)

    # -- what the child says ------------------------------------------------------

    def _on_frame(self, data: bytes) -> None:
        self._heard_s = self._spoke_s = self._clock.monotonic_s()
        frame = decode_up(data)
        name = ""
        if isinstance(
            frame, Ready | Refused | State | Waits | GaveUp | Free | SecondPath
        ):
            name = frame.module
        elif isinstance(frame, Result):
            name = frame.outcome.receiver
            self._patience_s.pop(frame.outcome.id, None)
        elif isinstance(frame, Sent):
            name = frame.envelope.principal
        elif isinstance(frame, Extended):
            self._patience_s[frame.id] = self._heard_s + frame.patience_s
            for member in list(self._members.values()):
                member.take(frame)
            return
        elif isinstance(frame, Logged):
            _log_again(frame.record)
            return
        elif isinstance(frame, Noted):
            self._on_noted({**frame.data, "kind": frame.kind})
            return
        elif isinstance(frame, RingAsked) and self._rings is not None:
            self._rings.take(frame)
            return
        if isinstance(frame, Ready | Refused):
            self._begun_s.pop(name, None)
        if isinstance(frame, GaveUp | Refused):
            self.is_ending = True  # it ends as soon as the device is safe
        addressee = self._members.get(name)
        if addressee is not None:
            addressee.take(frame)

    # -- its ends -----------------------------------------------------------------

    def _look(self) -> None:
        """See whether the child is silent for too long; on the reader's thread."""
        now_s = self._clock.monotonic_s()
        paused_s, self._ticked_s = now_s - self._ticked_s, now_s
        if paused_s > _PAUSED_S:
            self._heard_s = self._spoke_s = now_s  # this process was suspended
        if now_s - self._spoke_s > _STOPPED_S and self._process.is_stopped:
            # No call holds the interpreter: the system runs nothing of it.
            silent_s = now_s - self._spoke_s
            self._give_up_silent(f"silent for {silent_s:.2f} s: a signal stopped it")
            return
        if self._begun_s:
            self._heard_s = now_s  # libraries may hold the interpreter on import
            begun_s = min(self._begun_s.values())
            if now_s - begun_s > START_S:
                self._give_up_silent(
                    f"not ready {now_s - begun_s:.1f} s after its start"
                )
            return
        silent_s = now_s - self._heard_s
        patient_until_s = max(self._patience_s.values(), default=0.0)
        if silent_s > self._allowed_s() and now_s > patient_until_s:
            self._give_up_silent(f"silent for {silent_s:.2f} s")

    def _allowed_s(self) -> float:
        deadlines = [member.deadline_s for member in list(self._members.values())]
        return max(_LEAST_SILENCE_S, *deadlines, 0.0)

    def _give_up_silent(self, what: str) -> None:
        """Take the stacks of a process that does not answer, and kill it."""
        if self._lost is not None or self.is_ending:
            return
        dump = "" if self._process.is_stopped else self._process.stacks()
        kept = self._dumps.write(dump, self.name) if dump else None
        text = f"process {self.pid} of {self.name} is {what}"
        text += f"; {kept.note}" if kept is not None and kept.note else ""
        path = "" if kept is None else kept.path
        exc = WorkerTimeout(text, pid=self.pid, dump_file=path)
        error = ErrorRecord.from_exception(exc, self.name)
        self._tell_lost(_with_dump(error, dump))
        self._process.kill()

    def _on_pipe_end(self, why: str) -> None:
        self._pipe_why = why
        self._pipe_ended.set()
        # It is dead already, nearly always; else it has closed the pipe, or spoke
        # something that nobody can read.
        if not self._process.wait(0.2 if not why else 0.0):
            self._process.kill()

    def _on_exit(self, ended: Exit) -> None:
        self.is_ending = True
        self.exit_code = ended.code
        if not self._pipe_ended.wait(_KILL_S):  # what it said last is being read
            self._pipe.close()
        output = self._process.output
        text = f"process {self.pid} of {self.name} {ended.text}"
        if self._pipe_why:
            text += f" ({self._pipe_why})"
        dump, path = "", ""
        if output is not None and output.read_bytes:
            dump, path = output.tail(), output.path
            text += f"; it last said: {output.last_lines()}"
            text += f"; all it said is in {path}" if path else ""
        exc = ModuleDead(text, pid=self.pid, exit_code=ended.code, output_file=path)
        if self._rings is not None:
            self._rings.process_ended(text)
        self._tell_lost(_with_dump(ErrorRecord.from_exception(exc, self.name), dump))
        with self._lock:
            members = list(self._members.values())
        self._gone.set()
        for member in members:
            member.ended()

    def _tell_lost(self, error: ErrorRecord) -> None:
        with self._lock:
            if self._lost is not None:
                return
            self._lost = error
            self.is_ending = True
            members = list(self._members.values())
        for member in members:
            member.lost(error)


def _with_dump(error: ErrorRecord, dump: str) -> ErrorRecord:
    return ErrorRecord(
        kind=error.kind,
        text=error.text,
        source=error.source,
        dump=dump,
        data=error.data,
    )


def _log_again(record: dict[str, object]) -> None:
    """Log in this process what a child has logged."""
    rest = {str(key): value for key, value in record.items()}
    level = str(rest.pop("level", "error"))
    event = str(rest.pop("event", ""))
    if level not in ("debug", "info", "warning", "error", "critical"):
        level = "error"
    getattr(log.new(), level)(event, **rest)
