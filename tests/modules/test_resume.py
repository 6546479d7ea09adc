"""A film that goes on after its recorder was killed and started again."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from hal.base import BadInput, StorageError, SystemClock
from hal.frames import OwnRings
from hal.messages import FramesStored, OpenRecording, RecordingFinished
from hal.storage import JournalInUse, read_acquisition, recover
from modules.recorder.recording import Recording
from tests.modules.bench import RUN_ID, SIZE_PX, FilmSource, files_in
from tests.modules.test_recorder import stored_frames

FORMATS = ("dax", "ome-tiff", "ome-zarr")


class OneLoop:
    """What a track needs of the loop that runs it."""

    def __init__(self) -> None:
        self.stopping = threading.Event()

    def beat(self) -> None:
        pass


class Rings:
    """The part of a HAL that `FilmSource` asks for its rings."""

    def __init__(self) -> None:
        self.rings = OwnRings(2**24, SystemClock())


class Bench:
    """One camera, and recorders that come and go."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        monkeypatch.setattr("tests.modules.bench.rings_of", lambda hal: hal.rings)
        hal: Any = Rings()
        self.rings = hal.rings
        self.source = FilmSource(hal)
        self.told: list[FramesStored] = []

    def request(self, **changes: Any) -> OpenRecording:
        given: dict[str, Any] = {
            "run_id": RUN_ID,
            "cameras": (self.source.armed,),
            "frames": None,
            "directory": str(self.folder),
            "name": "film",
            "formats": FORMATS,
            "overwrite": False,
            "notes": "",
            "stage_um": None,
            "parameters": (),
        }
        return OpenRecording(**(given | changes))

    def open(self, **changes: Any) -> Recording:
        return Recording.open(
            self.request(**changes), self.rings, SystemClock(), self.told.append, "rec"
        )

    def resume(self, **changes: Any) -> Recording:
        return Recording.resume(
            self.request(**changes),
            "film",
            self.rings,
            SystemClock(),
            self.told.append,
            "rec",
        )

    def kill(self, recording: Recording) -> None:
        """End a recorder as SIGKILL does: no file is finished, no journal removed."""
        for track in recording.tracks:
            track.film.leave()
            self.place = track._reader._place
            self.source.ring.bury_reader(self.place, keep_s=60.0)
        recording._reserve.release()

    def lose(self, frames: int) -> None:
        """Let the ring hold the oldest frames no more."""
        memory, index = self.source.ring._memory, self.place.index
        memory.move_to(index, max(frames, memory.position(index)))

    def acknowledged(self) -> list[int]:
        return [i for batch in self.told for i in range(batch.first, batch.last + 1)]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def follow(recording: Recording, frames: int | None = None) -> None:
    """Store so many frames, or all until the ring ends."""
    (track,) = recording.tracks
    if frames is None:
        track.run(OneLoop())  # type: ignore[arg-type]
        return
    for _frame in range(frames):
        frame = track._reader.next(5.0)
        assert frame is not None
        track._store(frame)


def end(recording: Recording) -> RecordingFinished:
    return recording.finish("done", 5.0, lambda: False)


def test_a_film_goes_on_without_losing_or_doubling_a_frame(bench: Bench) -> None:
    first = bench.open()
    bench.source.put(*range(10))
    follow(first, frames=6)
    bench.kill(first)
    bench.source.put(10, 11)
    bench.source.ring.end()

    again = bench.resume()
    follow(again)
    finished = end(again)

    counts = finished.frames["camera1"]
    assert (counts.received, counts.stored, counts.verified) == (12, 12, 12)
    assert counts.complete
    assert finished.problems == ()
    assert stored_frames(bench.folder / "film.dax") == [*range(12)]
    assert bench.acknowledged() == [*range(12)]
    assert read_acquisition(bench.folder / "film.xml")["state"] == "done"
    assert sorted(path.name for path in bench.folder.iterdir()) == [
        *("film.dax", "film.inf", "film.ome.tiff", "film.ome.zarr", "film.xml")
    ]


