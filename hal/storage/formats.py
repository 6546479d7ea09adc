"""Film formats by the name users type."""

from __future__ import annotations

from pathlib import Path

from hal.base import BadInput, did_you_mean
from hal.storage.dax import DaxWriter
from hal.storage.description import FilmDescription
from hal.storage.ome_tiff import OmeTiffWriter
from hal.storage.ome_zarr import OmeZarrWriter
from hal.storage.writer import FrameWriter

WRITERS: dict[str, type[FrameWriter]] = {
    writer.format: writer for writer in (DaxWriter, OmeTiffWriter, OmeZarrWriter)
}
"""Every format a film can be written in."""


def writer_class(format_name: str) -> type[FrameWriter]:
    """Return the writer of a format.

    Raises:
        BadInput: There is no such format.
    """
    try:
        return WRITERS[format_name]
    except KeyError:
        raise BadInput(
            f"unknown film format '{format_name}': expected one of "
            f"{', '.join(WRITERS)}{did_you_mean(format_name, WRITERS)}"
        ) from None


def make_writer(
    format_name: str,
    base_path: Path,
    description: FilmDescription,
    *,
    overwrite: bool = False,
) -> FrameWriter:
    """Return a writer that has not touched any file yet.

    Args:
        format_name: One of `WRITERS`.
        base_path: Folder and name of the film, without suffix.
        description: What goes into the file.
        overwrite: Whether existing files of that name may be replaced.

    Raises:
        BadInput: No such format, or it has no pixels of that type.
    """
    return writer_class(format_name)(base_path, description, overwrite=overwrite)
