"""Modules and drivers for the tests, in a file that a child process can import.

What they do is named by the test and done in the process where they live.
"""

from __future__ import annotations

import ctypes
import faulthandler
import importlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from hal.base import (
    Bool,
    ConfigError,
    DeviceError,
    Float,
    Record,
    SafeStateCall,
    Text,
    Value,
)
from hal.devices import LightSource, XYStage
from hal.kernel import Event, Lane, Module, Request, handles
from modules.light_sources.light_source import LightSourceModule
from modules.simulation.camera import SimCamera
from modules.simulation.light_source import SimLightSource
from modules.simulation.xy_stage import SimXYStage
from modules.stages.xy_stage import XYStageModule


class Do(Request, frozen=True):
    """Do what is called so, on the actor."""

    what: str


class DoAtOnce(Request, frozen=True):
    """The same in the urgent lane."""

    lane: ClassVar[Lane] = Lane.URGENT
    what: str


class DoAsJob(Request, frozen=True):
    """The same as a job."""

    what: str
    deadline_s: float = 5.0


class PuppetShown(Record, frozen=True):
    """An answer."""

    text: str
    number: int


class Happened(Event, frozen=True):
    """Something that a puppet tells."""

    who: str
    number: int


class PuppetHeard(Event, frozen=True):
    """Told by a puppet that has heard of it."""

    who: str
    number: int


class Puppet(Module):
    """Does what it is told; events it hears, it tells again."""

    title = Text("plain", help="A parameter.")
    gain = Float(1.0, low=0.0, high=10.0, help="Another one.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.count = 0

    @handles(Do)
    def on_do(self, msg: Do) -> object:
        return self._do(msg.what)

    @handles(DoAtOnce)
    def on_do_at_once(self, msg: DoAtOnce) -> object:
        return self._do(msg.what)

    @handles(DoAsJob)
    def on_do_as_job(self, msg: DoAsJob) -> None:
        self.run_job(lambda: self._do(msg.what), deadline_s=msg.deadline_s)

    @handles(Happened)
    def on_happened(self, msg: Happened) -> None:
        self.count += 1
        self.send(PuppetHeard(self.name, msg.number))

    def _do(self, what: str) -> object:
        name, _, rest = what.partition(" ")
        act: Callable[..., object] = getattr(self, f"do_{name}")
        return act(*rest.split())

    def do_answer(self) -> int:
        return 42

    def do_show(self) -> PuppetShown:
        return PuppetShown(threading.current_thread().name, os.getpid())

    def do_count(self) -> int:
        return self.count

    def do_is_main(self) -> bool:
        return threading.current_thread() is threading.main_thread()

    def do_raise(self) -> None:
        raise DeviceError("the lamp has burst", lamp=3)

    def do_tell(self, number: str) -> None:
        self.send(Happened(self.name, int(number)))

    def do_names(self) -> list[str]:
        return list(self.context.names())

    def do_roles(self, role: str) -> list[str]:
        return list(self.context.names_of_role(role))

    def do_title(self) -> object:
        return self.title

    def do_ask(self, whom: str) -> object:
        return self.ask(Do("answer"), to=whom)

    def do_askslowly(self, whom: str) -> object:
        time.sleep(0.5)
        return self.ask(Do("answer"), to=whom)

    def do_asklong(self, whom: str, seconds: str) -> object:
        return self.ask(DoAsJob(f"sleep {seconds}", deadline_s=30.0), to=whom)

    def do_sleep(self, seconds: str) -> str:
        time.sleep(float(seconds))
        return "slept"

    def do_hang(self) -> None:
        threading.Event().wait(60.0)

    def do_spin(self) -> None:
        until_s = time.monotonic() + 60.0
        while time.monotonic() < until_s:
            pass

    def do_hold(self, seconds: str = "60") -> str:
        """Hold the interpreter in C."""
        os.write(2, b"holding\n")
        ctypes.PyDLL(None).sleep(int(seconds))
        return "held"

    def do_exit(self, code: str) -> None:
        os._exit(int(code))

    def do_segv(self) -> None:
        faulthandler._sigsegv()

    def do_stop(self) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)
        # The stop reaches the threads one after another: this one must not answer.
        signal.pause()

    def do_say(self, *words: str) -> None:
        sys.stderr.write(" ".join(words) + "\n")

    def do_fill(self, megabytes: str) -> str:
        for _ in range(int(megabytes)):
            os.write(2, b"x" * 999_999 + b"\n")
        return "filled"

    def do_allocate(self) -> None:
        kept = []
        while True:
            kept.append(bytearray(10_000_000))

    def do_garbage(self, text: str) -> None:
        """Write to the pipe past HAL."""
        for fd in range(3, 64):
            try:
                if os.readlink(f"/proc/self/fd/{fd}").startswith("socket:"):
                    os.write(fd, text.encode().ljust(64, b"!"))
            except OSError:
                continue

    def do_shut(self) -> None:
        """Close the pipe."""
        for fd in range(3, 64):
            try:
                if os.readlink(f"/proc/self/fd/{fd}").startswith("socket:"):
                    os.close(fd)
            except OSError:
                continue
        time.sleep(60.0)

    def do_ignore(self) -> str:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        ctypes.CDLL(None).signal(int(signal.SIGTERM), 1)  # SIG_IGN, from any thread
        return "ignored"

    def do_stubborn(self) -> None:
        """Ignore a goodbye: `make_safe` hangs."""
        self.stubborn = True

    def make_safe(self, *, hung: bool, is_free: bool) -> None:
        if getattr(self, "stubborn", False):
            threading.Event().wait(60.0)
        super().make_safe(hung=hung, is_free=is_free)


