"""Shutters that Micro-Manager drives."""

from __future__ import annotations

from hal.devices import Shutter
from modules.micromanager.device import MMDevice


class MMShutter(MMDevice, Shutter):
    """A shutter of a Micro-Manager configuration.

    The core's automatic shutter is switched off: it opens and closes when HAL says.

    Runs on: worker; `halt` and `abandon` any.
    """

    simulated_by = "simulation.shutter"
    _kind = "Shutter"

    def _do_open(self) -> None:
        super()._do_open()
        try:
            self._do_set_shutter(False)  # whatever the last program left it at
        except BaseException:
            self._do_close()
            raise

    def _do_set_shutter(self, is_open: bool) -> None:
        label = self._label
        what = "open" if is_open else "close"
        self._call(what, lambda core: core.setShutterOpen(label, is_open))

    def _do_is_shutter_open(self) -> bool:
        label = self._label
        return self._call("state of", lambda core: core.getShutterOpen(label))

    def _do_halt(self) -> None:
        label = self._label
        self._call_urgently("close", lambda core: core.setShutterOpen(label, False))
