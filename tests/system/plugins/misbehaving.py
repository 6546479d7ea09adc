"""Modules and drivers that do what they must not, for tests of whole runs.

Named by dotted path in an XML file, as a plugin that is not installed may be.
"""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import Any, ClassVar

from hal.base import DeviceError, HalError, Int, LinkError, Text, Value
from hal.devices import Camera
from hal.kernel import Context, Loop, Module, Request, StartModule, handles
from modules.simulation.camera import SimCamera

HANG_S = 60.0


class Explode(Request, frozen=True):
    """Make the handler raise."""


class HangInJob(Request, frozen=True):
    """Start a job that does not end within its deadline."""


class BlockThread(Request, frozen=True):
    """Keep the module's own thread."""


class Ping(Request, frozen=True):
    """Answer."""


class Careless(Module):
    """Does all that a handler must not do."""

    role = "careless"

    @handles(Explode)
    def on_explode(self, msg: Explode) -> None:
        raise ZeroDivisionError("the handler's own defect")

    @handles(HangInJob)
    def on_hang_in_job(self, msg: HangInJob) -> None:
        self.run_job(self._hang, deadline_s=0.5)

    @handles(BlockThread)
    def on_block_thread(self, msg: BlockThread) -> None:
        time.sleep(HANG_S)

    def _hang(self) -> None:
        time.sleep(HANG_S)


class Bystander(Module):
    """Has nothing to do with it, and answers."""

    role = "bystander"

    @handles(Ping)
    def on_ping(self, msg: Ping) -> int:
        return 1


class Prober(Module):
    """Provokes the others once HAL runs, and writes down what it was told."""

    role = "prober"

    report = Text("", help="File to write.")

    @handles(StartModule)
    def on_start_module(self, msg: StartModule) -> None:
        super().on_start_module(msg)
        self.run_loop(self._probe, stall_s=10.0, what="probe")

    def _probe(self, loop: Loop) -> None:
        orders: dict[str, tuple[Request, str]] = {
            "explode": (Explode(), "raiser"),
            "job": (HangInJob(), "hanger"),
            "block": (BlockThread(), "blocker"),
        }
        broker = self.context.broker
        sent = {
            name: broker.send(order, principal=self.name, to=to)
            for name, (order, to) in orders.items()
        }
        asks_s: list[float] = []
        while not all(delivery.complete for delivery in sent.values()):
            loop.beat()
            if loop.stopping.is_set():
                return
            begun_s = time.perf_counter()
            assert self.ask(Ping(), to="bystander") == 1
            asks_s.append(time.perf_counter() - begun_s)
            loop.stopping.wait(0.01)
        told = {
            name: [
                {"kind": e.kind, "text": e.text, "trace": e.traceback, "dump": e.dump}
                for e in delivery.errors
            ]
            for name, delivery in sent.items()
        }
        again = self._ask_again()
        report = {
            "told": told,
            "again": again,
            "asks": len(asks_s),
            "median_s": statistics.median(asks_s),
            "worst_s": max(asks_s),
        }
        path = Path(self.report)
        # In one step: whoever waits for the file must not read half of it.
        unfinished = path.with_suffix(".new")
        unfinished.write_text(json.dumps(report), encoding="utf-8")
        unfinished.rename(path)

    def _ask_again(self) -> str:
        """Return what the module whose handler raised says to the next message."""
        try:
            self.ask(Explode(), to="raiser")
        except HalError as exc:
            return type(exc).__name__
        return "nothing"


class RaisesWhenMade(SimCamera):
    """Has a constructor with a defect."""

    def __init__(self, **values: Value) -> None:
        raise RuntimeError("no luck today\nand a second line")


class ExitsWhenMade(SimCamera):
    """Ends the program from its constructor."""

    def __init__(self, **values: Value) -> None:
        raise SystemExit(0)


class ModuleRaisesWhenMade(Module):
    """A module whose constructor has a defect."""

    def __init__(self, name: str, context: Context, **values: Any) -> None:
        raise RuntimeError("no luck today")


class ModuleExitsWhenMade(Module):
    """A module that ends the program from its constructor."""

    def __init__(self, name: str, context: Context, **values: Any) -> None:
        raise SystemExit("no luck today")


class NeedsAbsentPackage(SimCamera):
    """Needs what is not installed."""

    is_simulated: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("surely_missing_package",)
    simulated_by: ClassVar[str] = "simulation.camera"


class NoSimulation(SimCamera):
    """A real camera, as far as it says."""

    is_simulated: ClassVar[bool] = False


class NeedsSerial(SimCamera):
    """Has a parameter that must be given."""

    serial = Int(low=1, help="Serial number.")


class NotAnswering(SimCamera):
    """Is switched off."""

    def _do_open(self) -> None:
        raise DeviceError("camera 4711 does not answer on port 3")


class FailsToOpen(SimCamera):
    """Has a defect in `open`."""

    def _do_open(self) -> None:
        raise ZeroDivisionError("a defect of the driver")


class OpensSlowly(SimCamera):
    """Takes its time to open."""

    def _do_open(self) -> None:
        time.sleep(1.0)


class HangsInOpen(SimCamera):
    """Never comes back from `open`."""

    def _do_open(self) -> None:
        time.sleep(HANG_S)


class HangsInClose(SimCamera):
    """Never comes back from `close`."""

    def _do_close(self) -> None:
        time.sleep(HANG_S)


class HangsInFilm(SimCamera):
    """Never comes back with its tenth frame."""

    def read_into(self, out, timeout_s):  # type: ignore[no-untyped-def]
        stamp = super().read_into(out, timeout_s)
        if stamp is not None and stamp.counter == 9:
            time.sleep(HANG_S)
        return stamp


class FailsOnce(SimCamera):
    """Gives no frame for its third request."""

    asked = 0

    def request(self, first: int, count: int) -> None:
        self.asked += 1
        if self.asked == 3:
            raise DeviceError("no trigger")
        super().request(first, count)


class FailsInFilm(SimCamera):
    """Is unplugged at its tenth frame."""

    def read_into(self, out, timeout_s):  # type: ignore[no-untyped-def]
        stamp = super().read_into(out, timeout_s)
        if stamp is not None and stamp.counter == 9:
            raise LinkError("the cable was pulled")
        return stamp


class Abstract(Camera):
    """Not complete."""