class SlowToMake(Puppet):
    """Takes a while to be made."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        time.sleep(0.5)
        super().__init__(*args, **kwargs)


class NeverMade(Puppet):
    """Cannot be made."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "HAL_TEST_PARENT" in os.environ and os.getpid() != int(
            os.environ["HAL_TEST_PARENT"]
        ):
            raise DeviceError("the SDK is too old")
        super().__init__(*args, **kwargs)


class DeadOnArrival(Puppet):
    """Ends its process as soon as it is made."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        sys.stderr.write("no licence found\n")
        os._exit(7)


class FileLight(SimLightSource):
    """A laser whose light is a file, which outlives the process."""

    path = Text("", help="The file.")
    hangs = Bool(False, help="Whether switching on never returns.")

    def _do_set_on(self, on: bool) -> None:
        super()._do_set_on(on)
        self._write(on)
        if on and self.hangs:
            threading.Event().wait(60.0)

    def _do_halt(self) -> None:
        super()._do_halt()
        self._write(False)

    def _write(self, on: bool) -> None:
        Path(str(self.path)).write_text("on" if on else "off")


class LateWriter(Puppet):
    """Has something to finish when HAL has died, as a recorder has."""

    end_s = 8.0

    def make_safe(self, *, hung: bool, is_free: bool) -> None:
        time.sleep(3.5)
        Path(str(self.title)).write_text("finished")


class WatchedLight(SimLightSource):
    """A laser whose second path leaves a line in a file."""

    path = Text("", help="The file.")
    entry = Text("write_safe", help="Which function it is.")
    fails = Bool(False, help="Whether it cannot be made safe by its driver.")

    def outside_safe_state(self) -> SafeStateCall | None:
        entry = f"tests.kernel.safe_states:{self.entry}"
        return SafeStateCall(entry, {"path": str(self.path)} if self.path else {})

    def safe_state(self) -> None:
        if self.fails:
            raise DeviceError("it does not answer")
        super().safe_state()


class HoldingLight(SimLightSource):
    """Keeps the interpreter for ever as soon as it shines."""

    def _do_set_on(self, on: bool) -> None:
        super()._do_set_on(on)
        if on:
            ctypes.PyDLL(None).sleep(60)


class UnmadeStage(SimXYStage):
    """Cannot be made in a process of its own."""

    why = Text("config", help="What is wrong with it.")

    def __init__(self, **values: Value) -> None:
        super().__init__(**values)
        if os.getpid() != int(os.environ["HAL_TEST_PARENT"]):
            if self.why == "package":
                importlib.import_module("no_such_vendor_package")
            raise ConfigError("port COM99 is unknown to the SDK")


class SdkStage(SimXYStage):
    """Of an SDK that wants a process for all its devices."""

    isolation = "process:sdk"
    unit = Text("", help="What it shares with others of that unit.")

    @classmethod
    def shared_handle(cls, values: Mapping[str, Value]) -> str:
        return str(values.get("unit", ""))


class SdkCamera(SimCamera):
    """A camera of that SDK."""

    isolation = "process:sdk"
    unit = Text("", help="As for the stage.")
    shared_handle = SdkStage.shared_handle


class LoneStage(SimXYStage):
    """Of an SDK that may crash."""

    isolation = "process"


class OddStage(SimXYStage):
    """Declares what cannot be."""

    isolation = "proces"


class TellingStage(SimXYStage):
    """Says where it is called."""

    def __init__(self, **values: Value) -> None:
        super().__init__(**values)
        self.calls_halted: list[int] = []

    def where(self) -> tuple[int, bool]:
        return os.getpid(), threading.current_thread() is threading.main_thread()

    def halt(self) -> None:
        self.calls_halted.append(os.getpid())
        super().halt()


class CrashingStage(SimXYStage):
    """Dies when it is to go to a bad place."""

    def _do_start_move(self, x_um: float, y_um: float) -> None:
        if x_um == 666.0:
            faulthandler._sigsegv()
        super()._do_start_move(x_um, y_um)


LIGHT, STAGE = LightSourceModule, XYStageModule
KINDS: tuple[type[object], ...] = (LightSource, XYStage)
Values = dict[str, Value]
