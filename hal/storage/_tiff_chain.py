"""How far a BigTIFF of ours is whole: its chain of directories, followed strictly.

Sources: TIFF 6.0; https://www.awaresystems.be/imaging/tiff/bigtiff.html .
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from hal.storage._ome_xml import OmeXml, count_field
from hal.storage._output_file import OutputFile

FIRST_LINK = 8
"""Where the position of the first directory stands."""
HEADER_BYTES = 16
_ALIGNMENT = 16
_MOST_ENTRIES = 64
_HEADER = struct.pack("<2sHHH", b"II", 43, 8, 0)
_COUNT = b'SizeT="'
_DESCRIPTION, _STRIP_AT, _STRIP_BYTES = 270, 273, 279


def aligned(offset: int) -> int:
    """Return the next place where a frame or a directory may begin."""
    return -(-offset // _ALIGNMENT) * _ALIGNMENT


class DescriptionEntry(NamedTuple):
    """The entry of the first directory that says where the OME-XML is."""

    entry_at: int
    size: int
    text_at: int
    pixels_at: int
    """Where the first frame begins: the text ends before."""


class Chain(NamedTuple):
    """The whole frames of a file."""

    frames: int
    end: int
    """Where the next frame goes."""
    link: int
    """Where the position of the next frame's directory goes."""
    before: tuple[int, int]
    """Both, without the last frame."""
    xml: OmeXml
    """The document as it stands in the file; empty without a frame."""


def read_chain(file: OutputFile, frame_bytes: int) -> Chain:
    """Follow the directories from the start, as long as each is where it must be.

    A directory counts if it is whole, stands right behind its pixels, and these right
    behind the directory before.
    """
    size = file.size
    xml = OmeXml(b"", b"")
    frames, end, link = 0, 0, FIRST_LINK
    before = (end, link)
    if file.read_at(0, len(_HEADER)) != _HEADER:
        return Chain(frames, end, link, before, xml)
    while True:
        at = _number(file.read_at(link, 8))
        head = file.read_at(at, 8) if at else b""
        entries = _number(head)
        directory_end = at + 8 + 20 * entries + 8
        if not 0 < entries <= _MOST_ENTRIES or directory_end > size:
            break
        fields = _fields(file.read_at(at + 8, 20 * entries))
        strip_at, strip_bytes = fields.get(_STRIP_AT), fields.get(_STRIP_BYTES)
        if not frames:
            xml = _document(file, fields.get(_DESCRIPTION))
            xml_bytes = len(xml.text(0)) + 1 if xml.before else 0
            end = aligned(HEADER_BYTES + xml_bytes)
            if strip_at is not None and end < strip_at[1] == aligned(strip_at[1]):
                end = strip_at[1]  # there is room for another document
        is_ours = at == aligned(end + frame_bytes) and bool(xml.before)
        if not is_ours or strip_at != (1, end) or strip_bytes != (1, frame_bytes):
            break
        before = (end, link)
        frames, end, link = frames + 1, aligned(directory_end), directory_end - 8
    return Chain(frames, end, link, before, xml)


def description_entry(file: OutputFile) -> DescriptionEntry | None:
    """Return where the OME-XML is said to be; None where there is no frame."""
    at = _number(file.read_at(FIRST_LINK, 8))
    entries = _number(file.read_at(at, 8)) if at else 0
    if not 0 < entries <= _MOST_ENTRIES:
        return None
    data = file.read_at(at + 8, 20 * entries)
    if len(data) < 20 * entries:
        return None
    fields = _fields(data)
    tags = [tag for tag, *_ in struct.iter_unpack("<HHQQ", data)]
    if _DESCRIPTION not in fields or _STRIP_AT not in fields:
        return None
    size, text_at = fields[_DESCRIPTION]
    entry_at = at + 8 + 20 * tags.index(_DESCRIPTION)
    return DescriptionEntry(entry_at, size, text_at, fields[_STRIP_AT][1])


def _fields(data: bytes) -> dict[int, tuple[int, int]]:
    """Return count and value (or its place) of each entry, by tag."""
    return {
        tag: (count, value)
        for tag, _kind, count, value in struct.iter_unpack("<HHQQ", data)
    }


def _document(file: OutputFile, field: tuple[int, int] | None) -> OmeXml:
    """Return the OME-XML with its frame count apart; empty if it is not there."""
    if field is None or field[1] != HEADER_BYTES or field[0] > file.size:
        return OmeXml(b"", b"")
    text = file.read_at(HEADER_BYTES, field[0]).removesuffix(b"\0")
    start = text.find(_COUNT) + len(_COUNT)
    if start < len(_COUNT):
        return OmeXml(b"", b"")
    return OmeXml(text[:start], text[start + len(count_field(0)) :])


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little") if len(data) == 8 else 0