def test_frames_the_ring_holds_no_more_are_gaps(bench: Bench) -> None:
    first = bench.open()
    bench.source.put(*range(5))
    follow(first, frames=5)
    bench.kill(first)
    bench.source.put(*range(5, 40))
    bench.lose(11)
    bench.source.ring.end()

    again = bench.resume()
    follow(again)
    counts = end(again).frames["camera1"]

    assert counts.gaps == tuple(range(5, 11))
    assert (counts.stored, counts.verified) == (34, 34)
    assert not counts.complete
    said = read_acquisition(bench.folder / "film.xml")
    assert said["state"] == "error"
    assert said["frames.camera1.gaps"] == "5,6,7,8,9,10"


def test_what_was_stored_but_perhaps_not_told_is_acknowledged(bench: Bench) -> None:
    first = bench.open()
    bench.source.put(0, 1, 3, 4)
    follow(first, frames=4)
    bench.told.clear()
    bench.kill(first)
    bench.source.ring.end()

    again = bench.resume()
    follow(again)
    end(again)

    assert [(batch.first, batch.last) for batch in bench.told] == [(0, 1), (3, 4)]


def test_a_recorder_killed_before_the_first_frame_begins_again(bench: Bench) -> None:
    bench.kill(bench.open())
    bench.source.put(0, 1)
    bench.source.ring.end()

    again = bench.resume()
    follow(again)

    assert end(again).frames["camera1"].stored == 2


def test_a_resumed_film_without_a_frame_leaves_nothing(bench: Bench) -> None:
    bench.kill(bench.open())
    bench.source.ring.end()

    again = bench.resume()
    follow(again)
    end(again)

    assert files_in(bench.folder) == []


def test_the_sidecar_says_running_as_soon_as_the_film_goes_on(bench: Bench) -> None:
    first = bench.open()
    bench.source.put(0)
    follow(first, frames=1)
    (bench.folder / "film.xml").unlink()
    bench.kill(first)

    again = bench.resume()

    said = read_acquisition(bench.folder / "film.xml")
    assert (said["state"], said["number_frames"]) == ("running", "1")
    bench.source.ring.end()
    follow(again)
    end(again)


def test_the_film_of_another_run_is_not_continued(bench: Bench) -> None:
    first = bench.open()
    bench.source.put(0)
    follow(first, frames=1)
    bench.kill(first)

    with pytest.raises(StorageError, match=f"is of run {RUN_ID}, not run2"):
        bench.resume(run_id="run2")

    assert bench.source.ring.readers == ()
    assert [r.state for r in recover(bench.folder)] == [*["complete"] * 3, "repaired"]


def test_the_film_of_a_living_recorder_is_not_continued(bench: Bench) -> None:
    first = bench.open()
    bench.source.put(0)
    follow(first, frames=1)
    first.tracks[0]._reader.close()

    with pytest.raises(JournalInUse):
        bench.resume()

    bench.kill(first)


def test_a_journal_stays_until_the_final_sidecar_is_there(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = bench.open()
    bench.source.put(0, 1)
    bench.source.ring.end()
    follow(recording)
    assert "film.journal" in files_in(bench.folder)

    def refuse(path: Path, sidecar: object) -> None:
        raise StorageError(f"{path}: could not write it")

    monkeypatch.setattr("modules.recorder.recording.write_sidecar", refuse)
    finished = end(recording)
    assert "could not write it" in finished.problems[0].text
    assert "film.journal" in files_in(bench.folder)
    recording.tracks[0].film.leave()
    reports = list(recover(bench.folder))

    assert [report.state for report in reports] == [*["complete"] * 3, "repaired"]
    assert read_acquisition(bench.folder / "film.xml")["number_frames"] == "2"


def test_a_name_with_a_journal_is_taken(bench: Bench) -> None:
    (bench.folder / "film.journal").write_bytes(b"of an older film")

    with pytest.raises(Exception, match=r"film\.journal exists"):
        bench.open()

    assert files_in(bench.folder) == ["film.journal"]


def test_room_is_asked_for_as_each_format_needs_it(bench: Bench) -> None:
    """Small frames take whole blocks in a folder of files."""
    frames = 10**9
    assert frames * SIZE_PX**2 * 2 < np.iinfo(np.int64).max
    armed = msgspec.structs.replace(bench.source.armed, frames=frames)
    with pytest.raises(BadInput, match=r"the run needs 12288000\.0 MB"):
        bench.open(formats=("ome-zarr",), frames=frames, cameras=(armed,))
