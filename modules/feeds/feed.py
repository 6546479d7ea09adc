"""The feed module: makes frames out of those of a camera, live and in films."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import partial
from typing import Final, NamedTuple

import msgspec

from hal.base import (
    Bool,
    Choice,
    DeviceTimeout,
    ErrorRecord,
    Float,
    Int,
    ParameterError,
    StateError,
    Text,
    Value,
    did_you_mean,
    one_of,
)
from hal.frames import FrameRings, LatestReader, LosslessReader
from hal.kernel import ConfigureModule, Loop, Module, RunLost, handles
from hal.messages import (
    ArmCamera,
    CameraArmed,
    CameraFinished,
    FeedDescription,
    FramesReceived,
    GetFeed,
    StartCamera,
    StopCamera,
)
from modules.feeds.kinds import KINDS, make_kind, refuse_foreign, region_of
from modules.feeds.making import Making

STALL_S: Final = 10.0
"""Taking in a single frame may last this long before the feed counts as hung."""
DRAIN_S: Final = 60.0
"""How long what its source has left may take to be made."""


class _Film(NamedTuple):
    """What is armed, or goes on."""

    making: Making
    ended: threading.Event
    """Set when the loop is over and everybody was told."""


class FeedModule(Module):
    """Makes frames out of those of one camera, or of another feed.

    They go into a ring of the feed's name. A feed that is saved reads every frame of
    its source and takes part in films like a camera; any other one follows its source
    whenever that is filmed, takes what it can get, and never holds it up.

    Runs on: actor.
    """

    role = "feed"

    kind = Choice(
        choices=tuple(KINDS),
        help="The mean of some frames, some frames of each cycle, or every frame.",
    )
    source = Text(help="The camera whose frames it is made of, or the feed.")
    save = Bool(False, help="Have a file of its own in every film of its camera.")
    extension = Text("", help="Added to file names; by default the feed's name.")
    frames_to_average = Int(
        1, low=1, high=10_000, help="Average: how many frames make up one."
    )
    cycle_length = Int(
        1, low=1, high=1_000_000, help="Interval: how many frames are a cycle."
    )
    capture_frames = Text(
        "0", help="Interval: positions in the cycle, from 0, as in `0, 5`."
    )
    x_px = Int(0, unit="px", low=0, help="First column it takes, from 0.")
    y_px = Int(0, unit="px", low=0, help="First row it takes, from 0.")
    width_px = Int(0, unit="px", low=0, help="Columns it takes; 0 for all that remain.")
    height_px = Int(0, unit="px", low=0, help="Rows it takes; 0 for all that remain.")
    block_s = Float(
        30.0,
        unit="s",
        low=0.1,
        high=3600.0,
        help="How long a full ring may hold up the feed before the film fails.",
    )

    _run_id = ""
    """Run of the film that is armed or goes on, and was not stopped; of one that is
    only shown, also afterwards."""
    _film: _Film | None = None

    @handles(ConfigureModule)
    def on_configure(self, msg: ConfigureModule) -> None:
        """See whether there is such a source."""
        self._check_source(self.source)
        super().on_configure(msg)

    @handles(GetFeed)
    def on_get_feed(self, msg: GetFeed) -> FeedDescription:
        """Say what it is made of."""
        return FeedDescription(self.source, self.save)

    @handles(ArmCamera)
    def on_arm(self, msg: ArmCamera) -> None:
        """Take a place in the source's ring and make one of its own, on the worker."""
        self.require_ready()
        if self.loops:
            raise StateError(f"{self.name} is busy with run {self._run_id}")
        armed = msg.source
        if armed is None or armed.camera != self.source:
            raise StateError(f"{self.name}: expected to be armed after {self.source}")
        if self._film is not None:
            self._drop()  # the run it was armed for never began
        self.run_job(
            partial(self._make, armed.camera, msg.run_id, lossless=True),
            then=lambda making: self._armed(making, armed),
        )

    @handles(StartCamera)
    def on_start_camera(self, msg: StartCamera) -> None:
        """Begin to take what the source brings."""
        film = self._film
        if film is None or msg.run_id != self._run_id or self.loops:
            raise StateError(f"{self.name} is not armed for run {msg.run_id}")
        self._run(film)

    @handles(StopCamera)
    def on_stop_camera(self, msg: StopCamera) -> None:
        """End the film of that run; completes when all of its source was taken."""
        film = self._film
        if msg.run_id != self._run_id:
            return
        if film is None or not self.loops:
            self._drop()
            return
        self._run_id = ""
        for loop in self.loops:
            loop.stop()
        self.run_job(
            partial(self._wait_for_end, film),
            deadline_s=DRAIN_S + STALL_S,
            what="wait for the last frame",
        )

    @handles(RunLost)
    def on_run_lost(self, msg: RunLost) -> None:
        """Let the source go; a film that goes on ends with it."""
        if msg.run_id == self._run_id and not self.loops:
            self._drop()

    @handles(FramesReceived)
    def on_frames_received(self, msg: FramesReceived) -> None:
        """Begin to follow the source for display, unless films are what it is for."""
        if self.save or msg.camera != self.source or self._is_busy:
            return
        if msg.run_id == self._run_id:
            return  # late news of what is over, or could not be followed
        self._run_id = msg.run_id
        self.run_job(
            partial(self._make_to_show, msg.camera, msg.run_id),
            what="follow the source",
            then=self._show,
        )

    def check_together(self, values: Mapping[str, Value]) -> None:
        make_kind(values)
        defaults = {n: p.default for n, p in self.parameters().items()}
        refuse_foreign(values, defaults)

    def propose_values(self, values: Mapping[str, Value]) -> None:
        self.propose(values, running=self._is_busy)
        self._check_source(str(values.get("source", self.source)))

    def make_safe(self, *, hung: bool, is_free: bool) -> None:
        if self._film is not None:  # whoever waits for it would do so for ever
            self._film.making.close(f"{self.name} was given up")

    @property
    def _is_busy(self) -> bool:
        return self._film is not None or bool(self.loops)

    def _check_source(self, source: str) -> None:
        names = self.context.names_of_role
        known = {*names("camera"), *names("feed")} - {self.name}
        if source not in known:
            raise ParameterError(
                f"source='{source}': expected one of {one_of(known)}"
                f"{did_you_mean(source, known)}"
            )

    def _make(self, source_name: str, run_id: str, *, lossless: bool) -> Making:
        """Get everything ready for a film.

        Runs on: worker.

        Raises:
            BadInput: The frames of the source do not have that part, or there is no
                memory for the ring.
            StateError: The source is not armed, or its first frames are gone.
        """
        rings = self.context.service(FrameRings)
        source = rings.get(source_name)
        height, width = source.shape
        region = region_of(self.values(), width, height)
        reader: LosslessReader | LatestReader
        if lossless:
            reader = source.open_reader(self.name, from_start=True)
        else:
            reader = source.open_reader(self.name, lossless=False)
        try:
            rings.remove(self.name)
            ring = rings.create(self.name, (region[3], region[2]), source.dtype)
            return Making(
                self.name,
                make_kind(self.values()),
                region,
                source,
                reader,
                ring,
                run_id=run_id,
                block_s=self.block_s,
                clock=self.clock,
                tell=self._tell,
            )
        except BaseException:
            reader.close()
            raise

    def _make_to_show(self, source_name: str, run_id: str) -> Making | None:
        """Get ready to follow the source; None if its film is over already."""
        try:
            self.context.service(FrameRings).get(source_name)
        except StateError:
            return None
        return self._make(source_name, run_id, lossless=False)

    def _show(self, making: Making | None) -> None:
        if making is not None:
            self._run(_Film(making, threading.Event()))

    def _armed(self, making: Making, source: CameraArmed) -> CameraArmed:
        self._film, self._run_id = _Film(making, threading.Event()), making.run_id
        kind = make_kind(self.values())
        x_px, y_px, width, height = region_of(
            self.values(), source.width, source.height
        )
        planned = source.frames
        return msgspec.structs.replace(
            source,
            camera=self.name,
            source=self.source,
            frames=None if planned is None else kind.whole_of(planned),
            height=height,
            width=width,
            exposure_s=source.exposure_s * kind.members,
            roi_x_px=source.roi_x_px + x_px * source.binning,
            roi_y_px=source.roi_y_px + y_px * source.binning,
            extension=self.extension or self.name,
            has_companions=False,
        )

    def _run(self, film: _Film) -> None:
        self._film = film
        self.run_loop(
            film.making.run,
            stall_s=STALL_S,
            what="make frames",
            on_end=partial(self._ended, film),
        )

    def _ended(self, film: _Film, _loop: Loop, error: ErrorRecord | None) -> None:
        making, self._film = film.making, None
        error = making.error or error
        # The loop does so itself, unless it hangs.
        making.close(None if error is None else error.text)
        if making.left_over:
            self.log.info(
                "last frames of the source are too few for another one",
                source=making.source_name,
                frames=making.left_over,
                run=making.run_id,
            )
        finished = CameraFinished(making.run_id, self.name, making.count, error)
        if error is None:
            self.send(finished)
        else:
            self.send_failure(finished, "feed failed", error, run=making.run_id)
        film.ended.set()

    def _wait_for_end(self, film: _Film) -> None:
        if not self.clock.wait(film.ended, DRAIN_S):
            making = film.making
            making.close(why := f"{self.name} was not through within {DRAIN_S:g} s")
            raise DeviceTimeout(f"{why}: {making.count} frames were made")

    def _drop(self) -> None:
        """Forget a film that is over, or never began, and its ring."""
        film, self._film, self._run_id = self._film, None, ""
        if film is not None:
            film.making.close()
        self.context.service(FrameRings).remove(self.name)

    def _tell(self, batch: FramesReceived) -> None:
        """Tell of frames that were made; runs on the loop's thread."""
        self.context.trace.frames(
            "received", batch.camera, batch.run_id, batch.first, batch.last
        )
        self.send(batch)
