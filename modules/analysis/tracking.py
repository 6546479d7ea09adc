"""Which spot of one frame is which of the frames before."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from modules.analysis.finding import Spots

Ints = np.ndarray[Any, np.dtype[np.int64]]
_FAR: Final = 1e9


class Tracks:
    """The spots of one place of the sample, frame after frame.

    Each pair of frames is matched so that the squares of all distances add up to as
    little as possible (the assignment problem), within a largest distance.

    Runs on: any one thread.
    """

    def __init__(self, step_px: float, memory: int) -> None:
        """Begin with none.

        Args:
            step_px: So far a spot may go from one frame to the next.
            memory: So many frames it may be missing from.
        """
        self._step_px = step_px
        self._memory = memory
        self._places: dict[int, tuple[float, float, int]] = {}
        """By track: x, y, and how many frames ago."""

    def follow(self, spots: Spots, next_id: int) -> Ints:
        """Return the track of each spot; those not seen before get new numbers.

        Args:
            spots: Of the next frame.
            next_id: The first new number.
        """
        from scipy.optimize import linear_sum_assignment

        found = np.full(len(spots), -1, np.int64)
        known = list(self._places)
        if known and len(spots):
            places = np.array([self._places[track][:2] for track in known])
            away = np.square(places[:, :1] - spots.x_px[None, :])
            away += np.square(places[:, 1:] - spots.y_px[None, :])
            possible = away <= self._step_px**2
            rows, columns = linear_sum_assignment(np.where(possible, away, _FAR))
            for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
                if possible[row, column]:
                    found[column] = known[row]
        new = found < 0
        found[new] = next_id + np.arange(np.count_nonzero(new))
        aged = {t: (x, y, age + 1) for t, (x, y, age) in self._places.items()}
        self._places = {t: p for t, p in aged.items() if p[2] <= self._memory}
        for n, track in enumerate(found.tolist()):
            self._places[track] = (float(spots.x_px[n]), float(spots.y_px[n]), 0)
        return found
