"""The `.xml` beside a film: how it was taken, in the layout storm-control reads.

`<settings>` holds a section `acquisition`, and one section per module with its
parameters, so that the file can be loaded again as settings. Every value is
`<name type="float|int|boolean|string" unit="...">text</name>`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec

from hal.base import ParameterSpec, Value, iso_utc
from hal.frames import FilmLayout, LedgerCounts
from hal.storage._ome_xml import xml_text
from hal.storage._output_file import storage_error

_NOT_IN_TAG = re.compile(r"[^A-Za-z0-9_.-]")
_TAG_START = re.compile(r"[A-Za-z_]")


class SidecarValue(msgspec.Struct, frozen=True):
    """One parameter with its value."""

    name: str
    value: Value
    unit: str = ""


class SidecarSection(msgspec.Struct, frozen=True):
    """The parameters of one module."""

    name: str
    values: tuple[SidecarValue, ...]


class Sidecar(msgspec.Struct, frozen=True, kw_only=True):
    """All that the sidecar of one film says."""

    run_id: str
    state: str
    """`running` while it is, then `done`, `error` or `cancelled`; `interrupted`
    after recovery, because everybody who could have ended it had been killed."""
    frames: int
    """Stored frames of the film; each camera's account is in `ledgers`."""
    started_wall_s: float
    duration_s: float
    simulated: bool
    software: dict[str, str]
    """Version by name; that of `hal` is the version of the file."""
    files: tuple[str, ...]
    """Names of all files of the film, relative to the sidecar."""
    notes: str = ""
    stage_um: tuple[float, float] | None = None
    ledgers: tuple[LedgerCounts, ...] = ()
    events: str = ""
    """Name of the table of events; empty where the run followed no plan."""
    layouts: dict[str, FilmLayout] = {}
    """How the frames lie along the axes of the plan, by camera."""
    more: tuple[SidecarValue, ...] = ()
    """Further values of the acquisition, e.g. what the focus lock said."""
    sections: tuple[SidecarSection, ...] = ()


def section(name: str, specs: Iterable[ParameterSpec]) -> SidecarSection:
    """Return the section of a module from its parameters as they are now."""
    return SidecarSection(
        name, tuple(SidecarValue(spec.name, spec.value, spec.unit) for spec in specs)
    )


def sidecar_xml(sidecar: Sidecar) -> bytes:
    """Return the document; whatever the texts contain, it is well-formed."""
    root = ET.Element("settings")
    acquisition = ET.SubElement(root, "acquisition")
    _add(acquisition, "version", sidecar.software.get("hal", ""))
    _add(acquisition, "number_frames", sidecar.frames)
    _add(acquisition, "notes", sidecar.notes)
    if sidecar.stage_um is not None:
        x_um, y_um = sidecar.stage_um
        _add(acquisition, "stage_position", f"{x_um:.2f},{y_um:.2f}", "um")
    _add(acquisition, "run_id", sidecar.run_id)
    _add(acquisition, "state", sidecar.state)
    _add(acquisition, "started", iso_utc(sidecar.started_wall_s))
    _add(acquisition, "duration_s", sidecar.duration_s, "s")
    _add(acquisition, "simulated", sidecar.simulated)
    for value in sidecar.more:
        _add(acquisition, value.name, value.value, value.unit)
    if sidecar.events:
        _add_plan(ET.SubElement(acquisition, "plan"), sidecar)
    software = ET.SubElement(acquisition, "software")
    for name, version in sidecar.software.items():
        _add(software, name, version)
    files = ET.SubElement(acquisition, "files")
    for file in sidecar.files:
        _add(files, "file", file)
    ledgers = ET.SubElement(acquisition, "frames")
    for counts in sidecar.ledgers:
        _add_counts(ET.SubElement(ledgers, _tag(counts.camera)), counts)
    for module in sidecar.sections:
        element = ET.SubElement(root, _tag(module.name))
        for value in module.values:
            _add(element, value.name, value.value, value.unit)
    ET.indent(root)
    # Characters that ISO 8859-1 has not become character references.
    document: bytes = ET.tostring(root, encoding="ISO-8859-1", xml_declaration=True)
    return document + b"\n"


def write_sidecar(path: Path, sidecar: Sidecar) -> None:
    """Write the file, or replace it, in one step: readers see the old or the new.

    Raises:
        DiskFull, StorageError: It could not be written; what was there is unchanged.
    """
    replace_sidecar(path, sidecar_xml(sidecar), sidecar.frames)


def replace_sidecar(path: Path, document: bytes, frames: int) -> None:
    """Write a sidecar as `write_sidecar` does; `frames` is for the error's text."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        with temporary.open("wb") as file:
            file.write(document)
            file.flush()
            # Else a power cut may leave the new name with nothing in it.
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as exc:
        temporary.unlink(missing_ok=True)
        raise storage_error(exc, path, "write it", frames) from exc


def _add_plan(parent: ET.Element, sidecar: Sidecar) -> None:
    _add(parent, "events", sidecar.events)
    for camera, layout in sidecar.layouts.items():
        element = ET.SubElement(parent, _tag(camera))
        _add(element, "axes", ",".join(axis for axis, _ in layout.axes))
        _add(element, "sizes", ",".join(str(size) for _, size in layout.axes))
        for name in layout.channels:
            _add(element, "channel", name)
        for name in layout.position_names:
            _add(element, "position", name)
        if layout.z_step_um is not None:
            _add(element, "z_step_um", layout.z_step_um, "um")
        if layout.interval_s is not None:
            _add(element, "interval_s", layout.interval_s, "s")


def _add_counts(parent: ET.Element, counts: LedgerCounts) -> None:
    if counts.planned is not None:
        _add(parent, "planned", counts.planned)
    _add(parent, "triggered", counts.triggered)
    _add(parent, "received", counts.received)
    _add(parent, "stored", counts.stored)
    _add(parent, "verified", counts.verified)
    _add(parent, "complete", counts.complete)
    _add(parent, "gap_count", counts.gap_count)
    _add(parent, "gaps", ",".join(map(str, counts.gaps)))
    _add(parent, "mismatch_count", counts.mismatch_count)
    _add(parent, "mismatched", ",".join(map(str, counts.mismatched)))


def _add(parent: ET.Element, name: str, value: Value, unit: str = "") -> None:
    element = ET.SubElement(parent, _tag(name), type=_kind(value))
    if unit:
        element.set("unit", xml_text(unit))
    element.text = xml_text(repr(value) if isinstance(value, float) else str(value))


def _kind(value: Value) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "int"
    return "float" if isinstance(value, float) else "string"


def _tag(name: str) -> str:
    """Return `name` as an element may be called: no name makes the file unreadable."""
    tag = _NOT_IN_TAG.sub("_", name)
    return tag if _TAG_START.match(tag) else f"_{tag}"
