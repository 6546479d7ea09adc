"""Goes through a plan as an engine would, and adds up time, bytes and light."""

from __future__ import annotations

from collections.abc import Iterator

from hal.acquisition.plans._limits import Limits
from hal.acquisition.plans._placing import Placement
from hal.acquisition.plans._problems import Problems
from hal.acquisition.plans.abilities import Abilities
from hal.acquisition.plans.events import (
    AnyEvent,
    AutofocusEvent,
    ChannelName,
    ImageEvent,
    StagedEvent,
    StimulationEvent,
    WaitEvent,
)
from hal.acquisition.plans.parts import AnyPart, FilmPart, SequencePart
from hal.acquisition.plans.plan import Plan

Spot = tuple[ChannelName, float | None, float | None]
"""A channel, and a place in x and y."""


class Estimate:
    """One pass over a plan; what it found is in its attributes.

    Runs on: any one thread.
    """

    def __init__(self, plan: Plan, abilities: Abilities, problems: Problems) -> None:
        self.now_s = 0.0
        """When the last event is done."""
        self.n_images = 0
        self.n_bytes = 0
        self.lit_s: dict[Spot, float] = {}
        self.intervals: dict[tuple[int, float], float] = {}
        """By part and interval, what the longest timepoint takes."""
        self.warnings: dict[str, None] = {}
        self._plan = plan
        self._abilities = abilities
        self._limits = Limits(abilities, problems)
        self._event = 0
        self._timer_s = 0.0
        self._busy_s = 0.0
        self._xy = abilities.xy_um()
        self._z = abilities.z_um()
        self._channel: ChannelName | None = None
        self._channel_before: ChannelName | None = None
        self._exposure_s: float | None = None
        self._is_lit = False
        # Time that each leg takes, because most plans go the same ways many times.
        self._xy_s: dict[object, float] = {}
        self._z_s: dict[object, float] = {}
        self._channel_s: dict[object, float] = {}
        self._light_s: dict[object, float] = {}
        # The events due at one moment, and when the next ones are due.
        self._due_s: float | None = None
        self._due_busy_s = 0.0
        self._timepoint: int | None = None
        self._timepoint_busy_s = 0.0

    def run(self) -> None:
        """Go through all of it."""
        for number, (part, place) in enumerate(self._plan.schedule()):
            if isinstance(part, FilmPart):
                self._film(part)
                continue
            longest_s = 0.0
            for events, repeats in _stretches(part, place):
                busy_s, event = self._busy_s, self._event
                longest_s = max(longest_s, self._stretch(number, events, repeats))
                self.now_s += (repeats - 1) * (self._busy_s - busy_s)
                self._event += (repeats - 1) * (self._event - event)
                if repeats > 1:
                    # What was left out stands between this and the next one.
                    self._due_s = None
            if isinstance(part, SequencePart) and part.period is not None:
                # Most times were not gone through one by one.
                for interval_s in part.block.times.intervals_s():
                    self._interval(number, interval_s, longest_s)

    def _stretch(self, part: int, events: Iterator[AnyEvent], repeats: int) -> float:
        """Go through events that come so often; return the longest timepoint."""
        longest_s = 0.0
        self._timepoint = None
        for event in events:
            if event.reset_timer:
                # What was done before is in nobody's interval.
                self._timer_s, self._due_s = self.now_s, None
                self._timepoint_busy_s = 0.0
            due_s = event.min_start_time_s
            if due_s is not None:
                if due_s != self._due_s:
                    if self._due_s is not None and due_s > self._due_s:
                        self._interval(part, due_s - self._due_s, self._due_busy_s)
                    self._due_s, self._due_busy_s = due_s, 0.0
                self.now_s = max(self.now_s, self._timer_s + due_s)
            before_s = self.now_s
            if isinstance(event, StagedEvent):
                self._limits.check(self._event, event)
                self._staged(event, repeats)
            elif isinstance(event, WaitEvent):
                # Nothing is measured across a wait: it takes what time is left.
                self.now_s += event.duration_s
                self._due_s = None
                before_s = self.now_s
            spent_s = self.now_s - before_s
            self._busy_s += spent_s
            self._due_busy_s += spent_s
            timepoint = event.index.get("t")
            if timepoint != self._timepoint:
                self._timepoint, self._timepoint_busy_s = timepoint, 0.0
            self._timepoint_busy_s += spent_s
            longest_s = max(longest_s, self._timepoint_busy_s)
            self._event += 1
        return longest_s

    def _staged(self, event: StagedEvent, repeats: int) -> None:
        start_s = self.now_s
        self._move(event)
        channel, self._channel_before = event.channel, self._channel
        if channel is not None and channel != self._channel:
            self.now_s += self._change_s(self._channel, channel)
            self._channel = channel
        if event.exposure_s is not None:
            self._exposure_s = event.exposure_s
        if isinstance(event, AutofocusEvent):
            focus_s = self._abilities.time_to_focus_s(event.device)
            self.now_s += self._known(focus_s, "focusing")
            return
        if isinstance(event, StimulationEvent):
            self._stimulate(event, repeats)
            return
        if not isinstance(event, ImageEvent):
            return
        able = self._abilities.cameras.get(self._camera_of(event))
        exposure_s = self._exposure_s
        if exposure_s is None:
            exposure_s = able.exposure_s if able is not None else 0.0
        readout_s = able.readout_s if able is not None else 0.0
        switch_s = self._switch_s(self._channel)
        # The light that was left on shone during all that was done since.
        lit_s = exposure_s + (self.now_s - start_s if self._is_lit else 0.0)
        if not self._is_lit:
            self.now_s += switch_s
        self.now_s += exposure_s
        self._is_lit = event.keep_shutter_open
        if self._is_lit:
            lit_s += readout_s
        else:
            self.now_s += switch_s
        self.now_s += readout_s
        self.n_images += repeats
        if able is not None:
            self.n_bytes += repeats * able.frame_bytes * self._abilities.copies
        self._count_light(lit_s * repeats)

    def _stimulate(self, event: StimulationEvent, repeats: int) -> None:
        channel, event_channel = self._channel_before, self._channel
        self.now_s += 2 * self._switch_s(event_channel) + event.duration_s
        self._is_lit = False
        # As if all of the place were lit: where the mask will be, nobody knows.
        self._count_light(event.duration_s * repeats)
        if channel is not None and channel != event_channel:
            self.now_s += self._change_s(event_channel, channel)
            self._channel = channel

    def _count_light(self, lit_s: float) -> None:
        if self._channel is not None:
            x, y = self._xy if self._xy is not None else (None, None)
            spot = (self._channel, x, y)
            self.lit_s[spot] = self.lit_s.get(spot, 0.0) + lit_s

    def _move(self, event: StagedEvent) -> None:
        if event.x_um is not None or event.y_um is not None:
            at = self._xy if self._xy is not None else (0.0, 0.0)
            end = (
                at[0] if event.x_um is None else event.x_um,
                at[1] if event.y_um is None else event.y_um,
            )
            if end != at and self._xy is not None:
                leg = (at, end)
                if leg not in self._xy_s:
                    told_s = self._abilities.time_to_move_xy_s(at, end)
                    self._xy_s[leg] = self._known(told_s, "moves of the stage")
                self.now_s += self._xy_s[leg]
            self._xy = end
        if event.z_um is not None:
            if self._z is not None and event.z_um != self._z:
                way = (self._z, event.z_um)
                if way not in self._z_s:
                    told_s = self._abilities.time_to_move_z_s(*way)
                    self._z_s[way] = self._known(told_s, "moves of the focus drive")
                self.now_s += self._z_s[way]
            self._z = event.z_um

    def _change_s(self, start: ChannelName | None, end: ChannelName) -> float:
        change = (start, end)
        if change not in self._channel_s:
            told_s = None
            if end in self._abilities.channels:
                told_s = self._abilities.time_to_change_channel_s(start, end)
            self._channel_s[change] = self._known(told_s, "changes of the channel")
        return self._channel_s[change]

    def _switch_s(self, channel: ChannelName | None) -> float:
        if channel not in self._light_s:
            told_s = None
            if channel is None or channel in self._abilities.channels:
                told_s = self._abilities.time_to_light_s(channel)
            self._light_s[channel] = self._known(told_s, "switching light")
        return self._light_s[channel]

    def _camera_of(self, event: StagedEvent) -> str:
        if self._channel is not None:
            able = self._abilities.channels.get(self._channel)
            if able is not None and able.camera:
                return able.camera
        return event.camera or self._abilities.camera

    def _film(self, part: FilmPart) -> None:
        frames = part.film.frames or 0
        cameras = part.film.cameras or tuple(self._abilities.cameras)
        longest_s = 0.0
        for camera in cameras or ("",):
            self._limits.check(self._event, ImageEvent(camera=camera))
            able = self._abilities.cameras.get(camera)
            if able is None:
                continue
            period_s = able.frame_period_s
            if period_s is None:
                period_s = able.exposure_s + able.readout_s
            longest_s = max(longest_s, frames * period_s)
            self.n_images += frames
            self.n_bytes += frames * able.frame_bytes * self._abilities.copies
        self.now_s += longest_s
        self._event += frames
        self._due_s = None

    def _interval(self, part: int, interval_s: float, busy_s: float) -> None:
        if interval_s <= 0.0:
            return  # as fast as it goes
        key = (part, round(interval_s, 9))
        self.intervals[key] = max(self.intervals.get(key, 0.0), busy_s)

    def _known(self, told_s: float | None, what: str) -> float:
        if told_s is None:
            self.warnings[f"{what}: no time is known, counted as 0 s"] = None
            return 0.0
        return told_s


def _stretches(
    part: AnyPart, place: Placement
) -> Iterator[tuple[Iterator[AnyEvent], int]]:
    if isinstance(part, SequencePart):
        yield from part.stretches(place)
    else:
        yield part.events(place), 1
