"""The channel module: one set of light, filters and camera under one name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from hal.acquisition import ChannelName
from hal.base import (
    Float,
    HalError,
    ParameterError,
    Text,
    Value,
    did_you_mean,
    one_of,
)
from hal.kernel import (
    ConfigureModule,
    Dispatching,
    Module,
    StartModule,
    handles,
)
from hal.messages import ChannelDescription, GetChannel

_ROLES: Final = {
    "light": "light",
    "shutter": "shutter",
    "filter_wheel": "filter_wheel",
    "camera": "camera",
}
"""Role of the module that each of these parameters names."""


class ChannelModule(Module):
    """Knows what one channel is made of; moves and switches nothing itself.

    Runs on: actor.
    """

    role = "channel"
    dispatching: ClassVar[Dispatching] = Dispatching.POOL
    stays_because = "it has no driver: there is nothing to isolate"

    label = Text(
        "",
        live=True,
        help="What plans call it, 'Group/Name' for a group other than Channel; by "
        "default the module's name.",
    )
    light = Text("", live=True, help="Light source; empty for none.")
    power_mw = Float(
        0.0, unit="mW", low=0.0, high=1e6, live=True, help="Power of the light."
    )
    shutter = Text("", live=True, help="Shutter before the light; empty for none.")
    filter_wheel = Text("", live=True, help="Filter wheel; empty for none.")
    filter = Text("", live=True, help="Name of its filter, or number of its slot.")
    camera = Text("", live=True, help="Camera it needs; empty for any.")
    lit_area_cm2 = Float(
        0.0,
        unit="cm2",
        low=0.0,
        high=1e3,
        live=True,
        help="Area of the sample that the light falls on; 0 for unknown.",
    )

    @handles(ConfigureModule)
    def on_configure(self, msg: ConfigureModule) -> None:
        """See whether there are such modules."""
        self._check_named(self.values())
        super().on_configure(msg)

    @handles(StartModule)
    def on_start_module(self, msg: StartModule) -> None:
        """See whether another channel has the same label; on the worker."""
        start = super().on_start_module
        self.run_job(
            self._check_alone, what="compare labels", then=lambda _: start(msg)
        )

    @handles(GetChannel)
    def on_get_channel(self, msg: GetChannel) -> ChannelDescription:
        """Say what it is made of."""
        return ChannelDescription(
            name=self._channel,
            light=self.light,
            power_mw=self.power_mw if self.light else None,
            shutter=self.shutter,
            filter_wheel=self.filter_wheel,
            filter=self.filter,
            camera=self.camera,
            lit_area_cm2=self.lit_area_cm2 or None,
        )

    def check_together(self, values: Mapping[str, Value]) -> None:
        label = str(values["label"])
        if label and not all(part.strip() for part in label.split("/", 1)):
            raise ParameterError(f"label='{label}': expected 'Name' or 'Group/Name'")
        if bool(values["filter"]) != bool(values["filter_wheel"]):
            has, lacks = ("filter", "filter_wheel")
            if not values["filter"]:
                has, lacks = lacks, has
            raise ParameterError(f"{has}='{values[has]}': expected {lacks} beside it")

    def propose_values(self, values: Mapping[str, Value]) -> None:
        super().propose_values(values)
        self._check_named({**self.values(), **values})

    @property
    def _channel(self) -> ChannelName:
        return ChannelName.read(self.label or self.name)

    def _check_named(self, values: Mapping[str, Value]) -> None:
        """Refuse names that are of no module, or of one of another kind.

        Raises:
            ParameterError: With channel, parameter, and the nearest name.
        """
        label = values["label"] or self.name
        roles = {module.name: module.role for module in self.context.residents()}
        for parameter, role in _ROLES.items():
            named = str(values[parameter])
            if not named or roles.get(named) == role:
                continue
            known = self.context.names_of_role(role)
            found = "there is no such module"
            if named in roles:
                found = f"that module has the role '{roles[named]}', not '{role}'"
            raise ParameterError(
                f"channel {label}: {parameter}='{named}': {found}: expected one of "
                f"{one_of(known)}{did_you_mean(named, known)}"
            )

    def _check_alone(self) -> None:
        """Refuse a label that a channel before this one in the file has.

        Runs on: worker.
        """
        for other in self.context.names_of_role(self.role):
            if other == self.name:
                return
            try:
                described = self.ask(GetChannel(), to=other)
            except HalError as exc:  # it has a trouble of its own, and says so
                self.log.warning("channel unknown", of=other, why=str(exc))
                continue
            assert isinstance(described, ChannelDescription)
            if described.name == self._channel:
                raise ParameterError(
                    f"label='{described.name}': channel '{other}' is called so "
                    "already: expected another label"
                )
