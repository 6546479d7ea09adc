"""A module that owns a driver: opens it, speaks for it, brings it to a safe end."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Final, Generic, TypeVar

import msgspec

from hal.base import (
    Driver,
    ErrorRecord,
    LinkError,
    ModuleState,
    ParameterError,
    SafeStateCall,
    StateError,
    Value,
    did_you_mean,
    one_of,
)
from hal.kernel.context import Context
from hal.kernel.handles import handles
from hal.kernel.module import Module
from hal.kernel.protocol import (
    ConfigureModule,
    DescribeParameters,
    MakeSafe,
    OpenDevice,
    ParameterList,
    StopModule,
)
from hal.kernel.timers import Timer

RETRY_S: Final = 1.0
"""Before the first further attempt to open a device; twice as long each time."""
RETRY_MOST_S: Final = 60.0

D = TypeVar("D", bound=Driver)


class DeviceModule(Module, Generic[D]):
    """Base of modules with a driver; `driver_kind` says which kind it takes.

    The driver is opened when the module is configured. One that does not answer leaves
    the module degraded: HAL runs, shows it, refuses work that needs it, and tries
    again. All generations share the driver, one after the other: while a call of an
    earlier one has not come back, the device counts as not answering.

    Runs on: actor; the driver is called on the worker, or by the loop that serves it.
    """

    driver_kind: ClassVar[type[Any]]

    def __init__(
        self,
        name: str,
        context: Context,
        *,
        driver: D,
        deadline_s: float = 5.0,
        **values: Value,
    ) -> None:
        super().__init__(name, context, deadline_s=deadline_s, **values)
        self._driver = driver
        self._retry_s = RETRY_S
        self._retry: Timer | None = None

    @property
    def device(self) -> D:
        """The driver, ready for work.

        Raises:
            StateError: The device is not there, or hangs.
        """
        self.require_ready()
        return self._driver

    @handles(ConfigureModule)
    def on_configure(self, msg: ConfigureModule) -> None:
        """Open the driver on the worker."""
        self.run_job(
            self._open,
            deadline_s=self._time_to_open_s(),
            what="open device",
            then=lambda _: self.set_state(ModuleState.CONFIGURED),
        )

    @handles(OpenDevice)
    def on_open_device(self, msg: OpenDevice) -> None:
        """Try again to open the driver."""
        if self.state is ModuleState.DEGRADED:
            self.run_job(
                self._open,
                deadline_s=self._time_to_open_s(),
                what="open device",
                then=self._is_back,
            )

    @handles(MakeSafe)
    def on_make_safe(self, msg: MakeSafe) -> None:
        """Halt at once, then bring the device to its safe state."""
        self._driver.halt()
        if self.state.takes_work:
            self.run_job(self._driver.safe_state, what="make safe")

    @handles(StopModule)
    def on_stop_module(self, msg: StopModule) -> None:
        """Halt, then close the driver on the worker once nothing else uses it."""
        self.set_state(ModuleState.STOPPING)
        if self._retry is not None:
            self._retry.cancel()
        for loop in self.loops:
            loop.stop()
        # Contained: a device that cannot be halted must be closed all the more.
        self.contained("halt", self._driver.halt)
        if self.seat.held_by:  # by a call that has not come back; closed when it has
            self.set_state(ModuleState.STOPPED)
            return
        self.run_job(
            self.let_go,
            what="close device",
            then=lambda _: self.set_state(ModuleState.STOPPED),
        )

    @handles(DescribeParameters)
    def on_describe(self, msg: DescribeParameters) -> ParameterList:
        """Answer with the parameters of module and device."""
        return ParameterList(
            self.name,
            str(getattr(self._driver, "identity", type(self._driver).__name__)),
            bool(getattr(self._driver, "is_simulated", False)),
            self.specs() + self._driver.specs(),
        )

    def propose_values(self, values: Mapping[str, Value]) -> None:
        mine, theirs = self._split(values)
        self.propose(mine)
        self._driver.propose(theirs, running=self.is_running)

    def commit_values(self, values: Mapping[str, Value]) -> object:
        mine, theirs = self._split(values)
        self._require_free()
        accepted = self._driver.propose(theirs, running=self.is_running)
        done = self.commit_own(mine)
        self.run_job(
            lambda: self._driver.commit(accepted),
            what="set parameters",
            then=lambda now: self.announce({**done, **now}),
        )
        return None

    @property
    def is_running(self) -> bool:
        """Whether the device is at work, so that only live parameters may change."""
        return bool(self.loops)

    def _split(
        self, values: Mapping[str, Value]
    ) -> tuple[dict[str, Value], dict[str, Value]]:
        """Return the module's own values and its driver's."""
        own = self.parameters()
        known = {*own, *self._driver.values()}
        for name in values:
            if name not in known:
                raise ParameterError(
                    f"unknown parameter '{name}': expected one of "
                    f"{one_of(known)}{did_you_mean(name, known)}"
                )
        mine = {name: value for name, value in values.items() if name in own}
        theirs = {name: value for name, value in values.items() if name not in own}
        return mine, theirs

    # -- its end, and a new beginning ---------------------------------------------

    def make_safe(self, *, hung: bool, is_free: bool) -> None:
        self._driver.halt()
        if hung:
            self._driver.abandon()
        elif is_free:  # otherwise when it is opened again
            self._driver.safe_state()

    def let_go(self) -> None:
        self._driver.close()
        self._keep_second_path(None)

    def device_is_free(self) -> None:
        if self.state is ModuleState.DEGRADED:
            self._try_again(0.0)

    def job_failed(self, error: BaseException) -> None:
        """See whether the connection is gone."""
        if isinstance(error, LinkError) and self.state.takes_work:
            self._degrade(error)

    def _keep_second_path(self, call: SafeStateCall | None) -> None:
        """Note what makes the device safe from outside, and tell who may need it."""
        self.seat.outside_safe_state = call
        if self.context.uplink is not None:
            self.context.uplink.second_path(self.name, call)

    def _ask_outside_safe_state(self) -> SafeStateCall | None:
        ask = getattr(self._driver, "outside_safe_state", None)  # it need not have one
        call: SafeStateCall | None = None if ask is None else ask()
        if call is None:
            return None
        return msgspec.structs.replace(call, module=self.name)

    def _open(self) -> None:
        try:
            self._require_free()
            self._driver.close()  # harmless, unless the connection was lost
            self._driver.open()
            if self.generation > 1:
                self._driver.safe_state()
                self._home()
            self._keep_second_path(self._ask_outside_safe_state())
        except BaseException as exc:
            # A defect of the driver, too, must be readable in the module's state.
            self.post_own(partial(self._degrade, exc))
            raise

    def _home(self) -> None:
        """Have a device find its home that no longer knows where it is."""
        if getattr(self._driver, "needs_homing", False):
            self.log.info("homing")
            getattr(self._driver, "home")()  # noqa: B009 - of some drivers only

    def _time_to_open_s(self) -> float:
        """Return what `_open` may take: homing goes over the whole travel."""
        if self.generation > 1 and getattr(self._driver, "needs_homing", False):
            return self.deadline_s + float(getattr(self._driver, "home_timeout_s", 0.0))
        return self.deadline_s

    def _require_free(self) -> None:
        held_by = self.seat.held_by
        if held_by:
            raise StateError(f"the device is still held by {held_by}")

    def _degrade(self, error: BaseException) -> None:
        reason = ErrorRecord.from_exception(error, self.name).text
        self.set_state(ModuleState.DEGRADED, reason)
        self._try_again(self._retry_s)
        self._retry_s = min(2 * self._retry_s, RETRY_MOST_S)

    def _try_again(self, delay_s: float) -> None:
        if self._retry is not None:
            self._retry.cancel()
        self._retry = self.after(delay_s, OpenDevice())

    def _is_back(self, _opened: object) -> None:
        self._retry_s = RETRY_S
        self.set_state(ModuleState.CONFIGURED)
        if self.seat.phase > 1:
            self.set_state(ModuleState.STARTED)
