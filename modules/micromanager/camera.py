"""Cameras that Micro-Manager drives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from hal.base import (
    Clock,
    DeviceError,
    DeviceTimeout,
    Int,
    ParameterError,
    StateError,
    SystemClock,
    Text,
    Value,
)
from hal.devices import Camera, FrameStamp
from modules.micromanager.camera_setup import (
    Chip,
    Region,
    make_current,
    parse_properties,
    read_chip,
    set_exposure,
    set_properties,
    set_region,
)
from modules.micromanager.device import MMDevice
from modules.micromanager.stamps import TAGS, TagReader

if TYPE_CHECKING:
    from pymmcore_plus import CMMCorePlus

_SLICE_S: Final = 0.05
_LONGEST_SNAP_S: Final = 0.1
"""How long one call waits for a frame; it gives way to other calls at once."""
_STOP_S: Final = 5.0
"""How long a camera may take to stop, beyond the exposure it is in."""
_ENDLESS: Final = 2**31 - 1
"""Frames ordered when no number is given.

The core's own endless mode overwrites its oldest frames and tells nobody; a numbered
sequence stops when the buffer is full."""
_REGION: Final = ("roi_x_px", "roi_y_px", "roi_width_px", "roi_height_px")


class _Popped(NamedTuple):
    image: np.ndarray[Any, Any]
    tags: Mapping[str, str]


class MMCamera(MMDevice, Camera):
    """A camera of a Micro-Manager configuration.

    The size of its sensor is known once it has been open: until then any region is
    taken, `roi` and `frame_shape` raise `StateError`, and `open` refuses what does not
    fit. A region's first pixel is rounded down to a whole binned pixel.

    Frames pass through the core's image buffer. When HAL reads too slowly and it fills
    up, the camera stops, the frames in it are delivered, and then `read_into` says so:
    none is lost unsaid.

    Runs on: worker; between `start` and `stop` camera; `halt` and `abandon` any.
    """

    simulated_by = "simulation.camera"
    _kind = "Camera"

    properties = Text(
        "",
        help="Properties to set when it is opened, as 'PixelType=16bit;Gain=2', with "
        "the names and values that Micro-Manager shows.",
    )
    buffer_mb = Int(
        256, low=1, high=65536, help="Size of the core's image buffer, in megabytes."
    )

    clock: Clock = SystemClock()
    """Where time comes from."""
    max_binning = 64

    def __init__(self, **values: Value) -> None:
        self._chip: Chip | None = None
        self._running = False
        self._snapped: int | None = None
        self._ordered: int | None = None
        self._delivered = 0
        self._begun_s = 0.0
        self._tags = TagReader()
        super().__init__(**values)

    @property
    def sensor_width_px(self) -> int:
        return self._known_chip().width_px

    @property
    def sensor_height_px(self) -> int:
        return self._known_chip().height_px

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a pixel, as the camera's pixel type says; uint16 before `open`."""
        return super().dtype if self._chip is None else self._chip.dtype

    def start(self, frames: int | None) -> None:
        """Begin to expose: `frames` frames, or until `stop` when None.

        Raises:
            StateError: Not open, or it is running already, or another camera of the
                same configuration is: a core has one image buffer.
            DeviceError: The camera refuses, or its frames are not of `frame_shape`.
        """
        self._require_open()
        if self._running:
            raise StateError(f"MMCamera '{self._label}' is running already")
        if frames is not None and frames < 0:
            raise StateError(f"start({frames}): expected a count of frames, or None")
        self._halt.clear()
        self._running, self._ordered, self._delivered = True, frames, 0
        self._begun_s, self._tags = self.clock.monotonic_s(), TagReader()
        try:
            self._call("start", lambda core: self._start(core, frames))
        except DeviceTimeout:
            raise  # it may begin after all: only `stop` makes sure
        except BaseException:
            self._running = False
            raise

    def read_into(
        self, out: np.ndarray[Any, Any], timeout_s: float
    ) -> FrameStamp | None:
        self._require_open()
        if self._snapped is not None:
            return self._read_snapped(out, timeout_s)
        if not self._running:
            raise StateError(f"MMCamera '{self._label}' is not running")
        self._check_out(out)
        end_s = self.clock.monotonic_s() + timeout_s
        while True:
            self._check_halt()
            left_s = max(0.0, end_s - self.clock.monotonic_s())
            if self._delivered == self._ordered:
                self.clock.wait(self._halt, left_s)
                return None
            popped = self._pop_within(min(left_s, _SLICE_S))
            if popped is not None:
                # Copied here, not by the owner thread: after a timeout this slot of
                # the ring may hold another frame when the owner comes back.
                np.copyto(out, popped.image)
                elapsed_s = self.clock.monotonic_s() - self._begun_s
                stamp = self._tags.stamp(self._delivered, popped.tags, elapsed_s)
                self._delivered += 1
                return stamp
            if left_s <= 0.0:
                return None

    def request(self, first: int, count: int) -> None:
        """Begin to expose; one short frame is a snap, which costs least.

        The core takes it as a whole, so one that may have to be halted is a film.
        """
        self._require_open()
        if count > 1 or self.exposure_s > _LONGEST_SNAP_S:
            super().request(first, count)
            return
        if self._running or self._snapped is not None:
            raise StateError(f"MMCamera '{self._label}' is running already")
        self._halt.clear()
        self._call("snap with", self._snap)
        self._snapped = 1

    def end_request(self) -> None:
        self._snapped = None
        super().end_request()

    def stop(self) -> None:
        """Stop exposing; harmless when not running."""
        self._snapped = None
        if not self._running:
            return
        self._running = False
        self._call("stop", self._stop, _STOP_S + self.exposure_s)

    def check_together(self, values: Mapping[str, Value]) -> None:
        parse_properties(str(values["properties"]))
        if self._chip is None:
            return
        super().check_together(values)
        if int(values["binning"]) not in self._chip.binnings:
            has = ", ".join(str(factor) for factor in sorted(self._chip.binnings))
            raise ParameterError(
                f"binning={values['binning']}: expected one of {has}, "
                "which this camera has"
            )

    def _do_close(self) -> None:
        try:
            self.stop()
        finally:
            super()._do_close()

    def _do_apply(self, changed: Mapping[str, Value]) -> Mapping[str, Value]:
        if self._running:
            raise StateError(
                f"{', '.join(sorted(changed))} cannot change while "
                f"MMCamera '{self._label}' is running"
            )
        values = {**self._values, **changed}
        taken: dict[str, Value] = {}
        if "properties" in changed:
            self._set_up(values)
        if changed.keys() & {*_REGION, "binning", "properties"}:
            taken |= self._set_region(values)
        if "exposure_s" in changed:
            asked_s, label = float(values["exposure_s"]), self._label
            taken["exposure_s"] = self._call(
                "set the exposure of", lambda core: set_exposure(core, label, asked_s)
            )
        return taken

    def _set_up(self, values: Mapping[str, Value]) -> None:
        """Set properties, learn what the camera is with them, and check again."""
        label = self._label
        pairs = parse_properties(str(values["properties"]))

        def set_up(core: CMMCorePlus) -> Chip:
            set_properties(core, label, pairs)
            return read_chip(core, label)

        self._chip = self._call("set up", set_up)
        self.max_binning = max(self._chip.binnings)
        self.max_exposure_s = self._chip.max_exposure_s
        for name, parameter in self.parameters().items():
            parameter.check(self, values[name])
        self.check_together(values)

    def _set_region(self, values: Mapping[str, Value]) -> dict[str, Value]:
        chip, label = self._known_chip(), self._label
        factor = int(values["binning"])
        first = {
            name: int(values[name]) // factor * factor
            for name in ("roi_x_px", "roi_y_px")
        }
        # Micro-Manager counts regions in binned pixels.
        asked = Region(*(n // factor for n in self._resolve({**values, **first})))
        got = self._call(
            "set the region of",
            lambda core: set_region(core, label, chip, factor, asked),
        )
        if got == asked:
            return dict(first)
        return {name: n * factor for name, n in zip(_REGION, got, strict=True)}

    def _start(self, core: CMMCorePlus, frames: int | None) -> None:
        owner, label = self._require_owner(), self._label
        if owner.streaming not in ("", label):
            raise StateError(
                f"Micro-Manager camera '{label}': '{owner.streaming}' is running, and "
                "a core has one image buffer: give each camera a configuration file "
                "of its own"
            )
        make_current(core, label)
        shape = core.getImageHeight(), core.getImageWidth()
        size = core.getBytesPerPixel() * core.getNumberOfComponents()
        if shape != self.frame_shape or size != self.dtype.itemsize:
            raise DeviceError(
                f"Micro-Manager camera '{label}': its frames are {shape} with {size} "
                f"bytes per pixel, expected {self.frame_shape} {self.dtype}"
            )
        try:
            if core.getCircularBufferMemoryFootprint() != self.buffer_mb:
                core.setCircularBufferMemoryFootprint(self.buffer_mb)
            core.initializeCircularBuffer()
        except MemoryError as exc:
            raise DeviceError(
                f"Micro-Manager camera '{label}': an image buffer of {self.buffer_mb} "
                f"MB cannot be had, or not hold one frame of {shape}: {exc}"
            ) from exc
        if frames != 0:
            core.startSequenceAcquisition(
                label, _ENDLESS if frames is None else frames, 0.0, True
            )
        owner.streaming = label

    def _snap(self, core: CMMCorePlus) -> None:
        owner, label = self._require_owner(), self._label
        if owner.streaming not in ("", label):
            raise StateError(
                f"Micro-Manager camera '{label}': '{owner.streaming}' is running, and "
                "a core has one image buffer"
            )
        make_current(core, label)
        core.snapImage()

    def _read_snapped(
        self, out: np.ndarray[Any, Any], timeout_s: float
    ) -> FrameStamp | None:
        self._check_out(out)
        self._check_halt()
        if self._snapped == 0:
            self.clock.wait(self._halt, timeout_s)
            return None
        self._snapped = 0
        image = self._call("read", lambda core: core.getImage(fix=False))
        if image.shape != out.shape or image.dtype != out.dtype:
            raise DeviceError(
                f"Micro-Manager camera '{self._label}': its image is {image.shape} "
                f"{image.dtype}, expected {out.shape} {out.dtype}"
            )
        np.copyto(out, image)
        return FrameStamp(counter=0, hardware_s=None)

    def _stop(self, core: CMMCorePlus) -> None:
        core.stopSequenceAcquisition(self._label)
        core.clearCircularBuffer()
        self._require_owner().film_ended()

    def _pop_within(self, slice_s: float) -> _Popped | None:
        owner, label = self._require_owner(), self._label

        def pop(core: CMMCorePlus) -> _Popped | None:
            def ready() -> bool:
                # In this order: a camera that has ended adds no frame afterwards.
                ended = not core.isSequenceRunning(label)
                return core.getRemainingImageCount() > 0 or ended

            if not owner.wait_here(ready, slice_s):
                return None
            if core.getRemainingImageCount() > 0:
                image, tags = core.popNextImageAndMD(fix=False)
                return _Popped(image, {t: tags[t] for t in TAGS if t in tags})
            raise self._end_of_sequence(core)

        return self._call("read", pop)

    def _end_of_sequence(self, core: CMMCorePlus) -> DeviceError:
        had = f"{self._delivered} frames"
        if self._ordered is not None:
            had = f"{self._delivered} of {self._ordered} frames"
        if core.isBufferOverflowed():
            return DeviceError(
                f"Micro-Manager camera '{self._label}': the image buffer of "
                f"{self.buffer_mb} MB ({core.getBufferTotalCapacity()} frames) "
                f"overflowed; the camera stopped after {had}: raise buffer_mb or "
                "expose longer",
                delivered=self._delivered,
            )
        return DeviceError(
            f"Micro-Manager camera '{self._label}': stopped by itself after {had}",
            delivered=self._delivered,
        )

    def _known_chip(self) -> Chip:
        if self._chip is None:
            raise StateError(
                f"MMCamera ({self.config}): the size of its sensor is known after open"
            )
        return self._chip
