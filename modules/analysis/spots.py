"""Spots: found in each frame, followed, and some of them chosen for stimulation."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from hal.acquisition import StimulationEvent
from hal.analysis import AnalysisModule, WatchedRun
from hal.base import Float, Int, ParameterError, StorageError, Text, Value
from hal.frames import FrameInfo, Pixels
from hal.kernel import ConfigureModule, handles
from modules.analysis.finding import PACKAGES, find_spots, require_packages
from modules.analysis.tracking import Tracks

Place = tuple[tuple[str, int], ...]
"""Position and field of a plan, where spots are followed."""
Row = tuple[int, int, float, float, float]
"""Frame, track, x, y, brightness."""

_COLUMNS: Final = ("frame", "track", "x_px", "y_px", "brightness")


class SpotsModule(AnalysisModule):
    """Finds spots of one width in every frame and follows them at each position.

    Its mask is a disc around each spot that is chosen: the brightest, or tracks by
    their number. A table of all spots is written beside the film.

    Runs on: as `AnalysisModule`.
    """

    needs = PACKAGES

    sigma_px = Float(
        1.5,
        unit="px",
        low=0.5,
        high=50.0,
        help="Standard deviation of a spot, in pixels of the frames.",
    )
    threshold = Float(
        8.0,
        low=0.0,
        high=1e6,
        live=True,
        help="How bright a spot is at least, in standard deviations of the noise.",
    )
    channel = Text("", help="Frames of this channel only; empty for all.")
    step_px = Float(
        5.0,
        unit="px",
        low=0.1,
        high=1e4,
        help="How far a spot may go from one frame to the next.",
    )
    memory = Int(
        2, low=0, high=10_000, help="How many frames a spot may be missing from."
    )
    brightest = Int(
        3, low=0, high=100_000, live=True, help="So many spots are stimulated."
    )
    tracks = Text(
        "",
        live=True,
        help="These tracks instead, by number, as in `0, 5`; those seen last.",
    )
    radius_px = Float(
        4.0,
        unit="px",
        low=0.5,
        high=1e4,
        live=True,
        help="Radius of the disc around a spot.",
    )

    @handles(ConfigureModule)
    def on_configure(self, msg: ConfigureModule) -> None:
        """See whether its packages are there."""
        require_packages()
        super().on_configure(msg)

    def check_together(self, values: Mapping[str, Value]) -> None:
        chosen_tracks(str(values.get("tracks", "")))

    def begin(self, run: WatchedRun) -> None:
        self._watched = run
        self._tracks: dict[Place, Tracks] = {}
        self._last: dict[Place, list[Row]] = {}
        self._rows: list[Row] = []
        self._next_id = 0

    def analyse(self, frame: Pixels, info: FrameInfo) -> None:
        event = self._watched.event_of(info)
        shown = getattr(event, "channel", None)
        if self.channel and str(shown or "") != self.channel:
            return
        spots = find_spots(frame, self.sigma_px, self.threshold)
        place = place_of(event.index)
        if place not in self._tracks:
            self._tracks[place] = Tracks(self.step_px, self.memory)
        tracks = self._tracks[place].follow(spots, self._next_id)
        self._next_id = max(self._next_id, int(tracks.max(initial=-1)) + 1)
        self._last[place] = [
            (info.index, int(track), float(x), float(y), float(brightness))
            for track, x, y, brightness in zip(
                tracks, spots.x_px, spots.y_px, spots.brightness, strict=True
            )
        ]
        self._rows += self._last[place]

    def mask(self, event: StimulationEvent) -> np.ndarray[Any, Any] | None:
        if (last := self._last.get(place_of(event.index))) is None:
            return None  # nothing was seen of this place
        if chosen := chosen_tracks(self.tracks):
            rows = [row for row in last if row[1] in chosen]
        else:
            rows = last[: self.brightest]
        camera = self._watched.camera
        mask = np.zeros((camera.height, camera.width), bool)
        y, x = np.ogrid[: camera.height, : camera.width]
        for _, _, x_px, y_px, _ in rows:
            mask |= (x - x_px) ** 2 + (y - y_px) ** 2 <= self.radius_px**2
        return mask

    def end(self, stem: Path | None) -> Iterable[Path]:
        rows, self._rows = self._rows, []
        if stem is None:
            return ()
        path = stem.with_name(f"{stem.name}_{self.name}.csv")
        try:
            with path.open("w", encoding="utf-8", newline="") as file:
                table = csv.writer(file)
                table.writerow(_COLUMNS)
                table.writerows(
                    (frame, track, f"{x:.3f}", f"{y:.3f}", f"{brightness:.6g}")
                    for frame, track, x, y, brightness in rows
                )
        except OSError as exc:
            raise StorageError(f"{path} cannot be written: {exc}") from exc
        return (path,)


def place_of(index: Mapping[str, int]) -> Place:
    """Return what tells one field of view from another, of an event's index."""
    return tuple((axis, index[axis]) for axis in "pg" if axis in index)


def chosen_tracks(text: str) -> frozenset[int]:
    """Return the numbers in a list such as `0, 5`; none for an empty text.

    Raises:
        ParameterError: It is no such list.
    """
    words = text.replace(",", " ").split()
    if not all(word.isascii() and word.isdigit() for word in words):
        raise ParameterError(f"tracks={text!r}: expected numbers from 0, as in `0, 5`")
    return frozenset(int(word) for word in words)
