"""A module that owns a driver: opens it, speaks for it, brings it to a safe end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

from hal.base import (
    Driver,
    ErrorRecord,
    ModuleState,
    ParameterError,
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
    ParameterList,
    StopModule,
)

D = TypeVar("D", bound=Driver)


class DeviceModule(Module, Generic[D]):
    """Base of modules with a driver; `driver_kind` says which kind it takes.

    The driver is opened when the module is configured. One that does not answer leaves
    the module degraded: HAL runs, shows it, and refuses work that needs it.

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
            what="open device",
            then=lambda _: self.set_state(ModuleState.CONFIGURED),
        )

    @handles(StopModule)
    def on_stop_module(self, msg: StopModule) -> None:
        """Halt, then close the driver on the worker once nothing else uses it."""
        self.set_state(ModuleState.STOPPING)
        for loop in self.loops:
            loop.stop()
        # Contained: a device that cannot be halted must be closed all the more.
        self._contained("halt", self._driver.halt)
        self.run_job(
            self._driver.close,
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
        accepted = self._driver.propose(theirs, running=self.is_running)
        done = self.commit(self.propose(mine))
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

    def _open(self) -> None:
        try:
            self._driver.open()
        except BaseException as exc:
            # A defect of the driver, too, must be readable in the module's state.
            reason = ErrorRecord.from_exception(exc, self.name).text
            self.post_own(lambda: self.set_state(ModuleState.DEGRADED, reason))
            raise
