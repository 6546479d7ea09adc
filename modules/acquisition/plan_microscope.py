"""The microscope as the engine of a plan sees it: moves, light, frames, settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from hal.acquisition import (
    CameraRegion,
    Change,
    ChannelName,
    EventRow,
    Plan,
    Reached,
    StimulationEvent,
    Taken,
    stimulation_partners,
)
from hal.base import ErrorRecord, HalError, PlanError, Value, did_you_mean, one_of
from hal.frames import PackedMask
from hal.kernel import (
    Delivery,
    DescribeParameters,
    MakeSafe,
    Module,
    ParameterList,
    Request,
)
from hal.messages import (
    CallOffFrames,
    CatchUpAnalysis,
    ChannelDescription,
    FindFocus,
    FocusFound,
    FramesTaken,
    GetChannel,
    GetLight,
    GetMask,
    GetWheelAbility,
    HaltMotion,
    LightState,
    MoveFilterWheel,
    MoveStage,
    MoveZ,
    ProjectMask,
    SetLight,
    SetParameters,
    SetShutter,
    StagePosition,
    StartRun,
    TakeFrames,
    WheelAbility,
    ZPosition,
)
from modules.acquisition.event_table import EventTable
from modules.acquisition.microscope import Microscope

_REST_S: Final = 10.0
"""So long each device may take to come to rest at the end."""

_PROJECT_S: Final = 30.0
"""So long a projector may take besides."""

Order = tuple[Request, str | None]


class PlanMicroscope(Microscope):
    """A `PlanRig` made of modules.

    Runs on: as `Microscope`.

    Guarantees:
        What it changes is noted before it is changed for the first time, for `restore`.
        What it lit or moved is known until it is at rest.
    """

    def __init__(self, run_id: str, request: StartRun, module: Module) -> None:
        super().__init__(run_id, request, module)
        self._channels: dict[ChannelName, ChannelDescription] = {}
        self._lit: dict[str, Request] = {}
        """By module: what makes it dark again."""
        self._moving: set[str] = set()
        self._before: dict[str, Callable[[], Request]] = {}
        self._values_before: dict[str, dict[str, Value]] = {}
        self._table = EventTable(run_id, module)
        self._needed: frozenset[str] = frozenset()

    def remember(self, plan: Plan) -> None:
        """Find the channels there are."""
        self._needed = stimulation_partners(plan).analyses
        for name in self._module.context.names_of_role("channel"):
            channel = self._ask(GetChannel(), name, ChannelDescription)
            self._channels[channel.name] = channel

    def set_region(self, camera: str, region: CameraRegion) -> None:
        """Set the part of the sensor that is read out."""
        self._set(
            camera,
            {
                "roi_x_px": region.x_px,
                "roi_y_px": region.y_px,
                "roi_width_px": region.width_px,
                "roi_height_px": region.height_px,
            },
        )

    def change(self, change: Change) -> Reached:
        """Bring about a state of the microscope; return when all of it is true."""
        stage = z = ""
        orders: list[Order] = []
        if change.x_um is not None or change.y_um is not None:
            stage = self._first("stage")
            orders.append((self._move_stage(stage, change), stage))
        if change.z_um is not None:
            z = self._first("z")
            orders.append((MoveZ(change.z_um), z))
        if change.channel is not None:
            orders += self._orders_of(self._channel(change.channel))
        by_device: dict[str, dict[str, Value]] = {}
        for each in change.properties:
            by_device.setdefault(each.device, {})[each.name] = each.value
        for device, values in by_device.items():
            self._remember_values(device, values)
        if by_device:
            orders.append((SetParameters(by_device), None))
        moving = {name for name in (stage, z) if name}
        self._moving |= moving
        answers = self._all(orders)
        self._moving -= moving
        reached: dict[str, float] = {}
        for (_, to), answer in zip(orders, answers, strict=True):
            if to == stage and isinstance(answer, StagePosition):
                reached |= {"x_um": answer.x_um, "y_um": answer.y_um}
            elif to == z and isinstance(answer, ZPosition):
                reached["z_um"] = answer.z_um
        return Reached(**reached)

    def light(self, channel: ChannelName, *, on: bool) -> None:
        """Let the light of a channel onto the sample, or no more."""
        found = self._channel(channel)
        if found.shutter:
            if on and found.light and found.light not in self._lit:
                self._lit[found.light] = SetLight(is_on=False)
                self._send(SetLight(is_on=True), found.light)
            self._switch(found.shutter, SetShutter(on), SetShutter(False), on=on)
        elif found.light:
            self._switch(found.light, SetLight(is_on=on), SetLight(is_on=False), on=on)

    def take(
        self, camera: str, frame: int, event: int, count: int, exposure_s: float | None
    ) -> Taken:
        """Expose frames one after the other."""
        request = TakeFrames(self.run_id, frame, event, count, exposure_s)
        # The camera knows best how long that may take, and says when it was too long.
        taken = self._ask(request, camera, FramesTaken, deadline_s=count * 3600.0)
        return Taken(taken.count, taken.began_s, taken.error)

    def call_off(self, camera: str) -> None:
        """Have `take` return after the frame that is being exposed."""
        self._module.send(CallOffFrames(self.run_id), to=camera, run_id=self.run_id)

    def focus(self, device: str, tries: int, motor_offset_um: float | None) -> float:
        """Find the focus; return its z."""
        name = device or self._first("autofocus")
        self._moving.add(name)
        found = self._ask(FindFocus(tries, motor_offset_um), name, FocusFound)
        self._moving.discard(name)
        return found.z_um

    def note(self, rows: tuple[EventRow, ...]) -> None:
        """Have the recorder keep what became of events."""
        self._table.note(rows)

    def resume_recording(self) -> None:
        super().resume_recording()
        self._table.repeat()

    def finish_recording(self, state: str, drain_s: float) -> Any:
        self._table.settle(self.beat)
        return super().finish_recording(state, drain_s)

    def begin_analyses(self) -> dict[str, ErrorRecord | None]:
        """Have those who watch the armed cameras begin; return why some cannot.

        Raises:
            HalError: The plan needs one that cannot, or that watches something else.
        """
        found = super().begin_analyses()
        for name in sorted(self._needed):
            if name not in found:
                raise PlanError(
                    f"analysis '{name}' watches none of the cameras of this plan"
                )
            if (problem := found[name]) is not None:
                raise problem.to_exception()
        return found

    def catch_up(self) -> tuple[ErrorRecord, ...]:
        """Return when all analyses have seen all frames so far."""
        request = CatchUpAnalysis(self.run_id)
        return self._each([(request, name) for name in self._analyses])

    def mask(self, number: int, event: StimulationEvent) -> PackedMask:
        """Return where an analysis wants light, after all frames so far."""
        request = GetMask(self.run_id, number, event)
        return self._ask(request, event.mask_from, PackedMask, event.deadline_s)

    def project(self, projector: str, mask: PackedMask, duration_s: float) -> None:
        """Let light through where the mask says, for that long; then all is dark."""
        self._lit[projector] = MakeSafe()
        # The projector knows best how long that may take.
        deadline_s = duration_s + _PROJECT_S
        self._send(ProjectMask(mask, duration_s), projector, deadline_s)
        del self._lit[projector]

    def rest(self) -> tuple[ErrorRecord, ...]:
        """Put out all light of the plan and stop what moves; return what failed."""
        halts: list[Order] = [(HaltMotion(), name) for name in self._moving]
        self._moving.clear()
        dark: list[Order] = [(request, name) for name, request in self._lit.items()]
        self._lit.clear()
        return self._each(halts + dark, _REST_S)

    def restore(self) -> tuple[ErrorRecord, ...]:
        """Set back what the plan changed; return what failed."""
        orders: list[Order] = [(make(), name) for name, make in self._before.items()]
        orders += [
            (SetParameters({name: values}), None)
            for name, values in self._values_before.items()
        ]
        self._before.clear()
        self._values_before.clear()
        return self._each(orders)

    # -- channels -----------------------------------------------------------------

    def _channel(self, name: ChannelName) -> ChannelDescription:
        found = self._channels.get(name)
        if found is None:
            known = [str(channel) for channel in self._channels]
            raise PlanError(
                f"there is no channel '{name}': expected one of {one_of(known)}"
                f"{did_you_mean(str(name), known)}"
            )
        return found

    def _orders_of(self, channel: ChannelDescription) -> list[Order]:
        """Return what makes a channel the one that is set; its light stays off."""
        orders: list[Order] = []
        for name, dark in list(self._lit.items()):
            if name not in (channel.light, channel.shutter):
                orders.append((dark, name))
                del self._lit[name]
        if channel.light and channel.power_mw is not None:
            self._remember_light(channel.light)
            orders.append((SetLight(power_mw=channel.power_mw), channel.light))
        if channel.filter_wheel and channel.filter:
            self._remember_wheel(channel.filter_wheel)
            orders.append((MoveFilterWheel(channel.filter), channel.filter_wheel))
        return orders

    def _switch(self, name: str, order: Request, dark: Request, *, on: bool) -> None:
        if on:
            self._lit[name] = dark  # whatever comes of it
        self._send(order, name)
        if not on:
            self._lit.pop(name, None)

    # -- what was before ----------------------------------------------------------

    def _remember_light(self, name: str) -> None:
        if name not in self._before:
            power_mw = self._ask(GetLight(), name, LightState).power_mw
            self._before[name] = lambda: SetLight(power_mw=power_mw, is_on=False)

    def _remember_wheel(self, name: str) -> None:
        if name not in self._before:
            slot = self._ask(GetWheelAbility(), name, WheelAbility).slot
            self._before[name] = lambda: MoveFilterWheel(slot)

    def _remember_values(self, name: str, values: Iterable[str]) -> None:
        known = self._values_before.setdefault(name, {})
        new = [value for value in values if value not in known]
        if new:
            specs = self._ask(DescribeParameters(), name, ParameterList).specs
            now = {spec.name: spec.value for spec in specs}
            # One it does not have is refused when it is to be set.
            known.update({value: now[value] for value in new if value in now})

    def _set(self, name: str, values: dict[str, Value]) -> None:
        self._remember_values(name, values)
        self._send(SetParameters({name: values}), None)

    # -- messages -----------------------------------------------------------------

    def _move_stage(self, stage: str, change: Change) -> MoveStage:
        if change.x_um is None or change.y_um is None:
            at = self._position(stage)
            x_um = at.x_um if change.x_um is None else change.x_um
            y_um = at.y_um if change.y_um is None else change.y_um
            return MoveStage(x_um, y_um)
        return MoveStage(change.x_um, change.y_um)

    def _first(self, role: str) -> str:
        """Return the module of a role that plans mean: the first of the file."""
        names = self._module.context.names_of_role(role)
        if not names:
            raise PlanError(f"the plan needs a module of role {role}: there is none")
        return names[0]

    def _all(self, orders: list[Order]) -> list[Any]:
        """Send all, wait for all; return the answers, or raise the first error."""
        deliveries = [self._post(request, to) for request, to in orders]
        for delivery in deliveries:
            self._await(delivery)
        return [delivery.result() for delivery in deliveries]

    def _each(
        self, orders: list[Order], deadline_s: float | None = None
    ) -> tuple[ErrorRecord, ...]:
        """Send all, wait for all; return what failed."""
        deliveries: list[Delivery] = [
            self._post(request, to, deadline_s) for request, to in orders
        ]
        problems = []
        for delivery, (_, to) in zip(deliveries, orders, strict=True):
            self._await(delivery)
            try:
                delivery.result()
            except HalError as exc:
                source = to or self._module.name
                problems.append(ErrorRecord.from_exception(exc, source))
        return tuple(problems)
