from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.base import BadInput, ParameterSpec, StorageError
from hal.frames import FrameLedger
from hal.storage import (
    Sidecar,
    SidecarSection,
    SidecarValue,
    read_acquisition,
    read_sidecar,
    section,
    sidecar_xml,
    write_sidecar,
)


def ledger() -> FrameLedger:
    ledger = FrameLedger("camera1", planned=5)
    for index in (0, 1, 4):
        ledger.received(index)
        ledger.stored(index)
    return ledger


SPECS = (
    ParameterSpec(
        name="exposure_s", kind="float", value=0.05, default=0.01, unit="s", help=""
    ),
    ParameterSpec(name="binning", kind="int", value=2, default=1, help=""),
    ParameterSpec(name="cooling", kind="bool", value=True, default=True, help=""),
    ParameterSpec(name="mode", kind="choice", value="fast µ", default="slow", help=""),
)
SIDECAR = Sidecar(
    run_id="01RUN",
    state="done",
    frames=3,
    started_wall_s=1.7e9,
    duration_s=1.25,
    simulated=True,
    software={"hal": "0.1", "ome-types": "0.7"},
    files=("movie.dax", "movie.inf"),
    notes="Zellen & <more>, ε=0.1",
    stage_um=(1234.567, -2.0),
    ledgers=(ledger().snapshot(),),
    more=(SidecarValue("lock_target", 0.25, "um"),),
    sections=(section("camera1", SPECS), SidecarSection("stage", ())),
)


def test_what_storm_control_readers_look_for_is_there(tmp_path: Path) -> None:
    path = tmp_path / "movie.xml"
    write_sidecar(path, SIDECAR)

    root = ET.parse(path).getroot()
    assert root.tag == "settings"
    assert root.findtext("acquisition/stage_position") == "1234.57,-2.00"
    assert root.findtext("acquisition/number_frames") == "3"
    assert root.findtext("acquisition/version") == "0.1"
    assert root.findtext("acquisition/notes") == "Zellen & <more>, ε=0.1"
    exposure = root.find("camera1/exposure_s")
    assert exposure is not None
    assert exposure.attrib == {"type": "float", "unit": "s"}
    assert exposure.text == "0.05"
    kinds = {child.tag: child.get("type") for child in root.iterfind("camera1/*")}
    assert kinds == {
        "exposure_s": "float",
        "binning": "int",
        "cooling": "boolean",
        "mode": "string",
    }
    assert root.findtext("camera1/cooling") == "True"


def test_it_is_encoded_as_the_predecessor_encodes(tmp_path: Path) -> None:
    document = sidecar_xml(SIDECAR)

    assert document.startswith(b"<?xml version='1.0' encoding='ISO-8859-1'?>")
    assert "fast µ".encode("latin-1") in document
    assert b"&#949;=0.1" in document


def test_it_reads_back_as_settings(tmp_path: Path) -> None:
    path = tmp_path / "movie.xml"
    write_sidecar(path, SIDECAR)

    assert read_sidecar(path) == {
        "camera1": {
            "exposure_s": "0.05",
            "binning": "2",
            "cooling": "True",
            "mode": "fast µ",
        },
        "stage": {},
    }


def test_what_it_says_of_the_film_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "movie.xml"
    write_sidecar(path, SIDECAR)

    said = read_acquisition(path)
    assert said["run_id"] == "01RUN"
    assert said["state"] == "done"
    assert said["simulated"] == "True"
    assert said["started"] == "2023-11-14T22:13:20+00:00"
    assert said["duration_s"] == "1.25"
    assert said["software.ome-types"] == "0.7"
    assert said["files.file"].splitlines() == ["movie.dax", "movie.inf"]
    assert said["frames.camera1.planned"] == "5"
    assert said["frames.camera1.stored"] == "3"
    assert said["frames.camera1.gaps"] == "2,3"
    assert said["frames.camera1.complete"] == "False"
    assert said["frames.camera1.mismatched"] == ""
    assert said["lock_target"] == "0.25"


def test_a_module_called_acquisition_keeps_its_settings(tmp_path: Path) -> None:
    path = tmp_path / "movie.xml"
    module = SidecarSection("acquisition", (SidecarValue("retries", 2),))
    write_sidecar(
        path,
        Sidecar(**{**fields(), "sections": (module,)}),  # type: ignore[arg-type]
    )

    assert read_sidecar(path) == {"acquisition": {"retries": "2"}}
    assert read_acquisition(path)["run_id"] == "01RUN"


def fields() -> dict[str, object]:
    return {name: getattr(SIDECAR, name) for name in SIDECAR.__struct_fields__}


@given(notes=st.text(), name=st.text(), value=st.text())
def test_no_text_can_make_it_unreadable(notes: str, name: str, value: str) -> None:
    odd = SidecarSection(name, (SidecarValue(name, value, value),))
    document = sidecar_xml(
        Sidecar(**{**fields(), "notes": notes, "sections": (odd,)})  # type: ignore[arg-type]
    )

    assert ET.fromstring(document).find("acquisition/notes") is not None


def test_a_stage_nobody_has_is_not_invented() -> None:
    document = sidecar_xml(Sidecar(**{**fields(), "stage_um": None}))  # type: ignore[arg-type]

    assert b"stage_position" not in document


def test_writing_again_replaces_it_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "movie.xml"
    path.write_text("<settings />")
    write_sidecar(path, SIDECAR)

    assert read_acquisition(path)["run_id"] == "01RUN"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "movie.xml"
    path.write_text("<settings />")

    def refuse(*_args: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(StorageError, match=r"movie\.xml: could not write it"):
        write_sidecar(path, SIDECAR)

    assert path.read_text() == "<settings />"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file"):
        write_sidecar(tmp_path / "missing" / "movie.xml", SIDECAR)


def test_nested_sections_of_settings_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "feeds.xml"
    path.write_bytes(
        b'<?xml version="1.0" encoding="ISO-8859-1"?>\n<settings>\n'
        b'<feeds validate="True"><average><source type="string">camera1</source>\n'
        b'<saved type="boolean">True</saved></average></feeds>\n'
        b'<film><notes type="string"></notes><empty>\n</empty></film></settings>'
    )

    assert read_sidecar(path) == {
        "feeds": {"average.source": "camera1", "average.saved": "True"},
        "film": {"notes": ""},
    }
    assert read_acquisition(path) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<settings>\n<a>\n</settings>", ":3: is not XML: mismatched tag"),
        ("", ":1: is not XML: no element found"),
        ("<config />", "begins with <config>, expected <settings>"),
        (
            '<!DOCTYPE s [<!ENTITY a "aaa">]>\n<settings>&a;</settings>',
            ":1: document types and entities are not accepted",
        ),
    ],
)
def test_what_is_no_settings_file_is_refused_at_its_place(
    text: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "wrong.xml"
    path.write_text(text)

    with pytest.raises(BadInput) as caught:
        read_sidecar(path)

    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"gone\.xml: cannot be read: No such file"):
        read_sidecar(tmp_path / "gone.xml")
