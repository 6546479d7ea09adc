"""The OME-XML of one film (schema 2016-06): its frames, or the axes of its plan.

Source: https://docs.openmicroscopy.org/ome-model/ ; checked by the tests with
ome-types, which validates against the published schema.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

import msgspec

from hal.base import iso_utc
from hal.frames import FilmLayout
from hal.storage._arrangement import Arrangement
from hal.storage.description import FilmDescription

_NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
_SCHEMA = "http://www.w3.org/2001/XMLSchema-instance"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_COUNT_MARK = "0123456789"
_COUNT_DIGITS = 12

PIXEL_TYPES = {
    "uint8": "uint8",
    "uint16": "uint16",
    "uint32": "uint32",
    "int8": "int8",
    "int16": "int16",
    "int32": "int32",
    "float32": "float",
    "float64": "double",
}
"""Name in OME by name in numpy."""


class OmeXml(NamedTuple):
    """The document, and the one field in it that changes while frames come in."""

    before: bytes
    after: bytes

    def text(self, frames: int) -> bytes:
        """Return the whole document; its length is the same for any count."""
        return self.before + count_field(frames) + self.after


def xml_text(text: str) -> str:
    """Return `text` with what no XML may contain replaced by a question mark."""
    return _NOT_XML.sub("?", text)


def utf8_text(text: str) -> str:
    """Return `text` with what UTF-8 has no bytes for replaced by a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")


def plain(value: object) -> Any:
    """Return records as plain data, with texts that every encoding can hold."""
    return _utf8(msgspec.to_builtins(value))


