"""The table of events that the recorder keeps beside the film of a plan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tifffile

from hal.acquisition import EventOutcome, EventRow
from hal.base import Carrier, DiskFull, OutputExists, StateError, StorageError
from hal.frames import FilmLayout
from hal.messages import RecordEvents
from hal.storage import DaxWriter, read_acquisition, read_sidecar, recover
from hal.testing import RunningHal, running_hal, wait_until
from tests.modules.bench import RUN_ID, FilmSource, files_in
from tests.modules.test_recorder import (
    fill_up,
    finish,
    open_film,
    texts,
    wait_for_stored,
)
from tests.modules.test_resume import Bench, end, follow
from tests.system.disks import mounted

TABLE = "film_events.ndjson"
LAYOUT = FilmLayout(
    axes=(("t", 2), ("c", 2)), channels=("DAPI", "FITC"), interval_s=1.5
)


def row(event: int, **more: Any) -> EventRow:
    known: dict[str, Any] = {"kind": "image", "outcome": EventOutcome.DONE}
    return EventRow(event=event, **(known | more))


def record(hal: RunningHal, *events: int, run_id: str = RUN_ID, **more: Any) -> None:
    hal.ask(RecordEvents(run_id, tuple(row(event, **more) for event in events)))


def events(folder: Path) -> list[int]:
    lines = (folder / TABLE).read_text().splitlines()
    return [json.loads(line)["event"] for line in lines]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def test_the_rows_stand_beside_the_film_and_all_say_so(
    tmp_path: Path, carrier: Carrier | None
) -> None:
    with running_hal(carrier=carrier) as hal:
        source = FilmSource(hal)
        opened = open_film(
            hal,
            tmp_path,
            source,
            frames=4,
            formats=("ome-tiff",),
            has_events=True,
            layouts={"camera1": LAYOUT},
        )
        record(hal, 0, 1, index={"t": 0, "c": 1}, channel="FITC", frame=1)
        assert events(tmp_path) == [0, 1]
        source.put(0, 1, 2, 3)
        record(hal, 1, 2, 3)
        source.ring.end()

        finished = finish(hal)

    assert finished.problems == ()
    assert finished.files == opened.files
    names = ["film.ome.tiff", TABLE, "film.xml"]
    assert [Path(file).name for file in finished.files] == names
    assert files_in(tmp_path) == sorted(names)
    assert events(tmp_path) == [0, 1, 2, 3]
    said = read_acquisition(tmp_path / "film.xml")
    assert (said["state"], said["files.file"]) == ("done", f"film.ome.tiff\n{TABLE}")
    assert said["plan.events"] == TABLE
    assert (said["plan.camera1.axes"], said["plan.camera1.sizes"]) == ("t,c", "2,2")
    assert said["plan.camera1.channel"] == "DAPI\nFITC"
    assert said["plan.camera1.interval_s"] == "1.5"
    # It is no module's parameters, and is not loaded as settings.
    assert "plan" not in read_sidecar(tmp_path / "film.xml")
    with tifffile.TiffFile(tmp_path / "film.ome.tiff") as tiff:
        assert (tiff.series[0].axes, tiff.series[0].shape[:2]) == ("TCYX", (2, 2))


def test_a_film_that_follows_no_plan_has_no_table(tmp_path: Path) -> None:
    with running_hal() as hal:
        source = FilmSource(hal)
        open_film(hal, tmp_path, source)
        with pytest.raises(StateError, match="follows no plan"):
            record(hal, 0)
        source.put(0)
        source.ring.end()
        finish(hal)

    assert files_in(tmp_path) == ["film.dax", "film.inf", "film.xml"]
    assert "plan.events" not in read_acquisition(tmp_path / "film.xml")


def test_rows_of_another_run_are_refused(tmp_path: Path) -> None:
    with running_hal() as hal:
        with pytest.raises(StateError, match=f"no recording of run {RUN_ID}"):
            record(hal, 0)
        source = FilmSource(hal)
        open_film(hal, tmp_path, source, has_events=True)
        with pytest.raises(StateError, match="no recording of run other"):
            record(hal, 0, run_id="other")
        assert events(tmp_path) == []
        source.ring.end()
        finish(hal)


def test_a_film_without_a_frame_leaves_no_table(tmp_path: Path) -> None:
    with running_hal() as hal:
        source = FilmSource(hal)
        open_film(hal, tmp_path, source, has_events=True)
        record(hal, 0)
        source.ring.end()
        finished = finish(hal, "error")

    assert finished.files == ()
    assert files_in(tmp_path) == []


def test_what_cannot_be_opened_leaves_no_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_self: DaxWriter) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(DaxWriter, "_do_open", fail)
    with running_hal() as hal:
        source = FilmSource(hal)
        with pytest.raises(StorageError, match="Input/output error"):
            open_film(hal, tmp_path, source, has_events=True)

    assert files_in(tmp_path) == []


@pytest.mark.parametrize("has_events", [True, False])
def test_a_table_of_that_name_is_not_replaced_unasked(
    tmp_path: Path, has_events: bool
) -> None:
    """Nor does a film without one take it for its own."""
    (tmp_path / TABLE).write_text("old")
    with running_hal() as hal:
        source = FilmSource(hal)
        with pytest.raises(OutputExists, match=TABLE):
            open_film(hal, tmp_path, source, has_events=has_events)

    assert files_in(tmp_path) == [TABLE]
    assert (tmp_path / TABLE).read_text() == "old"


def test_the_old_table_stays_until_the_first_frame(tmp_path: Path) -> None:
    (tmp_path / TABLE).write_text("old")
    with running_hal() as hal:
        source = FilmSource(hal)
        open_film(hal, tmp_path, source, overwrite=True, has_events=True)
        record(hal, 0)
        assert (tmp_path / TABLE).read_text() == "old"
        source.put(0)
        wait_until(lambda: (tmp_path / TABLE).read_text() != "old")
        record(hal, 1)
        source.ring.end()
        finish(hal)

    assert events(tmp_path) == [0, 1]
    assert files_in(tmp_path) == ["film.dax", "film.inf", "film.xml", TABLE]


def test_a_film_without_a_table_removes_that_of_the_film_it_replaces(
    tmp_path: Path,
) -> None:
    (tmp_path / TABLE).write_text("old")
    with running_hal() as hal:
        source = FilmSource(hal)
        open_film(hal, tmp_path, source, overwrite=True)
        assert (tmp_path / TABLE).exists()
        source.put(0)
        source.ring.end()
        finish(hal)

    assert files_in(tmp_path) == ["film.dax", "film.inf", "film.xml"]


def test_a_full_disk_refuses_rows_and_the_frames_go_on(tmp_path: Path) -> None:
    with mounted(tmp_path, "size=2m") as disk, running_hal() as hal:
        folder = disk.outside
        source = FilmSource(hal)
        open_film(hal, folder, source, has_events=True)
        source.put(0)
        record(hal, 0)
        wait_for_stored(hal, 0)
        fill_up(folder / "filler", leave=64 * 2**10)
        with pytest.raises(DiskFull, match=r"_events.ndjson: no space left"):
            record(hal, 1, 2, why="x" * 100_000)
        source.put(1, 2, 3)
        wait_for_stored(hal, 3)
        assert events(folder) == [0]
        (folder / "filler").unlink()
        # What was refused may be sent again.
        record(hal, 1)
        source.ring.end()
        finished = finish(hal)

        assert finished.frames["camera1"].complete
        assert len(texts(finished)) == 1
        assert "the rows of 1 events are missing, from event 2 on" in texts(finished)[0]
        assert events(folder) == [0, 1]
        assert read_acquisition(folder / "film.xml")["state"] == "error"


def test_rows_that_were_refused_and_came_again_are_no_problem(tmp_path: Path) -> None:
    with mounted(tmp_path, "size=2m") as disk, running_hal() as hal:
        source = FilmSource(hal)
        open_film(hal, disk.outside, source, has_events=True)
        fill_up(disk.outside / "filler")
        with pytest.raises(DiskFull):
            record(hal, 0)
        (disk.outside / "filler").unlink()
        record(hal, 0)
        source.put(0)
        source.ring.end()

        assert texts(finish(hal)) == []


def test_the_table_goes_on_with_the_film_after_a_kill(bench: Bench) -> None:
    first = bench.open(has_events=True)
    bench.source.put(0, 1, 2)
    first.add_events([row(0), row(1)])
    follow(first, frames=2)
    bench.kill(first)
    with (bench.folder / TABLE).open("ab") as file:
        file.write(b'{"record":"event row","event":2,"k')
    bench.source.ring.end()

    again = bench.resume(has_events=True)
    # The engine does not know what had arrived.
    again.add_events([row(1), row(2)])
    follow(again)
    finished = end(again)

    assert finished.problems == ()
    assert events(bench.folder) == [0, 1, 2]


def test_a_replacing_table_goes_on_and_replaces_after_a_kill(bench: Bench) -> None:
    (bench.folder / TABLE).write_text("old")
    first = bench.open(has_events=True, overwrite=True)
    first.add_events([row(0)])
    bench.kill(first)
    bench.source.put(0)
    bench.source.ring.end()

    again = bench.resume(has_events=True, overwrite=True)
    assert (bench.folder / TABLE).read_text() == "old"
    follow(again)
    assert end(again).problems == ()

    assert events(bench.folder) == [0]
    assert not list(bench.folder.glob("*.new"))


def test_a_table_that_is_gone_costs_no_frame(bench: Bench) -> None:
    first = bench.open(has_events=True)
    bench.source.put(0, 1)
    follow(first, frames=1)
    bench.kill(first)
    (bench.folder / TABLE).unlink()
    bench.source.ring.end()

    again = bench.resume(has_events=True)
    with pytest.raises(StorageError, match="is not open"):
        again.add_events([row(0)])
    follow(again)
    finished = end(again)

    assert finished.frames["camera1"].complete
    told = [problem.text for problem in finished.problems]
    assert any("open it again" in text for text in told)
    assert any("rows of 1 events are missing" in text for text in told)


def test_recovery_brings_the_table_to_whole_rows_and_lists_it(bench: Bench) -> None:
    recording = bench.open(has_events=True)
    bench.source.put(0, 1)
    recording.add_events([row(0), row(1)])
    follow(recording, frames=2)
    bench.kill(recording)
    with (bench.folder / TABLE).open("ab") as file:
        file.write(b'{"rec')

    reports = {Path(report.file).name: report for report in recover(bench.folder)}

    assert (reports[TABLE].state, reports[TABLE].frames) == ("repaired", 2)
    assert (reports[TABLE].counts, reports["film.dax"].counts) == ("event", "frame")
    assert "unfinished row removed" in reports[TABLE].text
    assert events(bench.folder) == [0, 1]
    said = read_acquisition(bench.folder / "film.xml")
    assert said["files.file"].endswith(TABLE)
    assert list(recover(bench.folder)) == []


def test_recovery_tells_of_a_table_that_is_damaged_and_leaves_it(bench: Bench) -> None:
    recording = bench.open(has_events=True)
    bench.source.put(0, 1)
    follow(recording, frames=2)
    bench.kill(recording)
    (bench.folder / TABLE).write_text("thesis\n")

    for _attempt in range(2):
        reports = {Path(report.file).name: report for report in recover(bench.folder)}
        assert reports[TABLE].state == "damaged"
        assert "row 0 is no row" in reports[TABLE].text
        assert reports["film.dax"].state == "complete"
    assert (bench.folder / TABLE).read_text() == "thesis\n"


@pytest.mark.parametrize("overwrite", [False, True])
def test_recovery_removes_the_table_of_a_film_that_never_began(
    bench: Bench, overwrite: bool
) -> None:
    if overwrite:
        (bench.folder / TABLE).write_text("old")
    recording = bench.open(has_events=True, overwrite=overwrite)
    recording.add_events([row(0)])
    bench.kill(recording)

    list(recover(bench.folder))

    left = [name for name in files_in(bench.folder) if "events" in name]
    assert left == ([TABLE] if overwrite else [])
    if overwrite:
        assert (bench.folder / TABLE).read_text() == "old"


def test_a_replacing_table_is_put_in_its_place_by_recovery(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kill came between the first frame and that."""
    (bench.folder / TABLE).write_text("old")
    recording = bench.open(has_events=True, overwrite=True)
    monkeypatch.setattr(recording._events, "take_place", lambda: None)
    recording.add_events([row(0)])
    bench.source.put(0, 1)
    follow(recording, frames=2)
    bench.kill(recording)

    list(recover(bench.folder))

    assert events(bench.folder) == [0]
    assert not list(bench.folder.glob("*.new"))


def test_a_lapse_says_its_interval(bench: Bench) -> None:
    lapse = FilmLayout(axes=(("t", 2),), interval_s=1.5)
    recording = bench.open(has_events=True, layouts={"camera1": lapse})
    bench.source.put(0, 1)
    bench.source.ring.end()
    follow(recording)
    end(recording)

    group = json.loads((bench.folder / "film.ome.zarr" / "zarr.json").read_text())
    (image,) = group["attributes"]["ome"]["multiscales"]
    (transformation,) = image["datasets"][0]["coordinateTransformations"]
    assert transformation["scale"][0] == 1.5
    with tifffile.TiffFile(bench.folder / "film.ome.tiff") as tiff:
        assert 'TimeIncrement="1.5"' in (tiff.ome_metadata or "")


def test_the_care_for_the_disk_includes_the_table(bench: Bench) -> None:
    recording = bench.open(has_events=True)
    recording.add_events([row(0)])

    recording._events.bring_to_device()
    recording._events.close()
    recording._events.bring_to_device()  # harmless then

    assert events(bench.folder) == [0]
    bench.source.ring.end()
    follow(recording)
    end(recording)
