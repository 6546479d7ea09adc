"""What makes images, as a script has it: the newest one of a film."""

from __future__ import annotations

import threading
from functools import partial
from typing import Final

from hal.app import Application
from hal.base import DeviceTimeout, StateError, new_ulid
from hal.frames import FrameRing, FrameRings, Pixels
from hal.scripting.proxy import ModuleProxy

_POLL_S: Final = 0.01


class FrameSourceProxy(ModuleProxy):
    """A camera, or a feed made of one."""

    def latest(self, timeout_s: float = 5.0) -> Pixels:
        """Return the next image of the film that goes on, `(height, width)`.

        The array is a copy. Films are made with `scope.film`, and watching them this
        way costs them nothing.

        Args:
            timeout_s: How long to wait for an image.

        Raises:
            StateError: There is no film, or it ended before an image came.
            DeviceTimeout: No image came in time.
        """
        return self._session.call(partial(_latest, self.name, timeout_s))


def _latest(name: str, timeout_s: float, app: Application) -> Pixels:
    clock = app.system.clock
    give_up_s = clock.monotonic_s() + timeout_s
    ring = _ring(name, give_up_s, app)
    if ring is not None:
        with ring.open_reader(f"script {new_ulid()}", lossless=False) as reader:
            newest = reader.latest(max(0.0, give_up_s - clock.monotonic_s()))
            if newest is not None:
                pixels = newest.frame.pixels
                pixels.flags.writeable = True
                return pixels
            if reader.at_end:
                raise StateError(f"{name}: the film ended before an image came")
    raise DeviceTimeout(f"{name}: no image within {timeout_s:g} s")


def _ring(name: str, give_up_s: float, app: Application) -> FrameRing | None:
    """Return the ring of that name; a feed has one soon after its camera has."""
    rings = app.system.services[FrameRings]
    assert isinstance(rings, FrameRings)
    while True:
        try:
            return rings.get(name)
        except StateError:
            if not app.system.leases.runs:
                raise StateError(
                    f"{name} takes no images now: begin a film first"
                ) from None
        if app.system.clock.monotonic_s() >= give_up_s:
            return None
        app.system.clock.wait(threading.Event(), _POLL_S)
