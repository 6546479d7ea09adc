"""One thread per Micro-Manager core, shared by the drivers of its devices.

The core is vendor code and serves several devices at once, so one thread owns it and
alone touches it: drivers hand it short calls and wait with a deadline. No call waits
for hardware (`waitForDevice` is never used), so a halt waits for one short call.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Generic, NoReturn, TypeVar, cast

from hal.base import (
    Clock,
    ConfigError,
    DeviceError,
    DeviceTimeout,
    StateError,
    SystemClock,
    did_you_mean,
    get_logger,
    one_of,
)
from modules.micromanager.package import CORE_ERRORS, create_core, find_config, one_line

if TYPE_CHECKING:
    from pymmcore_plus import CMMCorePlus

T = TypeVar("T")

CALL_S = 5.0
"""How long one call may take; those used here take microseconds to milliseconds."""
LOAD_S = 60.0
"""How long loading a configuration may take: real devices home and warm up in it."""
UNLOAD_S = 10.0
"""How long unloading all devices may take."""
CALM_S = 0.25
"""Time between the end of a film and unloading.

The thread of a camera that has taken its last frame says "ended" a moment before it
leaves the camera's code, and many adapters then do not wait for it (`stop_ = true` in
`MySequenceThread::svc`, a template they copy). To unload in that moment is a
segmentation fault: with DemoCamera on a busy machine once in 100 films. With this
pause there was none in 240."""


class _Call(Generic[T]):
    """One function on its way to the owner thread and its result on the way back."""

    def __init__(self, what: str, fn: Callable[[CMMCorePlus], T]) -> None:
        self.what = what
        self.fn = fn
        self.done = threading.Event()
        self.result: T | None = None
        self.error: BaseException | None = None
        # Whoever takes it decides the call's fate: the owner runs it, or the caller
        # who has waited too long gives it up before it ever runs.
        self._fate = threading.Lock()

    def claim(self) -> bool:
        """Take the right to run or drop this call; True for the first to ask."""
        return self._fate.acquire(blocking=False)


class CoreOwner:
    """One Micro-Manager core with the thread that owns it.

    Runs on: any, except `wait_here`.

    Guarantees:
        Only the thread `micromanager/<config>` touches the core.
        `call` returns within its deadline, also when the core hangs; a call that has
        not begun by then never runs.
        After `close` the devices are unloaded and the thread is gone.
    """

    def __init__(self, config: str, *, clock: Clock | None = None) -> None:
        """Start the thread; `load` makes the core and its devices.

        Args:
            config: Path of a `.cfg`, or `demo`.
            clock: Where deadlines come from.
        """
        self.config = config
        self.streaming = ""
        """Label of the camera that fills the core's only image buffer, or nothing.

        Runs on: the owner thread."""
        self._calm_s = 0.0
        self._clock: Clock = clock or SystemClock()
        self._calls: deque[_Call[object]] = deque()
        self._arrived = threading.Event()
        self._closing = False
        self._loaded = False
        self._defaults: dict[str, str] = {}
        self._overdue: _Call[object] | None = None
        self._verdict = threading.Lock()  # done in time, or overdue: never both
        name = f"micromanager/{Path(config).stem}"
        self._log = get_logger(module=name)
        self._thread = threading.Thread(target=self._own, name=name, daemon=True)
        self._thread.start()

    def load(self) -> None:
        """Load the configuration, unless a fellow driver has done so.

        Raises:
            StartError: Micro-Manager or its device adapters are not installed.
            ConfigError: No such file, or the core refuses what is in it.
        """
        self.call("load the configuration", self._load, LOAD_S)

    def call(
        self,
        what: str,
        fn: Callable[[CMMCorePlus], T],
        timeout_s: float = CALL_S,
        *,
        urgent: bool = False,
    ) -> T:
        """Run `fn` on the owner thread and return what it returns.

        Args:
            what: What it does, for error texts: `move 'XY'`.
            fn: Short; keeps nothing of the core, and writes nothing of the caller's,
                because it may end when the caller has long gone.
            timeout_s: How long to wait for the result.
            urgent: Run before all other waiting calls.

        Raises:
            DeviceError: The core failed; carries its text.
            DeviceTimeout: No result in time.
            StateError: An earlier call hangs, or the core was closed or abandoned.
        """
        self._check_usable(what)
        call = _Call(what, fn)
        queued = cast("_Call[object]", call)
        if urgent:
            self._calls.appendleft(queued)
        else:
            self._calls.append(queued)
        self._arrived.set()
        if self._closing:  # maybe just behind the last look into the queue
            self._drop(queued)
        if not self._clock.wait(call.done, timeout_s):
            if call.claim():
                raise DeviceTimeout(
                    self._sentence(what, f"not begun after {timeout_s:g} s")
                )
            with self._verdict:
                late = not call.done.is_set()
                if late:
                    self._overdue = queued
            if late:
                raise DeviceTimeout(
                    self._sentence(what, f"no answer after {timeout_s:g} s")
                )
        if call.error is not None:
            self._raise(what, call.error)
        return cast(T, call.result)

    def wait_here(self, ready: Callable[[], bool], timeout_s: float) -> bool:
        """Poll `ready` inside a call, but only while nobody else wants the core.

        Runs on: the owner thread.

        Returns:
            Whether it is ready; False at once when another call waits.
        """
        end_s = self._clock.monotonic_s() + timeout_s
        while not ready():
            left_s = end_s - self._clock.monotonic_s()
            if left_s <= 0 or self._calls or self._closing:
                return False
            self._arrived.clear()
            if not self._calls:
                # Short against a frame, long against the 1 us that a look takes.
                self._clock.wait(self._arrived, min(left_s, 0.0005))
        return True

    def film_ended(self) -> None:
        """Free the image buffer, and keep the devices loaded for a moment.

        Runs on: the owner thread.
        """
        self.streaming = ""
        self._calm_s = self._clock.monotonic_s() + CALM_S

    def find_device(self, label: str, kind: str) -> str:
        """Return the label of a loaded device of a kind.

        Args:
            label: As the user wrote it; empty for the configuration's default.
            kind: Name of a Micro-Manager device type, as `Camera`.

        Raises:
            ConfigError: No such device, or it is of another kind; lists the labels.
        """
        kinds = self.call("list the devices", _kinds)
        wanted = label or self._defaults.get(kind, "")
        fitting = [name for name, its_kind in kinds.items() if its_kind == kind]
        if wanted in fitting:
            return wanted
        if not wanted:
            problem = f"names no default {kind}, so device= must be given"
        elif wanted in kinds:
            problem = f"has '{wanted}' as {kinds[wanted]}, not as {kind}"
        else:
            problem = f"has no device '{wanted}'"
        raise ConfigError(
            f"this Micro-Manager configuration {problem}: expected one of "
            f"{one_of(fitting)}{did_you_mean(wanted, fitting)}",
            file=self.config,
        )

    def close(self, timeout_s: float = UNLOAD_S) -> None:
        """Unload all devices and end the thread.

        Raises:
            DeviceTimeout: The core hangs; all this follows when it comes back.
        """
        self._closing = True
        self._arrived.set()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise DeviceTimeout(
                self._sentence("unload the devices", f"not done in {timeout_s:g} s")
            )

    def abandon(self) -> None:
        """Write the core off: waiting calls fail now, and no new one is taken.

        Should the call it hangs in ever return, the thread unloads the devices and
        ends.
        """
        self._closing = True
        self._arrived.set()
        self._drop_all()

    def wait_until_ended(self, timeout_s: float) -> bool:
        """Return whether the thread is gone, waiting for it if need be."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def hangs_in(self) -> str:
        """What the call does that has not come back in time, or nothing."""
        overdue = self._overdue
        return "" if overdue is None else overdue.what

    def _own(self) -> None:
        """Thread main: everything that touches the core happens in here."""
        core: CMMCorePlus | None = None
        while not self._closing:
            self._arrived.wait(timeout=1.0)
            self._arrived.clear()
            while call := self._next():
                if call.claim():
                    core = self._run(call, core)
        if core is not None:
            self._unload(core)
        self._drop_all()

    def _run(self, call: _Call[object], core: CMMCorePlus | None) -> CMMCorePlus | None:
        try:
            core = core or create_core()
            call.result = call.fn(core)
        except BaseException as exc:  # noqa: BLE001 - thread main: the caller gets it
            call.error = exc
        with self._verdict:
            call.done.set()
            was_late = self._overdue is call
            if was_late:
                self._overdue = None
        if was_late:
            self._log.warning("late answer dropped", call=call.what)
        return core

    def _load(self, core: CMMCorePlus) -> None:
        if self._loaded:
            return
        path = find_config(self.config)
        try:
            core.loadSystemConfiguration(str(path))
        except CORE_ERRORS as exc:
            raise ConfigError(
                f"Micro-Manager cannot load this configuration: {one_line(exc)}",
                file=str(path),
            ) from exc
        if len(core.getLoadedDevices()) < 2:  # "Core" itself is always among them
            raise ConfigError(
                "this Micro-Manager configuration has no devices: expected lines like "
                "'Device,Camera,DemoCamera,DCam'",
                file=str(path),
            )
        # Now, because a camera that is used becomes the core's current one.
        self._defaults = {
            "Camera": core.getCameraDevice(),
            "XYStage": core.getXYStageDevice(),
            "Stage": core.getFocusDevice(),
            "Shutter": core.getShutterDevice(),
        }
        # HAL opens and closes shutters; the camera's thread must not.
        core.setAutoShutter(False)
        self._loaded = True
        self._log.info("devices loaded", devices=list(core.getLoadedDevices()))

    def _unload(self, core: CMMCorePlus) -> None:
        self._clock.wait(threading.Event(), self._calm_s - self._clock.monotonic_s())
        try:
            core.unloadAllDevices()
        except CORE_ERRORS as exc:
            self._log.error("devices not unloaded", why=one_line(exc))

    def _next(self) -> _Call[object] | None:
        try:
            return self._calls.popleft()
        except IndexError:
            return None

    def _drop_all(self) -> None:
        while call := self._next():
            self._drop(call)

    def _drop(self, call: _Call[object]) -> None:
        if call.claim():
            call.error = StateError(self._sentence(call.what, "its core was closed"))
            call.done.set()

    def _check_usable(self, what: str) -> None:
        if self._closing:
            raise StateError(self._sentence(what, "its core was closed"))
        if self.hangs_in:
            raise StateError(
                self._sentence(what, f"the core hangs in '{self.hangs_in}'")
            )

    def _raise(self, what: str, error: BaseException) -> NoReturn:
        if isinstance(error, CORE_ERRORS):
            raise DeviceError(self._sentence(what, one_line(error))) from error
        raise error

    def _sentence(self, what: str, why: str) -> str:
        return f"Micro-Manager ({self.config}): {what}: {why}"


def _kinds(core: CMMCorePlus) -> dict[str, str]:
    return {
        label: str(core.getDeviceType(label))
        for label in core.getLoadedDevices()
        if label != "Core"
    }
