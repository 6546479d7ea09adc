"""What all guards have in common: patience, and how they speak to the acquisition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from hal.base import (
    Choice,
    Float,
    ModuleState,
    ParameterError,
    Text,
    Value,
    did_you_mean,
    one_of,
)
from hal.kernel import (
    ConfigureModule,
    Context,
    Dispatching,
    Module,
    ModuleStateChanged,
    RunLost,
    StartModule,
    StopModule,
    Timer,
    handles,
)
from hal.messages import (
    GuardChanged,
    GuardsOverruled,
    ReleaseRun,
    RunStatusChanged,
    SuspendRun,
)
from modules.guards.vigil import Order, Terms, Vigil

LOOK_S: Final = 0.2
"""How often a guard looks at the time."""
ITSELF: Final = "itself"
PERSON: Final = "person"


class Guard(Module):
    """Pauses runs while something is wrong; a subclass says what is: `see`.

    See `Vigil` for when it does, and for what a person may do about it. A film exposes
    all the time and cannot be paused: it goes on, and its status tells of the guard.

    Runs on: actor.
    """

    role = "guard"
    dispatching: ClassVar[Dispatching] = Dispatching.POOL

    after_s = Float(
        5.0,
        unit="s",
        low=0.0,
        high=86_400.0,
        live=True,
        help="Pause when it has been wrong for so long, without a break.",
    )
    settle_s = Float(
        5.0,
        unit="s",
        low=0.0,
        high=86_400.0,
        live=True,
        help="It is well again when it has been good for so long, without a break.",
    )
    silent_s = Float(
        30.0,
        unit="s",
        low=0.1,
        high=86_400.0,
        live=True,
        help="Without news for so long, it is taken to be wrong.",
    )
    resumes = Choice(
        ITSELF,
        choices=(ITSELF, PERSON),
        live=True,
        help="Whether a run goes on by itself when all is well, or when a person says "
        "so.",
    )

    def __init__(
        self, name: str, context: Context, *, deadline_s: float = 5.0, **values: Value
    ) -> None:
        super().__init__(name, context, deadline_s=deadline_s, **values)
        self._vigil = Vigil(may_be_holding=self.generation > 1)
        self._news_s = self.clock.monotonic_s()
        self._shown = (False, "")
        self._timer: Timer | None = None

    @handles(StartModule)
    def on_start_module(self, msg: StartModule) -> None:
        """Begin to watch."""
        super().on_start_module(msg)
        self._news_s = self.clock.monotonic_s()
        self._look_later()

    @handles(StopModule)
    def on_stop_module(self, msg: StopModule) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        super().on_stop_module(msg)

    @handles(RunStatusChanged)
    def on_run_status(self, msg: RunStatusChanged) -> None:
        """Note whether there is a run."""
        if msg.status.state.is_terminal:
            self._vigil.run_ended(msg.run_id)
            self.decide()
        else:
            self._vigil.run_goes_on(msg.run_id)

    @handles(RunLost)
    def on_run_lost(self, msg: RunLost) -> None:
        """Note that the run is over."""
        self._vigil.run_ended(msg.run_id)

    @handles(GuardsOverruled)
    def on_overruled(self, msg: GuardsOverruled) -> None:
        """Leave that run alone until all is well."""
        if self.name in msg.guards:
            self._vigil.overrule(msg.run_id)
            self.decide()

    @handles(ModuleStateChanged)
    def on_module_state(self, msg: ModuleStateChanged) -> None:
        """Tell an acquisition that began anew what the one before it knew."""
        is_new = msg.state == ModuleState.STARTED
        if is_new and msg.module in self.context.names_of_role("acquisition"):
            self._vigil.forgotten()

    # -- for subclasses -----------------------------------------------------------

    def see(self, wrong: str) -> None:
        """Note news of the condition: what is wrong, or an empty text."""
        self._news_s = self.clock.monotonic_s()
        self._vigil.see(wrong, self._news_s)
        self.decide()

    def silence(self, silent_s: float) -> str:
        """Return what is wrong when there was no news for so long, in words."""
        return f"{self.name} has heard nothing for {silent_s:g} s"

    def begin_anew(self) -> None:
        """Forget all: it is another thing that is watched from now on."""
        if self._vigil.begin_anew():
            self.send(ReleaseRun(by=self.name))

    def decide(self) -> None:
        """Tell the acquisition, and everybody, what comes of it."""
        if self._timer is None:
            return  # not started yet, or stopped
        terms = Terms(self.after_s, self.settle_s, self.resumes == ITSELF)
        vigil = self._vigil
        order = vigil.decide(self.clock.monotonic_s(), terms)
        if order is Order.SUSPEND:
            self.log.warning("runs are held back", why=vigil.why)
            self.send(SuspendRun(by=self.name, why=vigil.why))
        elif order is Order.RELEASE:
            self.log.info("runs may go on")
            self.send(ReleaseRun(by=self.name))
        shown = (vigil.is_holding, vigil.why)
        if shown != self._shown:
            self._shown = shown
            self.set_state(self.state, vigil.why)
            self.send(GuardChanged(self.name, *shown))

    # -- time ---------------------------------------------------------------------

    def _look_later(self) -> None:
        timers = self.context.timers
        self._timer = timers.after(LOOK_S, lambda: self.post_own(self._look))

    def _look(self) -> None:
        if self._timer is None:
            return  # stopped
        now_s = self.clock.monotonic_s()
        if now_s - self._news_s >= self.silent_s:
            self._vigil.see(self.silence(self.silent_s), now_s)
        self.decide()
        self._look_later()


class SensorGuard(Guard):
    """Listens to a sensor that reports by itself."""

    sensor_role: ClassVar[str]
    """Role of the modules it listens to."""

    sensor = Text("", live=True, help="Name of the sensor; empty for the only one.")

    @handles(ConfigureModule)
    def on_configure(self, msg: ConfigureModule) -> None:
        """See whether there is such a sensor."""
        self._find(self.sensor)
        super().on_configure(msg)

    def propose_values(self, values: Mapping[str, Value]) -> None:
        super().propose_values(values)
        self._find(str(values.get("sensor", self.sensor)))

    def is_meant(self, sensor: str) -> bool:
        """Whether it listens to that one."""
        return sensor == self._find(self.sensor)

    def silence(self, silent_s: float) -> str:
        return (
            f"no news of {self._find(self.sensor)} for {silent_s:g} s: expected it to "
            "report as often as its report_every_s says"
        )

    def _find(self, name: str) -> str:
        """Return the sensor that is meant.

        Raises:
            ParameterError: There is none of that name, or several and no name.
        """
        known = self.context.names_of_role(self.sensor_role)
        if name in known:
            return name
        if not name and len(known) == 1:
            return known[0]
        raise ParameterError(
            f"sensor='{name}': expected one of {one_of(known)}"
            f"{did_you_mean(name, known)}"
        )
