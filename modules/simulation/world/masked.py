"""Light that a projector has let onto parts of a field, and who got it.

Each is noted at the end of the state file, by an ordinary write: there may be any
number, and a full disk is an error there instead of the end of the process.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from hal.base import DeviceError
from modules.simulation.world import layout
from modules.simulation.world.device_state import DeviceState
from modules.simulation.world.file_lock import locked
from modules.simulation.world.illumination import projected_rates
from modules.simulation.world.sample import Emitters
from modules.simulation.world.state_file import Records, StateFile
from modules.simulation.world.world import World

Mask = np.ndarray[Any, np.dtype[np.bool_]]
_BYTES = layout.MASKED_EXPOSURE.itemsize


def illuminate(
    world: World,
    projector: DeviceState,
    mask: Mask,
    pixel_um: float,
    duration_s: float,
) -> int:
    """Deliver the light behind a projector, as it is now; return its number, from 1.

    The mask's middle is on the optical axis. The world's clock stands still meanwhile.

    Runs on: any, in any process.

    Raises:
        DeviceError: It has too many pixels, or there is no room for it.
    """
    if max(mask.shape) > layout.MASK_PX:
        raise DeviceError(
            f"a mask of {mask.shape[1]}x{mask.shape[0]} px: a simulated world takes "
            f"{layout.MASK_PX}x{layout.MASK_PX} at the most"
        )
    new = np.zeros(1, layout.MASKED_EXPOSURE)
    new["rows"], new["columns"] = mask.shape
    new["pixel_um"] = pixel_um
    new["gain"] = projected_rates(world, projector) * duration_s
    bits = np.packbits(mask)
    new["mask"][0, : len(bits)] = bits
    x_um, y_um = world.position_um()
    drift_x_um, drift_y_um, _ = world.drift_um()
    new["x_um"], new["y_um"] = x_um - drift_x_um, y_um - drift_y_um
    with locked(world.path) as file:
        journal = world.file.journal
        count = int(journal["since"][0])
        if count == layout.MASKED:
            raise DeviceError(
                f"world state {world.path} is full: {count} masks were projected; "
                "begin with a new one"
            )
        new["number"], new["after"] = count + 1, world.file.count
        try:
            file.seek(layout.SIZE + count * _BYTES)
            written = file.write(new.tobytes())
        except OSError as exc:
            raise DeviceError(f"no room in world state {world.path}: {exc}") from exc
        if written != _BYTES:
            raise DeviceError(f"no room in world state {world.path}: the disk is full")
        # Last: what a kill leaves before this is written over by the next one.
        journal["since"][0] = count + 1
    return count + 1


def doses(file: StateFile, before: int, emitters: Emitters) -> npt.NDArray[np.float64]:
    """Return what each emitter had from projectors before exposure `before`."""
    found = np.zeros(len(emitters))
    for record in _records(file):
        if int(record["after"]) >= before:
            break
        rows, columns = int(record["rows"]), int(record["columns"])
        pixel_um = float(record["pixel_um"])
        x = (emitters.x_um - record["x_um"]) / pixel_um + columns / 2
        y = (emitters.y_um - record["y_um"]) / pixel_um + rows / 2
        inside = np.flatnonzero((x >= 0) & (x < columns) & (y >= 0) & (y < rows))
        if not len(inside):
            continue
        bits = np.unpackbits(record["mask"], count=rows * columns)
        mask = bits.reshape(rows, columns)
        lit = mask[y[inside].astype(int), x[inside].astype(int)]
        found[inside] += lit * record["gain"][emitters.dye[inside]]
    return found


def last_after(file: StateFile) -> int:
    """Return the number of the exposure before the last mask; -1 if there is none."""
    count = int(file.journal["since"][0])
    if not count:
        return -1
    return int(_records(file, count - 1)["after"][0])


def rewind(file: StateFile, number: int) -> None:
    """Make undone what came after exposure `number`; under the file's lock."""
    kept = np.count_nonzero(_records(file)["after"] < number)
    file.journal["since"][0] = kept


def _records(file: StateFile, first: int = 0) -> Records:
    """Return masked exposures, in their order, from number `first` counted from 0."""
    count = int(file.journal["since"][0]) - first
    with file.path.open("rb", buffering=0) as opened:
        opened.seek(layout.SIZE + first * _BYTES, os.SEEK_SET)
        data = opened.read(count * _BYTES)
    return np.frombuffer(data, layout.MASKED_EXPOSURE)
