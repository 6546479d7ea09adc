"""Films on disk: formats, names, the sidecar, and proof that all is there."""

from hal.storage.dax import DaxWriter, inf_text
from hal.storage.description import FilmDescription
from hal.storage.disk import (
    OutputDirectory,
    SpaceReserve,
    check_output,
    film_bytes,
    free_bytes,
)
from hal.storage.formats import WRITERS, make_writer, writer_class
from hal.storage.names import (
    FilmNames,
    Reservation,
    check_name,
    film_stems,
    next_number,
    reserve_film,
)
from hal.storage.ome_tiff import OmeTiffWriter
from hal.storage.sidecar import (
    Sidecar,
    SidecarSection,
    SidecarValue,
    section,
    sidecar_xml,
    write_sidecar,
)
from hal.storage.sidecar_reader import read_acquisition, read_sidecar
from hal.storage.verify import (
    FULL_BELOW_BYTES,
    FrameChecksums,
    Verification,
    frame_checksum,
    verify,
)
from hal.storage.writer import FrameWriter, store_frame

__all__ = [
    "FULL_BELOW_BYTES",
    "WRITERS",
    "DaxWriter",
    "FilmDescription",
    "FilmNames",
    "FrameChecksums",
    "FrameWriter",
    "OmeTiffWriter",
    "OutputDirectory",
    "Reservation",
    "Sidecar",
    "SidecarSection",
    "SidecarValue",
    "SpaceReserve",
    "Verification",
    "check_name",
    "check_output",
    "film_bytes",
    "film_stems",
    "frame_checksum",
    "free_bytes",
    "inf_text",
    "make_writer",
    "next_number",
    "read_acquisition",
    "read_sidecar",
    "reserve_film",
    "section",
    "sidecar_xml",
    "store_frame",
    "verify",
    "write_sidecar",
    "writer_class",
]
