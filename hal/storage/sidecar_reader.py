"""Sidecars and settings files read back, ours and storm-control's."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET
from xml.parsers import expat

from hal.base import BadInput

_ACQUISITION = "acquisition"


def read_sidecar(path: Path) -> dict[str, dict[str, str]]:
    """Return the settings in a sidecar: text of each parameter, by module.

    Values in a section of a section are named with dots. What only describes the film
    (`read_acquisition`) is left out.

    Raises:
        BadInput: The file cannot be read, or is no settings file.
    """
    root = _read(path)
    return {
        element.tag: _flat(element)
        for position, element in enumerate(root)
        if not (position == 0 and element.tag == _ACQUISITION)
    }


def read_acquisition(path: Path) -> dict[str, str]:
    """Return what a sidecar says about its film, e.g. `frames.camera1.stored`.

    A name that is there several times (`files.file`) has one line for each.

    Raises:
        BadInput: The file cannot be read, or is no settings file.
    """
    element = _read(path).find(_ACQUISITION)
    return {} if element is None else _flat(element)


def with_end(path: Path, state: str, frames: int) -> bytes:
    """Return the text of a sidecar that says another end, and is unchanged otherwise.

    Raises:
        BadInput: The file cannot be read, or is no settings file.
    """
    root = _read(path)
    for name, text in (("state", state), ("number_frames", str(frames))):
        element = root.find(f"{_ACQUISITION}/{name}")
        if element is not None:
            element.text = text
    document: bytes = ET.tostring(root, encoding="ISO-8859-1", xml_declaration=True)
    return document + b"\n"


def _flat(element: ET.Element, prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for child in element:
        name = prefix + child.tag
        # An empty leaf is a value, an empty section holds none.
        if len(child) or (not child.attrib and not (child.text or "").strip()):
            found |= _flat(child, name + ".")
            continue
        text = (child.text or "").strip()
        found[name] = f"{found[name]}\n{text}" if name in found else text
    return found


def _read(path: Path) -> ET.Element:
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise BadInput(
            f"cannot be read: {exc.strerror or exc}", file=str(path)
        ) from exc
    builder = ET.TreeBuilder()
    parser = expat.ParserCreate()

    def refuse(*_declared: object) -> None:
        raise BadInput(
            "document types and entities are not accepted",
            file=str(path),
            line=parser.CurrentLineNumber,
        )

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(data, True)
    except expat.ExpatError as exc:
        raise BadInput(
            f"is not XML: {expat.ErrorString(exc.code)}",
            file=str(path),
            line=exc.lineno,
        ) from exc
    except (LookupError, ValueError) as exc:
        raise BadInput(f"is in no encoding HAL knows: {exc}", file=str(path)) from exc
    root = builder.close()
    if root.tag != "settings":
        raise BadInput(
            f"is no settings file: it begins with <{root.tag}>, expected <settings>",
            file=str(path),
        )
    return root
