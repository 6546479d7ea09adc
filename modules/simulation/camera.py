"""A simulated camera."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from hal.base import (
    Bool,
    Choice,
    Clock,
    Float,
    Int,
    ParameterError,
    StateError,
    SystemClock,
    Text,
    Value,
)
from hal.devices import Camera, FrameStamp
from modules.simulation._inhabitant import Inhabitant
from modules.simulation._pace import FollowingPace, FreePace, OrderedPace, Pace
from modules.simulation._pattern import Pattern, index_in, write_index
from modules.simulation._world_eye import WorldEye
from modules.simulation.world import CAMERA
from modules.simulation.world.sensor import SensorSettings
from modules.simulation.world.view import View

FREE, ORDERED, FOLLOWING = "free", "software", "hardware"
_SMALLEST_PIXEL_UM = 0.02
_LARGEST_PIXEL_UM = 50.0


@dataclass
class _Film:
    """What goes on between `start` and `stop`."""

    pace: Pace
    draw: Callable[[int, np.ndarray[Any, Any]], int]
    """Fills an array with the next frame, which has at least that index; returns it."""
    frames: float
    """How many are asked for; infinity for no end."""
    index: int = 0
    """Of the next frame."""
    first: int = 0
    """Index at the begin of the present request."""
    shift: int = 0
    """What is added to an index for what is drawn: the number in the run."""


class SimCamera(Inhabitant, Camera):
    """An sCMOS camera: in a world it films the sample, otherwise a moving test pattern.

    The pattern is spots that drift over a grainy background; it is quick, and a pixel
    depends on seed, frame index, region and binning only. In a world a pixel depends on
    the world's seed and state and on how much was exposed before, never on when.

    The first four pixels of a frame hold its index, 16 bits each, lowest first, unless
    `index_pixels` is off; `frame_index_of` reads them. Frames nobody fetches wait, none
    is lost. A frame shows the devices as they are when it is fetched.

    Runs on: as `Camera`; `halt` and `trigger` any.
    """

    is_simulated: ClassVar[bool] = True
    times_are_exact: ClassVar[bool] = True
    kind: ClassVar[str] = CAMERA

    width_px = Int(2048, unit="px", low=1, high=16_384, help="Columns of the sensor.")
    height_px = Int(2048, unit="px", low=1, high=16_384, help="Rows of the sensor.")
    seed = Int(1, low=0, help="What the test pattern looks like.")
    max_fps = Float(
        1000.0, unit="1/s", low=1e-3, high=1e6, help="Frame rate at short exposures."
    )
    row_time_s = Float(
        0.0, unit="s", low=0.0, high=1.0, help="Time it takes to read out one row."
    )
    trigger_by = Choice(
        FREE,
        choices=(FREE, ORDERED, FOLLOWING),
        help="What begins a frame: its own clock, an order, or the camera it follows.",
    )
    follows = Text("", help="Name of the camera whose exposures trigger this one.")
    index_pixels = Bool(
        True, help="Write the frame's index into its first four pixels."
    )
    ground_truth = Bool(
        False, help="Write what was really in the sample beside each film."
    )
    quantum_efficiency = Float(
        0.82, low=0.01, high=1.0, help="Electrons for each photon on a pixel."
    )
    offset = Float(100.0, low=0.0, high=10_000.0, help="Counts without light.")
    gain_e = Float(
        0.46, unit="e-/count", low=0.01, high=100.0, help="Electrons for each count."
    )
    read_noise_e = Float(
        1.6, unit="e-", low=0.3, high=1000.0, help="Noise of reading out a pixel."
    )
    full_well_e = Float(
        30_000.0, unit="e-", low=100.0, high=1e7, help="Electrons a pixel can hold."
    )
    bits = Int(16, low=8, high=16, help="Highest count is 2 to the power of this, -1.")

    clock: Clock = SystemClock()
    """Where time comes from; tests put a `FakeClock` on the instance."""

    def __init__(self, **values: Value) -> None:
        super().__init__(**values)
        self._film: _Film | None = None
        self._armed: FollowingPace | None = None
        self._pattern: tuple[tuple[object, ...], Pattern] | None = None
        self._known_eye: WorldEye | None = None

    @staticmethod
    def frame_index_of(frame: np.ndarray[Any, Any]) -> int:
        """Return the index that is written into the first pixels of `frame`.

        Frames of fewer than four pixels hold only as many times 16 bits of it.
        """
        return index_in(frame)

    @property
    def sensor_width_px(self) -> int:
        """Columns of the sensor."""
        return self.width_px

    @property
    def sensor_height_px(self) -> int:
        """Rows of the sensor."""
        return self.height_px

    def enter(self, state: Path, name: str) -> None:
        super().enter(state, name)
        self._known_eye = None

    def frame_period_s(self) -> float:
        """Return the time from one frame to the next, at its own pace.

        Rows are read out while the next frame is exposed, one after the other from the
        middle to both edges at once, as sCMOS sensors do.
        """
        rows = math.ceil(self.roi[3] / 2)
        return max(self.exposure_s, 1 / self.max_fps, rows * self.row_time_s)

    def arm(self) -> None:
        self._require_idle()
        self._armed = self._following() if self.trigger_by == FOLLOWING else None

    def start(self, frames: int | None) -> None:
        self._require_idle()
        if frames is not None and frames < 0:
            raise StateError(f"start({frames}): expected a count of frames, or None")
        self._halt.clear()
        self._film = _Film(
            *self._prepared(), frames=math.inf if frames is None else frames
        )
        self._armed = None

    def trigger(self) -> None:
        """Have one more frame exposed, with `trigger_by="software"`.

        Runs on: any.

        Raises:
            StateError: Not running, or not triggered by orders.
        """
        film = self._film
        if film is None or not isinstance(film.pace, OrderedPace):
            raise StateError(
                f"{type(self).__name__}: expected it to be running with "
                f"trigger_by='{ORDERED}'"
            )
        film.pace.order()

    def begin_requests(self) -> None:
        """Get ready; all requests together are one film of its world."""
        self._require_idle()
        if self.trigger_by == FOLLOWING:
            return  # it exposes when another camera does: each request is a film
        self._film = _Film(*self._prepared(ORDERED), frames=math.inf)

    def request(self, first: int, count: int) -> None:
        film = self._film
        if film is None:
            super().request(first, count)
            return
        assert isinstance(film.pace, OrderedPace)
        self._halt.clear()
        film.first, film.shift = film.index, first - film.index
        for _ in range(count):
            film.pace.order()

    def end_request(self) -> None:
        film = self._film
        if film is not None and isinstance(film.pace, OrderedPace):
            film.pace.drop(film.index)
        else:
            super().end_request()

    def read_into(
        self, out: np.ndarray[Any, Any], timeout_s: float
    ) -> FrameStamp | None:
        self._require_open()
        film = self._film
        if film is None:
            raise StateError(f"{type(self).__name__} is not running")
        self._check_out(out)
        give_up_s = self.clock.monotonic_s() + timeout_s
        while (wait_s := self._due_in_s(film)) > 0.0:
            left_s = give_up_s - self.clock.monotonic_s()
            self.clock.wait(self._halt, max(0.0, min(wait_s, left_s)))
            self._check_halt()
            if wait_s > left_s:
                return None
        self._check_halt()
        drawn = film.draw(film.index + film.shift, out)
        if self.index_pixels:
            write_index(drawn, out)
        index = drawn - film.shift
        film.index = index + 1
        ready_s = film.pace.ready_s(index)
        return FrameStamp(counter=index - film.first, hardware_s=ready_s)

    def stop(self) -> None:
        self._film = None

    @property
    def has_companions(self) -> bool:
        return self.ground_truth and bool(self.world)

    def write_companions(self, stem: Path) -> tuple[Path, ...]:
        return () if self._known_eye is None else self._known_eye.write_truth(stem)

    def check_together(self, values: Mapping[str, Value]) -> None:
        size = (values["width_px"], values["height_px"])
        if size != (self.width_px, self.height_px):
            raise ParameterError("width_px and height_px are fixed when it is made")
        super().check_together(values)
        pixel_um = float(values["pixel_size_um"])
        if values["world"] and not _SMALLEST_PIXEL_UM <= pixel_um <= _LARGEST_PIXEL_UM:
            raise ParameterError(
                f"pixel_size_um={pixel_um:g}: in a world expected "
                f"{_SMALLEST_PIXEL_UM:g} to {_LARGEST_PIXEL_UM:g} um"
            )
        follows = values["trigger_by"] == FOLLOWING
        if follows and not (values["world"] and values["follows"]):
            raise ParameterError(
                f"trigger_by='{FOLLOWING}': expected a world, and in `follows` the "
                "name of the camera that triggers it"
            )
        if values["follows"] and not follows:
            raise ParameterError(
                f"follows='{values['follows']}': expected trigger_by='{FOLLOWING}' "
                "with it"
            )

    @property
    def _eye(self) -> WorldEye | None:
        """How it sees its world; None without one."""
        if not self.world:
            return None
        if self._known_eye is None:
            world, here = self._world_or_none, self._here
            if world is not None and here is not None:
                self._known_eye = WorldEye(world, here)
        return self._known_eye

    def _require_idle(self) -> None:
        self._require_open()
        if self._film is not None:
            raise StateError(f"{type(self).__name__} is running already")

    def _due_in_s(self, film: _Film) -> float:
        return film.pace.due_in_s(film.index) if film.index < film.frames else math.inf

    def _prepared(
        self, trigger_by: str = ""
    ) -> tuple[Pace, Callable[[int, np.ndarray[Any, Any]], int]]:
        """Return when the frames of a film come, and how to make them."""
        trigger_by = trigger_by or self.trigger_by
        eye = self._eye
        if eye is not None:
            eye.prepare(self._view(), self._settings(), keep=self.ground_truth)
            if trigger_by == FOLLOWING:
                return self._followed(eye)
        pace = (OrderedPace if trigger_by == ORDERED else FreePace)(
            self.clock, self.frame_period_s()
        )
        if eye is None:
            pattern = self._prepared_pattern()

            def draw(index: int, out: np.ndarray[Any, Any]) -> int:
                pattern.draw(index, out)
                return index

            return pace, draw
        number, exposure_s = eye.begin_film(), self.exposure_s

        def lead(index: int, out: np.ndarray[Any, Any]) -> int:
            eye.lead(number, index, exposure_s, out)
            return index

        return pace, lead

    def _followed(
        self, eye: WorldEye
    ) -> tuple[Pace, Callable[[int, np.ndarray[Any, Any]], int]]:
        pace = self._armed or self._following()
        exposure_s = self.exposure_s

        def follow(_index: int, out: np.ndarray[Any, Any]) -> int:
            eye.follow(pace.exposure, exposure_s, out)
            return pace.exposure.frame

        return pace, follow

    def _following(self) -> FollowingPace:
        """Return the pace of the leading camera's next film."""
        eye, world = self._eye, self._world_or_none
        assert eye is not None
        assert world is not None
        cameras = {camera.name: camera for camera in world.of_kind(CAMERA)}
        leader = cameras.get(self.follows)
        if leader is None or leader.name == self._world_name:
            others = sorted(set(cameras) - {self._world_name})
            raise StateError(
                f"follows='{self.follows}': expected another camera of world "
                f"'{self.world}', of which there are: {', '.join(others) or 'none'}"
            )
        film = int(leader["films"]) + 1
        return FollowingPace(eye.exposures, leader.ordinal, film, eye.exposures.count)

    def _prepared_pattern(self) -> Pattern:
        """Return the pattern of the present parameters; the last one is kept."""
        sensor = (self.width_px, self.height_px)
        key = (self.seed, sensor, self.roi, self.binning)
        if self._pattern is None or self._pattern[0] != key:
            self._pattern = (key, Pattern(self.seed, sensor, self.roi, self.binning))
        return self._pattern[1]

    def _view(self) -> View:
        sensor = (self.width_px, self.height_px)
        return View(sensor, self.roi, self.binning, self.pixel_size_um)

    def _settings(self) -> SensorSettings:
        return SensorSettings(
            self.quantum_efficiency,
            self.offset,
            self.gain_e,
            self.read_noise_e,
            self.full_well_e,
            self.bits,
        )

    def _do_open(self) -> None:
        # The others see it from now on, and a damaged world is told at once.
        assert (self._eye is None) == (not self.world)

    def _do_apply(self, changed: Mapping[str, Value]) -> Mapping[str, Value]:
        if self._film is not None:
            raise StateError(
                f"{', '.join(sorted(changed))} cannot change while "
                f"{type(self).__name__} is running"
            )
        return {}

    def _do_close(self) -> None:
        self._film = None
        self._armed = None
