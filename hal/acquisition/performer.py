"""Does the events of a plan on the microscope: move, light, expose."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from hal.acquisition.approach import Approach
from hal.acquisition.event_rows import EventRows
from hal.acquisition.plans import (
    AnyEvent,
    AutofocusEvent,
    ChannelName,
    ImageEvent,
    PlannedEvent,
    SetupEvent,
    StagedEvent,
    StimulationEvent,
)
from hal.acquisition.rig import PlanRig, Reached, Taken
from hal.acquisition.timetable import Timetable
from hal.base import Clock, HalError, PlanError, get_logger
from hal.frames import PackedMask

Numbered = tuple[int, AnyEvent]
"""An event, and its number in the plan."""

_NONE: Final = Taken(0, 0.0)
log = get_logger(module="acquisition")


class Performer:
    """What one run knows of the microscope: where it is, what is lit.

    Runs on: engine.

    Guarantees:
        Only what differs from the event before is changed.
        The light of a channel is on while frames are exposed, and off otherwise, but
        between events that ask to keep it.
    """

    def __init__(
        self,
        rig: PlanRig,
        rows: EventRows,
        times: Timetable,
        clock: Clock,
        took: Callable[[str, int, Taken], None],
    ) -> None:
        """Know nothing.

        Args:
            rig: The microscope.
            rows: The account of events.
            times: When they are due.
            clock: Whose time counts.
            took: Called with frames that came: camera, index of the first, and how
                many.
        """
        self.taking = ""
        """The camera that is exposing."""
        self._rig = rig
        self._rows = rows
        self._times = times
        self._clock = clock
        self._took = took
        self._approach = Approach()
        self._cameras: tuple[str, ...] = ()
        self._exposures_s: Mapping[str, float] = {}
        self._planned_s: dict[str, float] = {}
        self._lit: ChannelName | None = None
        self._usual: ChannelName | None = None
        self._mask: PackedMask | None = None
        self._must_darken = False

    def begin(self, cameras: tuple[str, ...], exposures_s: Mapping[str, float]) -> None:
        """Learn which cameras there are, the usual one first, and their exposures."""
        self._cameras, self._exposures_s = cameras, exposures_s

    def camera(self, event: PlannedEvent) -> str:
        """Return the camera of an event."""
        named = event.camera if isinstance(event, StagedEvent) else ""
        return named or self._cameras[0]

    def perform(self, batch: Sequence[Numbered]) -> Taken:
        """Do events: an image with those like it, or one of another kind.

        Returns:
            How many were done, and why the next one was not.

        Raises:
            HalError: Why the first one was not.
        """
        number, event = batch[0]
        if self._must_darken:
            self.darken()
        if isinstance(event, ImageEvent):
            return self._take(batch, event)
        if isinstance(event, AutofocusEvent):
            self._bring(event)
            z_um = self._rig.focus(
                event.device, event.max_retries, event.motor_offset_um
            )
            self._approach.focused(event, z_um)
            self._rows.reached(Reached(z_um=z_um))
        elif isinstance(event, SetupEvent):
            self._bring(event)
        elif isinstance(event, StimulationEvent):
            self._stimulate(event)
        else:
            raise PlanError(f"no engine for events of kind {type(event).__name__}")
        self._rows.done(number, self._rows.last_reached)
        return Taken(1, self._clock.monotonic_s())

    def get_mask(self, number: int, event: StimulationEvent) -> None:
        """Ask where to stimulate, once for all tries of the event.

        Raises:
            HalError: Nobody said so in time.
        """
        self._mask = self._rig.mask(number, event)

    def failed(self) -> None:
        """Take nothing for granted any more: an event failed somewhere on its way.

        Its light goes out now: it may be long until the next event.
        """
        self._approach.forget()
        self._darken_now_or_later()

    def darken(self) -> None:
        """Put out the light of the plan, if it is on."""
        if self._lit is not None:
            self._rig.light(self._lit, on=False)
        self._lit, self._must_darken = None, False

    def _take(self, batch: Sequence[Numbered], event: ImageEvent) -> Taken:
        number, camera = batch[0][0], self.camera(event)
        exposure_s = event.exposure_s or self._planned_s.get(camera)
        reached = self._bring(event)
        self._illuminate(event.channel or self._approach.channel)
        frame = self._rows.frame(number)
        self.taking = camera
        try:
            taken = self._rig.take(camera, frame, number, len(batch), exposure_s)
        finally:
            self.taking = ""
        if taken.count == 0:
            return taken
        self._took(camera, frame, taken)
        self._times.began(event.min_start_time_s, taken.began_s)
        for n, (done, _) in enumerate(batch[: taken.count]):
            self._rows.done(
                done,
                reached,
                began_s=taken.began_s if n == 0 else None,
                exposure_s=exposure_s or self._exposures_s[camera],
            )
        last = batch[taken.count - 1][1]
        if not (isinstance(last, ImageEvent) and last.keep_shutter_open):
            self._darken_now_or_later()
        return taken

    def _stimulate(self, event: StimulationEvent) -> None:
        self._bring(event)
        assert self._mask is not None
        if not self._mask.unpack().any():
            return  # an answer as well: nothing here wants light
        self._illuminate(event.channel or self._approach.channel)
        self._rig.project(event.projector, self._mask, event.duration_s)
        self._darken_now_or_later()

    def _illuminate(self, channel: ChannelName | None) -> None:
        if channel is not None and self._lit != channel:
            self.darken()
            self._lit = channel  # whatever comes of it: it has to be put out
            self._rig.light(channel, on=True)

    def _darken_now_or_later(self) -> None:
        """Put out the light after a frame; a failure counts with the next event.

        The frame is there: it must not be taken again.
        """
        try:
            self.darken()
        except HalError as exc:
            log.warning("light not put out", why=str(exc))
            self._must_darken = True

    def _bring(self, event: StagedEvent) -> Reached:
        """Bring the microscope into the state of an event."""
        if event.exposure_s is not None and not isinstance(event, ImageEvent):
            self._planned_s[self.camera(event)] = event.exposure_s
        if event.channel is None:
            # The light of a stimulation is not that of the images after it.
            event = msgspec.structs.replace(event, channel=self._usual)
        elif not isinstance(event, StimulationEvent):
            self._usual = event.channel
        change = self._approach.change(event)
        if change.is_nothing:
            return self._rows.last_reached
        if change.channel is not None:
            self.darken()
        reached = self._rig.change(change)
        self._approach.took(change)
        return self._rows.reached(reached)
