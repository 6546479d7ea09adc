"""The two JSON documents of an OME-Zarr film: NGFF 0.5 in Zarr 3.

Sources: https://ngff.openmicroscopy.org/0.5/ ; Zarr core specification 3.0. Checked by
the tests with yaozarrs, and by reading films with zarr and tensorstore.
"""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple

import numpy as np

from hal.base import iso_utc
from hal.storage._ome_xml import utf8_text
from hal.storage.description import FilmDescription

ARRAY = "0"
"""Folder of the one array, full resolution."""
GROUP_FILE = "zarr.json"
ARRAY_FILE = f"{ARRAY}/zarr.json"

_COUNT_MARK = '"@"'
_COUNT_DIGITS = 12


class ArrayJson(NamedTuple):
    """The document of the array, and the one field in it that changes."""

    before: bytes
    after: bytes

    def text(self, frames: int) -> bytes:
        """Return the whole document; its length is the same for any count."""
        return self.before + count_field(frames) + self.after


def count_field(frames: int) -> bytes:
    """Return the frame count, with spaces before it, which mean nothing in JSON."""
    return str(frames).rjust(_COUNT_DIGITS).encode("ascii")


def array_json(description: FilmDescription) -> ArrayJson:
    """Describe the array `(t, y, x)`: each frame is a chunk of plain numbers."""
    height, width = description.shape
    codec: dict[str, Any] = {"name": "bytes"}
    if np.dtype(description.dtype).itemsize > 1:
        codec["configuration"] = {"endian": "little"}
    document = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": ["@", height, width],
        "data_type": description.dtype,
        "chunk_grid": {
            "name": "regular",
            "configuration": {"chunk_shape": [1, height, width]},
        },
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0,
        "codecs": [codec],
        "dimension_names": ["t", "y", "x"],
        "attributes": {},
    }
    before, _mark, after = _dump(document).partition(_COUNT_MARK.encode("ascii"))
    return ArrayJson(before, after)


def group_json(description: FilmDescription, name: str) -> bytes:
    """Describe the image: axes, their scale, and what NGFF has no field for."""
    interval_s, pixel_um = description.frame_interval_s, description.pixel_size_um
    time: dict[str, Any] = {"name": "t", "type": "time"}
    if interval_s is not None:
        time["unit"] = "second"
    space = {"type": "space"} | ({} if pixel_um is None else {"unit": "micrometer"})
    scale = [_scale(interval_s), _scale(pixel_um), _scale(pixel_um)]
    multiscale = {
        "name": name,
        "axes": [time, {"name": "y"} | space, {"name": "x"} | space],
        "datasets": [
            {
                "path": ARRAY,
                "coordinateTransformations": [{"type": "scale", "scale": scale}],
            }
        ],
    }
    document = {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {
            "ome": {"version": "0.5", "multiscales": [multiscale]},
            "hal": _facts(description),
        },
    }
    return _dump(document)


def is_json(text: bytes) -> bool:
    """Whether `text` is a whole JSON document."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _scale(value: float | None) -> float:
    """Return `value` as a scale, which must be a number above 0."""
    if value is None or not math.isfinite(value) or value <= 0:
        return 1.0
    return value


def _facts(description: FilmDescription) -> dict[str, Any]:
    return {
        "run_id": description.run_id,
        "camera": description.camera,
        "simulated": description.simulated,
        "started": iso_utc(description.started_wall_s),
        "planned_frames": description.planned,
        "exposure_s": description.exposure_s,
        "binning": description.binning,
        "roi_px": [description.roi_x_px, description.roi_y_px],
        "stage_um": description.stage_um,
        "notes": description.notes,
        "software": description.software,
    }


def _dump(document: dict[str, Any]) -> bytes:
    # ASCII with escapes: right for any reader, whatever the texts contain.
    return json.dumps(_sayable(document), indent=1).encode("ascii") + b"\n"


def _sayable(value: Any) -> Any:
    """Return `value` without the numbers and texts that JSON has no word for."""
    if isinstance(value, dict):
        return {_sayable(key): _sayable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_sayable(item) for item in value]
    if isinstance(value, str):
        return utf8_text(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
