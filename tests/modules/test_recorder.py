"""The recorder module: every frame stored, or an error that says which are not."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import tifffile

from hal.base import BadInput, Carrier, DiskFull, OutputExists, StateError, StorageError
from hal.frames import FrameInfo, Pixels
from hal.messages import (
    FinishRecording,
    FramesStored,
    OpenRecording,
    RecordingFailed,
    RecordingFinished,
    RecordingOpened,
)
from hal.storage import (
    DaxWriter,
    FrameWriter,
    OmeTiffWriter,
    free_bytes,
    read_acquisition,
)
from hal.testing import RunningHal, running_hal, wait_until
from modules.recorder.recorder import RecorderModule
from tests.modules.bench import PATIENCE_S, RUN_ID, SIZE_PX, FilmSource, files_in
from tests.system.disks import mounted

FORMATS = [DaxWriter, OmeTiffWriter]


def open_film(
    hal: RunningHal, folder: Path, *sources: FilmSource, **changes: Any
) -> RecordingOpened:
    request: dict[str, Any] = {
        "run_id": RUN_ID,
        "cameras": tuple(
            msgspec.structs.replace(source.armed, frames=changes.get("frames"))
            for source in sources
        ),
        "frames": None,
        "directory": str(folder),
        "name": "film",
        "formats": ("dax",),
        "overwrite": False,
        "notes": "",
        "stage_um": None,
        "parameters": (),
    }
    opened = hal.ask(OpenRecording(**(request | changes)))
    assert isinstance(opened, RecordingOpened)
    return opened


def finish(
    hal: RunningHal, state: str = "done", drain_s: float = 10.0, run_id: str = RUN_ID
) -> RecordingFinished:
    finished = hal.ask(FinishRecording(run_id, state, drain_s))
    assert isinstance(finished, RecordingFinished)
    return finished


def texts(finished: RecordingFinished) -> list[str]:
    return [problem.text for problem in finished.problems]


def stored_frames(path: Path) -> list[int]:
    """Return the index written into every frame of a dax file."""
    frames = np.fromfile(path, "<u2").reshape(-1, SIZE_PX, SIZE_PX)
    assert (frames == frames[:, :1, :1]).all(), "a torn frame"
    return [int(frame[0, 0]) for frame in frames]


def wait_for_stored(hal: RunningHal, last: int, camera: str = "camera1") -> None:
    hal.probe.wait_for(
        FramesStored, lambda e: e.camera == camera and e.last == last, PATIENCE_S
    )


def test_every_frame_is_stored_acknowledged_and_verified(
    tmp_path: Path, carrier: Carrier | None
) -> None:
    with running_hal(carrier=carrier) as hal:
        source = FilmSource(hal)
        opened = open_film(hal, tmp_path, source)
        source.put(*range(20))
        source.ring.end()

        finished = finish(hal)

        assert opened.base == "film"
        assert finished.files == opened.files
        assert finished.problems == ()
        counts = finished.frames["camera1"]
        assert (counts.stored, counts.verified, counts.complete) == (20, 20, True)
        assert stored_frames(tmp_path / "film.dax") == [*range(20)]
        acknowledged = hal.probe.heard(FramesStored)
        assert acknowledged[0].first == 0
        assert acknowledged[-1].last == 19


def test_the_sidecar_says_running_and_at_the_end_how_it_ended(tmp_path: Path) -> None:
    with running_hal() as hal:
        source = FilmSource(hal)
        open_film(hal, tmp_path, source, notes="a note")
        assert read_acquisition(tmp_path / "film.xml") == {}

        source.put(0)
        wait_until(lambda: "state" in read_acquisition(tmp_path / "film.xml"))
        during = read_acquisition(tmp_path / "film.xml")
        source.put(1, 2)
        source.ring.end()
        finish(hal)
        after = read_acquisition(tmp_path / "film.xml")

    assert (during["state"], during["notes"]) == ("running", "a note")
    assert (after["state"], after["number_frames"]) == ("done", "3")
    assert after["run_id"] == RUN_ID


@pytest.mark.parametrize(
    ("planned", "indices", "said", "written"),
    [
        (3, [0, 1, 2], "done", "done"),
        (4, [0, 1, 2], "done", "error"),
        (None, [0, 2], "done", "error"),
        (4, [0, 1, 2], "cancelled", "cancelled"),
        (None, [0, 1, 2], "cancelled", "cancelled"),
        (3, [0, 1, 2], "cancelled", "done"),
        (3, [0, 1, 2], "error", "error"),
    ],
)
def test_the_sidecar_tells_the_whole_truth(
    tmp_path: Path, planned: int | None, indices: list[int], said: str, written: str
) -> None:
    with running_hal() as hal:
        source = FilmSource(hal)
        open_film(hal, tmp_path, source, frames=planned)
        source.put(*indices)
        source.ring.end()
        finish(hal, said)

    assert read_acquisition(tmp_path / "film.xml")["state"] == written


def test_a_gap_is_acknowledged_as_a_gap(tmp_path: Path) -> None:
    with running_hal() as hal:
        source = FilmSource(hal)
        open_film(hal, tmp_path, source)
        source.put(0, 1, 4, 5)
        source.ring.end()
        finished = finish(hal)

        batches = [(e.first, e.last) for e in hal.probe.heard(FramesStored)]
    assert batches[-1] == (4, 5)
    assert (1, 4) not in [(b[0], b[1]) for b in batches]
    assert finished.frames["camera1"].gaps == (2, 3)
    assert stored_frames(tmp_path / "film.dax") == [0, 1, 4, 5]


def test_several_cameras_at_once_have_a_file_each(tmp_path: Path) -> None:
    with running_hal() as hal:
        sources = [FilmSource(hal, name) for name in ("left", "right")]
        open_film(hal, tmp_path, *sources, formats=("dax", "ome-tiff"))
        sources[0].put(*range(5))
        sources[1].put(*range(8))
        for source in sources:
            source.ring.end()

        finished = finish(hal)

    assert finished.problems == ()
    assert {name: c.stored for name, c in finished.frames.items()} == {
        "left": 5,
        "right": 8,
    }
    assert stored_frames(tmp_path / "film_left.dax") == [*range(5)]
    assert stored_frames(tmp_path / "film_right.dax") == [*range(8)]
    assert files_in(tmp_path) == [
        *("film.xml", "film_left.dax", "film_left.inf", "film_left.ome.tiff"),
        *("film_right.dax", "film_right.inf", "film_right.ome.tiff"),
    ]


def test_a_film_without_a_frame_leaves_no_file(tmp_path: Path) -> None:
    with running_hal() as hal:
        source = FilmSource(hal)
        open_film(hal, tmp_path, source)
        source.ring.end()

        finished = finish(hal, "cancelled")

    assert finished.files == ()
    assert files_in(tmp_path) == []


def test_a_film_without_a_frame_does_not_claim_the_files_it_would_replace(
    tmp_path: Path,
) -> None:
    (tmp_path / "film.dax").write_bytes(b"old")
    with running_hal() as hal:
        source = FilmSource(hal)
        open_film(hal, tmp_path, source, overwrite=True)
        source.ring.end()

        finished = finish(hal, "cancelled")

    assert finished.files == ()
    assert (tmp_path / "film.dax").read_bytes() == b"old"


@pytest.mark.parametrize("existing", ["film.dax", "film.inf", "film.xml"])
def test_existing_files_are_refused_and_unchanged(
    tmp_path: Path, existing: str
) -> None:
    (tmp_path / existing).write_bytes(b"old")
    with running_hal() as hal:
        source = FilmSource(hal)

        with pytest.raises(OutputExists, match=existing):
            open_film(hal, tmp_path, source)

        assert files_in(tmp_path) == [existing]
        assert (tmp_path / existing).read_bytes() == b"old"
        assert source.ring.readers == ()


def test_existing_files_are_replaced_if_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "film.dax").write_bytes(b"old")
    with running_hal() as hal:
        source = FilmSource(hal)
        open_film(hal, tmp_path, source, overwrite=True)
        source.put(7)
        source.ring.end()
        finish(hal)

    assert stored_frames(tmp_path / "film.dax") == [7]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"formats": ("dax", "tif")}, "unknown film format 'tif'"),
        ({"formats": ()}, "no film format is given"),
        ({"formats": ("dax", "dax")}, "given twice: dax, dax"),
        ({"name": "a/b"}, "'/' is not allowed"),
        ({"frames": 10**12}, "but the run needs"),
    ],
)
def test_a_film_that_cannot_be_opened_leaves_nothing(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    """R62: what is wrong with the output is the answer."""
    with running_hal() as hal:
        source = FilmSource(hal)

        with pytest.raises(BadInput, match=words):
            open_film(hal, tmp_path / "new" / "folder", source, **changes)

        assert list(tmp_path.iterdir()) == []
        assert source.ring.readers == ()
        # And it is not in the way of the next.
        open_film(hal, tmp_path, source)
        source.ring.end()
        finish(hal)


def test_when_the_second_camera_cannot_be_opened_nothing_is_left_of_the_first(
    tmp_path: Path,
) -> None:
    (tmp_path / "film_right.ome.tiff").write_bytes(b"old")
    with running_hal() as hal:
        sources = [FilmSource(hal, name) for name in ("left", "right")]

        with pytest.raises(OutputExists):
            open_film(hal, tmp_path, *sources, formats=("dax", "ome-tiff"))

        assert files_in(tmp_path) == ["film_right.ome.tiff"]
        assert [source.ring.readers for source in sources] == [(), ()]


def test_when_a_file_cannot_be_made_all_others_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_file = DaxWriter._do_open

    def fail(self: DaxWriter) -> None:
        if self.description.camera == "right":
            raise OSError(5, "Input/output error")
        open_file(self)

    monkeypatch.setattr(DaxWriter, "_do_open", fail)
    with running_hal() as hal:
        sources = [FilmSource(hal, name) for name in ("left", "right")]

        with pytest.raises(StorageError, match="Input/output error"):
            open_film(hal, tmp_path / "new", *sources, formats=("ome-tiff", "dax"))

        assert list(tmp_path.iterdir()) == []
        assert [source.ring.readers for source in sources] == [(), ()]


def test_one_film_at_a_time(tmp_path: Path) -> None:
    with running_hal() as hal:
        source = FilmSource(hal)
        open_film(hal, tmp_path, source)

        with pytest.raises(StateError, match=f"still recording run {RUN_ID}"):
            open_film(hal, tmp_path, source, run_id="run2", name="other")

        source.ring.end()
        finish(hal)


def test_finishing_an_unknown_film_is_refused(tmp_path: Path) -> None:
    with running_hal() as hal:
        with pytest.raises(StateError, match="no recording of run nothing"):
            finish(hal, run_id="nothing")
        source = FilmSource(hal)
        open_film(hal, tmp_path, source)
        with pytest.raises(StateError, match="no recording of run other"):
            finish(hal, run_id="other")
        source.ring.end()
        finish(hal)
        with pytest.raises(StateError, match=f"no recording of run {RUN_ID}"):
            finish(hal)


def test_an_end_that_never_comes_is_waited_for_so_long_and_told(
    tmp_path: Path,
) -> None:
    with running_hal() as hal:
        source = FilmSource(hal)
        open_film(hal, tmp_path, source)
        source.put(0, 1)
        wait_for_stored(hal, 1)
        before_s = time.monotonic()

        finished = finish(hal, "cancelled", drain_s=0.3)

        assert 0.3 <= time.monotonic() - before_s < 3.0
        assert texts(finished) == ["camera1: the end of the film never came"]
        assert finished.frames["camera1"].stored == 2
        assert stored_frames(tmp_path / "film.dax") == [0, 1]
        assert source.ring.readers == ()


def test_a_slow_disk_gets_the_time_it_needs_once_the_camera_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_disk(monkeypatch, 0.04)
    with running_hal() as hal:
        source = FilmSource(hal)
        open_film(hal, tmp_path, source)
        source.put(*range(20))
        source.ring.end()

        # In all it takes longer than that, but something is stored all the time.
        finished = finish(hal, "cancelled", drain_s=0.4)

    assert finished.problems == ()
    assert finished.frames["camera1"].stored == 20


def slow_disk(monkeypatch: pytest.MonkeyPatch, delay_s: float) -> None:
    append = DaxWriter._do_append

    def slow(self: DaxWriter, pixels: Pixels, info: FrameInfo) -> None:
        threading.Event().wait(delay_s)
        append(self, pixels, info)

    monkeypatch.setattr(DaxWriter, "_do_append", slow)


def test_a_disk_that_hangs_is_given_up_with_what_it_did_not_take(
    tmp_path: Path, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = DaxWriter._do_append

    def hang(self: DaxWriter, pixels: Pixels, info: FrameInfo) -> None:
        if info.index == 3:
            gate.wait(60.0)
        append(self, pixels, info)

    monkeypatch.setattr(DaxWriter, "_do_append", hang)
    with running_hal() as hal:
        source = FilmSource(hal)
        open_film(hal, tmp_path, source)
        source.put(*range(10))
        source.ring.end()

        finished = finish(hal, "cancelled", drain_s=0.3)

        assert "camera1: 7 frames could not be stored in time" in texts(finished)
        assert finished.frames["camera1"].stored == 3
        gate.set()


def test_a_failing_write_is_told_and_does_not_hold_up_the_camera(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = DaxWriter._do_append

    def fail(self: DaxWriter, pixels: Pixels, info: FrameInfo) -> None:
        if info.index == 5:
            raise OSError(5, "Input/output error")
        append(self, pixels, info)

    monkeypatch.setattr(DaxWriter, "_do_append", fail)
    with running_hal() as hal:
        source = FilmSource(hal, slots=4)
        open_film(hal, tmp_path, source)
        # Far more than the ring holds: nobody waits for the recorder any more.
        source.put(*range(100))

        failed = hal.probe.wait_for(RecordingFailed)
        source.ring.end()
        finished = finish(hal, "error")

    assert (failed.run_id, failed.camera) == (RUN_ID, "camera1")
    assert (failed.error.kind, failed.error.source) == ("StorageError", "recorder")
    assert "could not write frame 5: Input/output error" in failed.error.text
    assert "5 frames are stored and readable" in failed.error.text
    assert texts(finished) == [failed.error.text]
    assert finished.frames["camera1"].stored == 5
    assert stored_frames(tmp_path / "film.dax") == [*range(5)]
    assert read_acquisition(tmp_path / "film.xml")["state"] == "error"


@pytest.mark.parametrize("formats", [("dax", "ome-tiff"), ("ome-tiff", "dax")])
@pytest.mark.parametrize("failing", FORMATS)
@pytest.mark.parametrize("frame", [0, 1, 5])
def test_a_frame_that_one_format_cannot_store_is_in_none(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    formats: tuple[str, ...],
    failing: type[FrameWriter],
    frame: int,
) -> None:
    fail_at(monkeypatch, failing, frame)
    with running_hal() as hal:
        source = FilmSource(hal)
        open_film(hal, tmp_path, source, formats=formats)
        source.put(*range(8))
        failed = hal.probe.wait_for(RecordingFailed)
        source.ring.end()
        finished = finish(hal, "error")

    # That it failed, and nothing else: all that was stored is as it was written.
    assert texts(finished) == [failed.error.text]
    counts = finished.frames["camera1"]
    assert (counts.stored, counts.verified) == (frame, frame)
    if not frame:
        assert files_in(tmp_path) == []
        return
    assert stored_frames(tmp_path / "film.dax") == [*range(frame)]
    with tifffile.TiffFile(tmp_path / "film.ome.tiff") as tiff:
        assert [int(page.asarray()[0, 0]) for page in tiff.pages] == [*range(frame)]


def test_a_frame_that_cannot_be_taken_back_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: DaxWriter) -> None:
        raise OSError(5, "Input/output error")

    fail_at(monkeypatch, OmeTiffWriter, 3)
    monkeypatch.setattr(DaxWriter, "_do_undo", refuse)
    with running_hal() as hal:
        source = FilmSource(hal)
        open_film(hal, tmp_path, source, formats=("dax", "ome-tiff"))
        source.put(*range(8))
        failed = hal.probe.wait_for(RecordingFailed)
        source.ring.end()
        finished = finish(hal, "error")

    assert "could not write frame 3" in failed.error.text
    assert finished.frames["camera1"].stored == 3
    told = texts(finished)
    assert any("film.dax: could not take frame 3 back" in text for text in told)
    assert failed.error.text in told
    assert read_acquisition(tmp_path / "film.xml")["state"] == "error"


def test_the_old_film_of_that_name_stays_if_a_format_cannot_store_the_first_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = [tmp_path / name for name in ("film.dax", "film.inf", "film.ome.tiff")]
    for path in old:
        path.write_bytes(b"old")
    fail_at(monkeypatch, OmeTiffWriter, 0)
    with running_hal() as hal:
        source = FilmSource(hal)
        open_film(hal, tmp_path, source, formats=("dax", "ome-tiff"), overwrite=True)
        source.put(0, 1)
        hal.probe.wait_for(RecordingFailed)
        source.ring.end()
        finish(hal, "error")

    assert sorted(tmp_path.iterdir()) == old
    assert [path.read_bytes() for path in old] == [b"old"] * 3


def test_a_full_disk_has_room_for_the_last_word(tmp_path: Path) -> None:
    with (
        mounted(tmp_path, "size=1m") as disk,
        running_hal() as hal,
    ):
        source = FilmSource(hal)
        open_film(hal, disk.outside, source)
        source.put(*range(5))
        wait_for_stored(hal, 4)
        wait_until(lambda: "state" in read_acquisition(disk.outside / "film.xml"))
        fill_up(disk.outside / "filler")
        # A frame is 512 bytes: a few still fit into the last block of the film.
        source.put(*range(5, 40))
        failed = hal.probe.wait_for(RecordingFailed)
        source.ring.end()
        finished = finish(hal, "error")

        assert failed.error.kind == "DiskFull"
        assert texts(finished) == [failed.error.text]
        stored = finished.frames["camera1"].stored
        sidecar = read_acquisition(disk.outside / "film.xml")
        assert (sidecar["state"], sidecar["number_frames"]) == ("error", str(stored))
        assert files_in(disk.outside) == ["filler", "film.dax", "film.inf", "film.xml"]


def test_the_room_kept_for_the_last_word_is_given_back(tmp_path: Path) -> None:
    with mounted(tmp_path, "size=1m") as disk, running_hal() as hal:
        before = free_bytes(disk.outside)
        source = FilmSource(hal)
        open_film(hal, disk.outside, source)
        assert free_bytes(disk.outside) < before - 32 * 2**10
        source.ring.end()
        finish(hal, "cancelled")
        assert free_bytes(disk.outside) == before

        fill_up(disk.outside / "filler", leave=16 * 2**10)
        before = free_bytes(disk.outside)
        with pytest.raises(DiskFull, match="set room aside for the sidecar"):
            open_film(hal, disk.outside, source, run_id="run2")

        assert free_bytes(disk.outside) == before
        assert files_in(disk.outside) == ["filler"]
        assert source.ring.readers == ()


def fail_at(
    monkeypatch: pytest.MonkeyPatch, writer: type[FrameWriter], frame: int
) -> None:
    """Let a format fail to store one frame."""
    append = writer._do_append

    def fail(self: FrameWriter, pixels: Pixels, info: FrameInfo) -> None:
        if info.index == frame:
            raise OSError(5, "Input/output error")
        append(self, pixels, info)

    monkeypatch.setattr(writer, "_do_append", fail)


def fill_up(filler: Path, leave: int = 0) -> None:
    """Take all the space of a disk, but for `leave` bytes."""
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free_bytes(filler.parent) - leave)


def test_a_frame_that_is_read_back_otherwise_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = DaxWriter._do_append

    def spoil(self: DaxWriter, pixels: Pixels, info: FrameInfo) -> None:
        append(self, pixels + (info.index == 2), info)

    monkeypatch.setattr(DaxWriter, "_do_append", spoil)
    with running_hal() as hal:
        source = FilmSource(hal)
        open_film(hal, tmp_path, source)
        source.put(*range(4))
        source.ring.end()

        finished = finish(hal)

    assert finished.frames["camera1"].mismatched == (2,)
    assert not finished.frames["camera1"].complete
    assert "1 not as written" in texts(finished)[0]
    assert read_acquisition(tmp_path / "film.xml")["state"] == "error"


def test_a_stopping_hal_closes_the_files_with_what_is_stored(tmp_path: Path) -> None:
    with running_hal() as hal:
        source = FilmSource(hal)
        open_film(hal, tmp_path, source)
        source.put(0, 1, 2)
        wait_for_stored(hal, 2)

    assert stored_frames(tmp_path / "film.dax") == [0, 1, 2]
    assert read_acquisition(tmp_path / "film.xml")["state"] == "error"
    assert source.ring.readers == ()


def test_a_stopping_hal_waits_for_a_film_that_is_being_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_disk(monkeypatch, 0.04)
    with running_hal() as hal:
        source = FilmSource(hal)
        open_film(hal, tmp_path, source)
        source.put(*range(10))
        source.ring.end()
        finishing = hal.send(FinishRecording(RUN_ID, "done", 10.0))
        recorder = hal.module("recorder", RecorderModule)
        wait_until(lambda: "finish recording" in recorder.busy_with)

    assert isinstance(finishing.result(), RecordingFinished)
    assert stored_frames(tmp_path / "film.dax") == [*range(10)]


def test_what_is_stored_is_brought_to_the_device_while_the_film_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modules.recorder.care.EVERY_S", 0.0)
    brought: list[str] = []

    def fsync(file: Any) -> None:
        number = file if isinstance(file, int) else file.fileno()
        brought.append(os.readlink(f"/proc/self/fd/{number}"))

    monkeypatch.setattr(os, "fsync", fsync)
    with running_hal() as hal:
        source = FilmSource(hal)
        open_film(hal, tmp_path, source)
        source.put(*range(5))
        wait_until(lambda: str(tmp_path / "film.dax") in brought)
        wait_until(lambda: str(tmp_path / "film.journal") in brought)
        source.ring.end()

        assert finish(hal).problems == ()


def test_a_device_that_does_not_take_frames_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(_file: object) -> None:
        raise OSError(5, "Input/output error")

    with running_hal() as hal:
        source = FilmSource(hal)
        open_film(hal, tmp_path, source)
        source.put(*range(5))
        wait_for_stored(hal, last=4)
        monkeypatch.setattr(os, "fsync", fsync)
        source.ring.end()

        finished = finish(hal)

    assert "could not bring it to the device: Input/output error" in texts(finished)[0]
    assert stored_frames(tmp_path / "film.dax") == [*range(5)]


@pytest.mark.parametrize(
    ("frames", "free_frames", "warned"),
    [(None, 200, 1), (None, 10**9, 0), (100, 200, 0), (1000, 200, 1)],
)
def test_a_disk_that_will_be_full_is_told_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    frames: int | None,
    free_frames: int,
    warned: int,
) -> None:
    looks: list[Path] = []
    records: list[Any] = []

    def free(folder: Path) -> int:
        looks.append(folder)
        return free_frames * SIZE_PX**2 * 2

    with running_hal() as hal:
        monkeypatch.setattr("modules.recorder.care.free_bytes", free)
        monkeypatch.setattr("modules.recorder.care.EVERY_S", 0.0)
        hal.system.trace.listen(records.append)
        source = FilmSource(hal)
        open_film(hal, tmp_path, source, frames=frames)
        source.put(*range(30))
        wait_until(lambda: len(looks) > 2)
        source.put(*range(30, 60))
        seen = len(looks)
        wait_until(lambda: len(looks) > seen + 2)
        source.ring.end()
        finish(hal)

    told = [record for record in records if record.get("event") == "disk will be full"]
    assert len(told) == warned
    assert set(looks) == {tmp_path}
