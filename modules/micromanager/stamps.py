"""What to believe of the tags that Micro-Manager's core puts on frames.

The core numbers the frames of a sequence and camera adapters add the time since its
start, but both pass through a text buffer that all threads of the process share
(`CDeviceUtils::ConvertToString`, "not thread-safe"). While stages or wheels are used
during a film, a few tags of a thousand therefore hold another device's number, or
nothing; the pixels are right. So tags are only believed where they fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hal.base import DeviceError
from hal.devices import FrameStamp

TAGS: Final = ("ImageNumber", "ElapsedTime-ms")
"""The tags of interest."""
_ODD_FRAMES: Final = 10
"""So many wrong numbers in a row are no accident: frames are missing."""
_SLACK_S: Final = 0.01
_DRIFT: Final = 1e-3
"""How much faster than ours the camera's clock may run."""


class TagReader:
    """Turns the tags of one film's frames into stamps.

    Runs on: camera.

    Guarantees:
        A counter is the frame's index in the film, or None where its tag was spoiled.
        Times never go back.
    """

    def __init__(self) -> None:
        self._odd = 0
        self._last_s = 0.0

    def stamp(
        self, index: int, tags: Mapping[str, str], elapsed_s: float
    ) -> FrameStamp:
        """Return the stamp of the frame that is `index` by our own count.

        Args:
            index: How many frames of this film came before.
            tags: What the core says of the frame.
            elapsed_s: Time since the film was started, by our clock.

        Raises:
            DeviceError: The core has been counting differently for a while: an adapter
                threw frames away.
        """
        number = _number(tags.get("ImageNumber"))
        if number == index:
            self._odd = 0
        elif "ImageNumber" in tags:
            self._odd += 1
            if self._odd >= _ODD_FRAMES:
                raise DeviceError(
                    f"Micro-Manager: frame {index} has number {tags['ImageNumber']}, "
                    f"as all {_ODD_FRAMES} since {index - _ODD_FRAMES + 1} have a "
                    "wrong one: frames were lost in the camera's adapter",
                    index=index,
                )
        return FrameStamp(
            index if number == index else None,
            self._time_s(_number(tags.get("ElapsedTime-ms")), elapsed_s),
        )

    def _time_s(self, tag_ms: float | None, elapsed_s: float) -> float | None:
        """Return the tag's time if it lies between the last frame's and now."""
        if tag_ms is None:
            return None
        time_s = tag_ms / 1e3
        if not self._last_s <= time_s <= elapsed_s * (1.0 + _DRIFT) + _SLACK_S:
            return None
        self._last_s = time_s
        return time_s


def _number(tag: str | None) -> float | None:
    try:
        return None if tag is None else float(tag)
    except ValueError:
        return None