def _utf8(value: Any) -> Any:
    if isinstance(value, str):
        return utf8_text(value)
    if isinstance(value, dict):
        return {_utf8(key): _utf8(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_utf8(item) for item in value]
    return value


def count_field(frames: int) -> bytes:
    """Return the frame count as an attribute value, its end quote and spaces.

    Spaces between attributes mean nothing, spaces inside the quotes trip readers.
    """
    return f'{max(1, frames)}"'.encode("ascii").ljust(_COUNT_DIGITS + 1)


def ome_xml(description: FilmDescription, name: str) -> OmeXml:
    """Describe a film; every plane of the file belongs to it, in order of time."""
    root = _root(description)
    film = _Image(name, {"T": _COUNT_MARK}, (description.camera,))
    if description.frame_interval_s is not None:
        film = film._replace(steps={"TimeIncrement": description.frame_interval_s})
    pixels = _add_image(root, film, description)
    # Without attributes: all IFDs of the file, in order.
    ET.SubElement(pixels, "TiffData")
    plane = ET.SubElement(pixels, "Plane", TheZ="0", TheC="0", TheT="0")
    plane.set("ExposureTime", repr(description.exposure_s))
    if description.stage_um is not None:
        for axis, position_um in zip("XY", description.stage_um, strict=True):
            plane.set(f"Position{axis}", repr(position_um))
            plane.set(f"Position{axis}Unit", "µm")
    before, _mark, after = _document(root, description).partition(
        f'SizeT="{_COUNT_MARK}"'.encode("ascii")
    )
    return OmeXml(before + b'SizeT="', after)


def arranged_xml(
    description: FilmDescription, name: str, layout: FilmLayout, shares: Arrangement
) -> bytes:
    """Describe a finished film along the axes of its plan, and a rest if it has one."""
    root = _root(description)
    steps = {"TimeIncrement": layout.interval_s, "PhysicalSizeZ": layout.z_step_um}
    image = _Image(
        name,
        {axis.upper(): str(size) for axis, size in shares.axes},
        layout.channels or (description.camera,),
        {step: value for step, value in steps.items() if value is not None},
        shares.dimension_order,
    )
    pixels = _add_image(root, image, description)
    # From the first IFD on, in the order of the dimensions.
    ET.SubElement(pixels, "TiffData", IFD="0", PlaneCount=str(shares.whole))
    if shares.rest:
        rest = _Image(
            f"{name} (rest)", {"T": str(shares.rest)}, (description.camera,), number=1
        )
        pixels = _add_image(root, rest, description)
        ET.SubElement(
            pixels, "TiffData", IFD=str(shares.whole), PlaneCount=str(shares.rest)
        )
    return _document(root, description)


class _Image(NamedTuple):
    name: str
    sizes: Mapping[str, str]
    """Of the dimensions that are longer than 1."""
    channels: tuple[str, ...]
    steps: Mapping[str, float] = {}
    order: str = "XYZCT"
    number: int = 0


def _root(description: FilmDescription) -> ET.Element:
    root = ET.Element(
        "OME",
        {
            "xmlns": _NAMESPACE,
            "xmlns:xsi": _SCHEMA,
            "xsi:schemaLocation": f"{_NAMESPACE} {_NAMESPACE}/ome.xsd",
            "Creator": "HAL",
        },
    )
    instrument = ET.SubElement(root, "Instrument", ID="Instrument:0")
    ET.SubElement(
        instrument, "Detector", ID="Detector:0:0", Model=xml_text(description.camera)
    )
    return root


def _add_image(
    root: ET.Element, what: _Image, description: FilmDescription
) -> ET.Element:
    """Add an image; return its pixels, which lack their planes."""
    height, width = description.shape
    number = what.number
    image = ET.SubElement(root, "Image", ID=f"Image:{number}", Name=xml_text(what.name))
    ET.SubElement(image, "AcquisitionDate").text = _date(description.started_wall_s)
    if description.simulated:
        ET.SubElement(image, "Description").text = "Simulated data"
    ET.SubElement(image, "InstrumentRef", ID="Instrument:0")
    pixels = ET.SubElement(
        image,
        "Pixels",
        {
            "ID": f"Pixels:{number}",
            "DimensionOrder": what.order,
            "Type": PIXEL_TYPES[description.dtype],
            "SizeX": str(width),
            "SizeY": str(height),
            **{f"Size{axis}": what.sizes.get(axis, "1") for axis in "ZCT"},
            "BigEndian": "false",
        },
    )
    if description.pixel_size_um is not None:
        # The default unit of both is the micrometre.
        pixels.set("PhysicalSizeX", repr(description.pixel_size_um))
        pixels.set("PhysicalSizeY", repr(description.pixel_size_um))
    for step, value in what.steps.items():
        pixels.set(step, repr(value))
    for at, channel_name in enumerate(what.channels):
        channel = ET.SubElement(
            pixels, "Channel", ID=f"Channel:{number}:{at}", SamplesPerPixel="1"
        )
        channel.set("Name", xml_text(channel_name))
        ET.SubElement(channel, "DetectorSettings", ID="Detector:0:0")
    ET.SubElement(image, "AnnotationRef", ID="Annotation:0")
    return pixels


def _document(root: ET.Element, description: FilmDescription) -> bytes:
    _annotate(root, description)
    # ASCII with character references: right for any reader, whatever it assumes.
    document: bytes = ET.tostring(root, encoding="us-ascii", xml_declaration=True)
    return document


def _annotate(root: ET.Element, description: FilmDescription) -> None:
    """Add what OME has no field for, as named values."""
    annotations = ET.SubElement(root, "StructuredAnnotations")
    mapping = ET.SubElement(
        annotations, "MapAnnotation", ID="Annotation:0", Namespace="hal/film"
    )
    value = ET.SubElement(mapping, "Value")
    height, width = description.shape
    facts = {
        "run_id": description.run_id,
        "camera": description.camera,
        "simulated": "true" if description.simulated else "false",
        "planned_frames": "" if description.planned is None else description.planned,
        "exposure_s": description.exposure_s,
        "binning": description.binning,
        "roi_px": f"{description.roi_x_px},{description.roi_y_px},{width},{height}",
        "notes": description.notes,
    }
    if description.layout is not None:
        facts |= _layout_facts(description.layout)
    facts |= {f"software.{k}": version for k, version in description.software.items()}
    for key, fact in facts.items():
        ET.SubElement(value, "M", K=xml_text(key)).text = xml_text(str(fact))


def _layout_facts(layout: FilmLayout) -> dict[str, str]:
    """Say along which axes the frames lie, where the format cannot."""
    return {
        "axes": f"{layout.text}; frames in this order, the last axis quickest",
        "channel_names": ", ".join(layout.channels),
        "position_names": ", ".join(layout.position_names),
    }


def _date(wall_s: float) -> str:
    return iso_utc(wall_s).replace("+00:00", "Z")
