"""The kinds of feeds: which frames of the source make up which frame of the feed."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Final, Self

from hal.base import BadInput, ParameterError, Value

Region = tuple[int, int, int, int]
"""First column, first row, columns, rows."""


class FeedKind(ABC):
    """Gives every frame of a source its place in a feed; a subclass says which.

    Runs on: any.
    """

    name: ClassVar[str]
    """What users type."""
    parameters: ClassVar[tuple[str, ...]]
    """Those of the feed's parameters that only this kind has a use for."""

    members: int = 1
    """How many frames of the source make up one of the feed."""

    @classmethod
    @abstractmethod
    def of(cls, values: Mapping[str, Value]) -> Self:
        """Return the kind with these parameters.

        Raises:
            ParameterError: They do not fit each other.
        """

    @abstractmethod
    def place_of(self, index: int) -> int | None:
        """Return the frame of the feed that a frame of the source belongs to.

        None: to none. Places begin at 0, never go back and leave none out, so that a
        frame that cannot be made leaves a gap, and never shifts the ones after it.
        """

    def whole_of(self, frames: int) -> int:
        """Return how many frames of the feed that many frames of the source make."""
        places = map(self.place_of, itertools.count(frames))
        return next(place for place in places if place is not None)


class AverageKind(FeedKind):
    """The mean of so many frames, one after the other."""

    name = "average"
    parameters = ("frames_to_average",)

    def __init__(self, members: int) -> None:
        self.members = members

    @classmethod
    def of(cls, values: Mapping[str, Value]) -> Self:
        return cls(int(values["frames_to_average"]))

    def place_of(self, index: int) -> int:
        return index // self.members


class IntervalKind(FeedKind):
    """Those frames that have certain positions in a cycle."""

    name = "interval"
    parameters = ("cycle_length", "capture_frames")

    def __init__(self, cycle: int, positions: tuple[int, ...]) -> None:
        self._cycle = cycle
        self._rank = {position: rank for rank, position in enumerate(positions)}

    @classmethod
    def of(cls, values: Mapping[str, Value]) -> Self:
        cycle, text = int(values["cycle_length"]), str(values["capture_frames"])
        expected = (
            f"capture_frames='{text}': expected whole numbers from 0 to {cycle - 1}, "
            f"each once, separated by commas: positions in a cycle of {cycle} frames"
        )
        try:
            positions = sorted(int(word) for word in text.split(","))
        except ValueError:
            raise ParameterError(expected) from None
        is_beyond = positions[0] < 0 or positions[-1] >= cycle
        if is_beyond or len(set(positions)) < len(positions):
            raise ParameterError(expected)
        return cls(cycle, tuple(positions))

    def place_of(self, index: int) -> int | None:
        cycle, position = divmod(index, self._cycle)
        rank = self._rank.get(position)
        return None if rank is None else cycle * len(self._rank) + rank


class SliceKind(FeedKind):
    """Every frame; its region makes it a part of them, as it does for any kind."""

    name = "slice"
    parameters = ()

    @classmethod
    def of(cls, values: Mapping[str, Value]) -> Self:
        return cls()

    def place_of(self, index: int) -> int:
        return index


KINDS: Final[dict[str, type[FeedKind]]] = {
    kind.name: kind for kind in (AverageKind, IntervalKind, SliceKind)
}
"""By the name users type."""


def make_kind(values: Mapping[str, Value]) -> FeedKind:
    """Return the kind of feed that the parameters of a feed describe.

    Raises:
        ParameterError: They do not fit each other.
    """
    return KINDS[str(values["kind"])].of(values)


def region_of(values: Mapping[str, Value], width: int, height: int) -> Region:
    """Return what part a feed takes of frames of that size.

    Raises:
        BadInput: They have no such part.
    """
    x, y = int(values["x_px"]), int(values["y_px"])
    columns = int(values["width_px"]) or width - x
    rows = int(values["height_px"]) or height - y
    if x + columns > width or y + rows > height or min(columns, rows) < 1:
        raise BadInput(
            f"the region of {columns}x{rows} px at column {x}, row {y} is not within "
            f"the frames of {width}x{height} px"
        )
    return x, y, columns, rows


def refuse_foreign(values: Mapping[str, Value], defaults: Mapping[str, Value]) -> None:
    """Do nothing if no parameter was set that the kind has no use for.

    Raises:
        ParameterError: One belongs to another kind.
    """
    chosen = KINDS[str(values["kind"])]
    for kind in KINDS.values():
        for name in kind.parameters:
            if name not in chosen.parameters and values[name] != defaults[name]:
                raise ParameterError(
                    f"{name}={values[name]!r}: expected kind='{kind.name}' with it, "
                    f"not '{chosen.name}'"
                )
