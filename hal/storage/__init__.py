"""Films on disk: formats, names, the sidecar, and proof that all is there."""

from hal.storage._film_check import FileReport, FileState
from hal.storage.dax import DaxWriter, inf_text
from hal.storage.description import FilmDescription
from hal.storage.disk import (
    OutputDirectory,
    SpaceReserve,
    check_output,
    film_bytes,
    free_bytes,
)
from hal.storage.event_table import (
    EVENTS_SUFFIX,
    EventTable,
    TableRow,
    table_path,
)
from hal.storage.film import CameraFilm, film_files
from hal.storage.formats import WRITERS, make_writer, writer_class
from hal.storage.journal import (
    JOURNAL_SUFFIX,
    FrameJournal,
    JournalHead,
    JournalInUse,
    JournalRecord,
    JournalText,
    journal_path,
    read_journal,
)
from hal.storage.names import (
    FilmNames,
    Reservation,
    check_name,
    film_stems,
    next_number,
    reserve_film,
)
from hal.storage.ome_tiff import OmeTiffWriter
from hal.storage.ome_zarr import OmeZarrWriter
from hal.storage.recovery import INTERRUPTED, recover
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
    count_frames,
    frame_checksum,
    verify,
)
from hal.storage.writer import FrameWriter, store_frame

__all__ = [
    "EVENTS_SUFFIX",
    "FULL_BELOW_BYTES",
    "INTERRUPTED",
    "JOURNAL_SUFFIX",
    "WRITERS",
    "CameraFilm",
    "DaxWriter",
    "EventTable",
    "FileReport",
    "FileState",
    "FilmDescription",
    "FilmNames",
    "FrameChecksums",
    "FrameJournal",
    "FrameWriter",
    "JournalHead",
    "JournalInUse",
    "JournalRecord",
    "JournalText",
    "OmeTiffWriter",
    "OmeZarrWriter",
    "OutputDirectory",
    "Reservation",
    "Sidecar",
    "SidecarSection",
    "SidecarValue",
    "SpaceReserve",
    "TableRow",
    "Verification",
    "check_name",
    "check_output",
    "count_frames",
    "film_bytes",
    "film_files",
    "film_stems",
    "frame_checksum",
    "free_bytes",
    "inf_text",
    "journal_path",
    "make_writer",
    "next_number",
    "read_acquisition",
    "read_journal",
    "read_sidecar",
    "recover",
    "reserve_film",
    "section",
    "sidecar_xml",
    "store_frame",
    "table_path",
    "verify",
    "write_sidecar",
    "writer_class",
]
