"""The two JSON documents of an OME-Zarr film: NGFF 0.5 in Zarr 3.

Sources: https://ngff.openmicroscopy.org/0.5/ ; Zarr core specification 3.0. Checked by
the tests with yaozarrs, and by reading films with zarr and tensorstore.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from hal.base import iso_utc
from hal.storage._arrangement import Arrangement
from hal.storage._ome_xml import utf8_text
from hal.storage.description import FilmDescription

ARRAY = "0"
"""Folder of the array, full resolution."""
FRAMES = "frames"
"""Folder of the array of a film that will get the axes of its plan in the end."""
REST = "rest"
"""Folder of the array of frames that do not fill these axes."""
GROUP_FILE = "zarr.json"

_KINDS = {
    "t": ("time", "second"),
    "c": ("channel", ""),
    **dict.fromkeys("zyx", ("space", "micrometer")),
}
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


def array_json(
    description: FilmDescription,
    names: Sequence[str] = "t",
    sizes: Sequence[object] = ("@",),
) -> ArrayJson:
    """Describe an array: each frame is a chunk of plain numbers.

    Args:
        description: Of the film.
        names: Of the axes that frames lie along.
        sizes: How long these are; a mark for the number of frames.
    """
    height, width = description.shape
    codec: dict[str, Any] = {"name": "bytes"}
    if np.dtype(description.dtype).itemsize > 1:
        codec["configuration"] = {"endian": "little"}
    document = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [*sizes, height, width],
        "data_type": description.dtype,
        "chunk_grid": {
            "name": "regular",
            "configuration": {"chunk_shape": [*(1 for _ in names), height, width]},
        },
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0,
        "codecs": [codec],
        "dimension_names": [*names, "y", "x"],
        "attributes": {},
    }
    before, _mark, after = _dump(document).partition(_COUNT_MARK.encode("ascii"))
    return ArrayJson(before, after)


def group_json(description: FilmDescription, name: str, path: str = ARRAY) -> bytes:
    """Describe the image: axes, their scale, and what NGFF has no field for."""
    document = {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {
            "ome": _ome([_frames_image(description, name, path)]),
            "hal": _facts(description),
        },
    }
    return _dump(document)


def arranged_json(
    group: bytes, description: FilmDescription, name: str, shares: Arrangement | None
) -> bytes:
    """Return the description of a group with other images; all else stays.

    Args:
        group: As it is.
        description: Of the film.
        name: Of the film.
        shares: What the film has become; None for frames along one axis.
    """
    document = json.loads(group)
    if shares is None:
        images = [_frames_image(description, name, FRAMES)]
    else:
        images = [_image(description, name, ARRAY, _scaled_axes(description, shares))]
        if shares.rest:
            images.append(_frames_image(description, f"{name} (rest)", REST))
    document["attributes"]["ome"] = _ome(images)
    return _dump(document)


def first_path(group: bytes) -> str:
    """Return where a group says its first image is; empty if it is none."""
    try:
        ome = json.loads(group)["attributes"]["ome"]
        return str(ome["multiscales"][0]["datasets"][0]["path"])
    except (ValueError, LookupError, TypeError):
        return ""


def sizes_of(array: bytes) -> tuple[int, ...]:
    """Return how long the axes are that the frames of an array lie along.

    None are, where it is no array.
    """
    try:
        shape = json.loads(array)["shape"]
        return tuple(int(size) for size in shape[:-2])
    except (ValueError, LookupError, TypeError):
        return ()


def _ome(images: list[dict[str, Any]]) -> dict[str, Any]:
    return {"version": "0.5", "multiscales": images}


def _frames_image(description: FilmDescription, name: str, path: str) -> dict[str, Any]:
    interval_s = description.frame_interval_s
    return _image(description, name, path, [_axis("t", interval_s)])


def _scaled_axes(
    description: FilmDescription, shares: Arrangement
) -> list[tuple[dict[str, Any], float]]:
    layout = description.layout
    steps = {} if layout is None else {"t": layout.interval_s, "z": layout.z_step_um}
    return [_axis(name, steps.get(name)) for name in shares.ngff_axes]


def _axis(name: str, step: float | None) -> tuple[dict[str, Any], float]:
    """Return an axis and its scale; a step that is not known has no unit."""
    kind, unit = _KINDS[name]
    axis = {"name": name, "type": kind}
    return (axis if step is None or not unit else axis | {"unit": unit}), _scale(step)


def _image(
    description: FilmDescription,
    name: str,
    path: str,
    axes: list[tuple[dict[str, Any], float]],
) -> dict[str, Any]:
    pixel_um = description.pixel_size_um
    axes = [*axes, _axis("y", pixel_um), _axis("x", pixel_um)]
    scale = [step for _, step in axes]
    return {
        "name": name,
        "axes": [axis for axis, _ in axes],
        "datasets": [
            {
                "path": path,
                "coordinateTransformations": [{"type": "scale", "scale": scale}],
            }
        ],
    }


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
        "layout": description.layout,
        "notes": description.notes,
        "software": description.software,
    }


def _dump(document: dict[str, Any]) -> bytes:
    # ASCII with escapes: right for any reader, whatever the texts contain.
    return (
        json.dumps(_sayable(msgspec.to_builtins(document)), indent=1).encode("ascii")
        + b"\n"
    )


def _sayable(value: Any) -> Any:
    """Return `value` without the numbers and texts that JSON has no word for."""
    if isinstance(value, dict):
        return {_sayable(key): _sayable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_sayable(item) for item in value]
    if isinstance(value, str):
        return utf8_text(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
