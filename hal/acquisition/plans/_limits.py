"""Whether a microscope can do what one event asks; each new value is looked at once."""

from __future__ import annotations

from hal.acquisition.plans._problems import Problems
from hal.acquisition.plans.abilities import Abilities
from hal.acquisition.plans.events import (
    AutofocusEvent,
    ChannelName,
    DeviceProperty,
    SetupEvent,
    StagedEvent,
    StimulationEvent,
)
from hal.base import Value, did_you_mean, one_of


class Limits:
    """Compares events with abilities.

    Runs on: any one thread.
    """

    def __init__(self, abilities: Abilities, problems: Problems) -> None:
        self._abilities = abilities
        self._problems = problems
        self._seen: set[object] = set()
        self._xy = abilities.xy_limits_um()
        self._z = abilities.z_limits_um()

    def check(self, number: int, event: StagedEvent) -> None:
        """Note everything about an event that cannot be done."""
        seen = self._seen
        if event.x_um not in seen:
            seen.add(event.x_um)
            self._axis(number, event, "x_um", event.x_um, self._xy and self._xy[:2])
        y_key = ("y", event.y_um)
        if y_key not in seen:
            seen.add(y_key)
            self._axis(number, event, "y_um", event.y_um, self._xy and self._xy[2:])
        z_key = ("z", event.z_um)
        if z_key not in seen:
            seen.add(z_key)
            self._axis(number, event, "z_um", event.z_um, self._z)
        # A setup may set an exposure and a channel, and an image needs both.
        taken = (event.channel, event.exposure_s, event.camera, type(event))
        if taken not in seen:
            seen.add(taken)
            self._taking(number, event)
        for each in event.properties:
            if each not in seen:
                seen.add(each)
                self._property(number, event, each)
        if isinstance(event, AutofocusEvent) and ("af", event.device) not in seen:
            seen.add(("af", event.device))
            self._focus(number, event)
        if isinstance(event, StimulationEvent):
            for field, name, known in (
                ("mask_from", event.mask_from, self._abilities.analyses),
                ("projector", event.projector, self._abilities.projectors),
            ):
                if (field, name) not in seen:
                    seen.add((field, name))
                    self._partner(number, event, field, name, known)

    def _axis(
        self,
        number: int,
        event: StagedEvent,
        field: str,
        value: float | None,
        limits: tuple[float, ...] | None,
    ) -> None:
        if value is None:
            return
        is_z = field == "z_um"
        device = self._abilities.focus_drive if is_z else self._abilities.stage
        if ("broken", field) in self._seen:
            return
        if device and not self._works(number, event, field, device):
            self._seen.add(("broken", field))
            return
        if limits is None:
            if device:
                return  # it does not say how far it may go
            what = "focus drive" if is_z else "stage"
            self._add(
                number, event, field, value, None, f"expected none: there is no {what}"
            )
            return
        low, high = limits
        if not low <= value <= high:
            nearest = low if value < low else high
            words = f"expected {low:g} to {high:g} um"
            self._add(number, event, field, value, nearest, words)

    def _taking(self, number: int, event: StagedEvent) -> None:
        abilities, camera = self._abilities, event.camera
        if event.channel is not None:
            camera = self._channel(number, event, event.channel) or camera
        takes_none = isinstance(event, AutofocusEvent | SetupEvent | StimulationEvent)
        if takes_none and not event.camera:
            return
        camera = camera or abilities.camera
        known = abilities.cameras
        if camera not in known:
            if not known:
                self._add(number, event, "camera", camera, None, "there is no camera")
                return
            words = f"expected one of {one_of(known)}{did_you_mean(camera, known)}"
            self._add(number, event, "camera", camera, None, words)
            return
        self._works(number, event, "camera", camera)
        able = known[camera]
        exposure_s = event.exposure_s
        low, high = able.low_exposure_s, able.high_exposure_s
        if exposure_s is not None and not low <= exposure_s <= high:
            nearest = low if exposure_s < low else high
            words = f"expected {low:g} to {high:g} s of camera {camera}"
            self._add(number, event, "exposure_s", exposure_s, nearest, words)

    def _channel(
        self, number: int, event: StagedEvent, channel: ChannelName
    ) -> str | None:
        """Return the camera that a channel needs."""
        channels = self._abilities.channels
        able = channels.get(channel)
        if able is None:
            known = [str(each) for each in channels]
            words = (
                f"expected one of {one_of(known)}{did_you_mean(str(channel), known)}"
            )
            self._add(number, event, "channel", str(channel), None, words)
            return None
        for device in able.devices:
            self._works(number, event, "channel", device)
        if able.problem:
            self._add(number, event, "channel", str(channel), None, able.problem)
        if able.camera and event.camera and able.camera != event.camera:
            words = f"expected {able.camera}, which channel {channel} needs"
            self._add(number, event, "camera", event.camera, able.camera, words)
        return able.camera or None

    def _works(self, number: int, event: StagedEvent, field: str, device: str) -> bool:
        """Return whether a device works; otherwise that is a problem."""
        devices = self._abilities.devices
        if device not in devices:
            words = f"no such device{did_you_mean(device, devices)}"
        elif not devices[device]:
            words = "the device does not work now"
        else:
            return True
        self._add(number, event, field, device, None, words)
        return False

    def _property(
        self, number: int, event: StagedEvent, wanted: DeviceProperty
    ) -> None:
        device, name, value = wanted.device, wanted.name, wanted.value
        specs = self._abilities.parameters(device)
        field = f"{device}.{name}"
        if specs is None:
            devices = self._abilities.devices
            words = f"no device '{device}'{did_you_mean(device, devices)}"
            self._add(number, event, field, value, None, words)
            return
        spec = specs.get(name)
        if spec is None:
            words = f"expected one of {one_of(specs)}{did_you_mean(name, specs)}"
            self._add(number, event, field, value, None, words)
            return
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        kinds = {"float": is_number, "int": isinstance(value, int) and is_number}
        kinds |= {"bool": isinstance(value, bool)}
        if not kinds.get(spec.kind, isinstance(value, str)):
            words = f"expected a value of kind {spec.kind}"
            self._add(number, event, field, value, None, words)
        elif spec.choices and value not in spec.choices:
            words = f"expected one of {', '.join(spec.choices)}"
            words += did_you_mean(str(value), spec.choices)
            self._add(number, event, field, value, None, words)
        elif is_number:
            at = float(value)
            if spec.low is not None and at < spec.low:
                words = f"expected at least {spec.low:g}"
                self._add(number, event, field, value, spec.low, words)
            elif spec.high is not None and at > spec.high:
                words = f"expected at most {spec.high:g}"
                self._add(number, event, field, value, spec.high, words)

    def _focus(self, number: int, event: AutofocusEvent) -> None:
        known = self._abilities.focus_devices
        if event.device in known or (not event.device and len(known) == 1):
            return
        if not known:
            words = "nothing here focuses by itself"
        elif not event.device:
            words = f"several could: name one of {one_of(known)}"
        else:
            words = (
                f"expected one of {one_of(known)}{did_you_mean(event.device, known)}"
            )
        self._add(number, event, "autofocus", event.device, None, words)

    def _partner(
        self,
        number: int,
        event: StimulationEvent,
        field: str,
        name: str,
        known: tuple[str, ...],
    ) -> None:
        """See whether there is a module of the right kind, and whether it works."""
        if name in known:
            self._works(number, event, field, name)
            return
        role = "analysis" if field == "mask_from" else "projector"
        if known:
            words = f"expected one of {one_of(known)}{did_you_mean(name, known)}"
        else:
            words = f"there is no module of role {role}"
        self._add(number, event, field, name, None, words)

    def _add(
        self,
        number: int,
        event: StagedEvent,
        field: str,
        value: Value,
        limit: Value | None,
        words: str,
    ) -> None:
        shown = f"{value:g}" if isinstance(value, float) else repr(value)
        self._problems.add(
            f"{field}={shown}: {words}",
            field=field,
            event=number,
            index=event.index,
            value=value,
            limit=limit,
        )
