from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from hal.base import BadInput, DiskFull, OutputExists, StorageError
from hal.storage import (
    Reservation,
    check_name,
    film_stems,
    next_number,
    read_sidecar,
    reserve_film,
)
from hal.storage.names import EMPTY_SIDECAR

ONE = {"camera1": ""}
SUFFIXES = (".dax", ".inf")


def test_films_are_numbered_from_1(tmp_path: Path) -> None:
    names = [reserve_film(tmp_path, ONE, SUFFIXES).names for _ in range(3)]

    assert [name.base for name in names] == ["movie_0001", "movie_0002", "movie_0003"]
    assert names[0].base_path("camera1") == tmp_path / "movie_0001"
    assert names[0].sidecar == tmp_path / "movie_0001.xml"


@pytest.mark.parametrize(
    "taken",
    ["movie_0007.dax", "movie_0007_left.ome.tiff", "movie_0007.ome.zarr", "movie_0007"],
)
def test_the_next_number_is_above_any_file_of_that_name(
    taken: str, tmp_path: Path
) -> None:
    (tmp_path / taken).write_bytes(b"")
    (tmp_path / "movie_0003.xml").write_bytes(b"")
    for other in (
        "movie_x.dax",
        "movies_0099.dax",
        "movie_99.dax",
        "my_movie_0050.xml",
    ):
        (tmp_path / other).write_bytes(b"")

    assert next_number(tmp_path, "movie") == 8


def test_numbers_go_on_after_four_digits(tmp_path: Path) -> None:
    (tmp_path / "movie_9999.dax").write_bytes(b"")

    assert reserve_film(tmp_path, ONE, SUFFIXES).names.base == "movie_10000"


def test_many_at_once_never_get_the_same_number(tmp_path: Path) -> None:
    got: list[str] = []

    def take() -> None:
        got.extend(reserve_film(tmp_path, ONE, SUFFIXES).names.base for _ in range(20))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(got) == [f"movie_{number:04d}" for number in range(1, 81)]


def test_a_name_lost_to_another_process_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the reservation somebody else takes the number."""
    numbers = iter([1, 1, 2])
    monkeypatch.setattr("hal.storage.names.next_number", lambda *_: next(numbers))

    bases = [reserve_film(tmp_path, ONE, SUFFIXES).names.base for _ in range(2)]

    assert bases == ["movie_0001", "movie_0002"]


def test_a_folder_that_never_yields_a_number_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "movie_0001.xml").write_bytes(b"")
    monkeypatch.setattr("hal.storage.names.next_number", lambda *_: 1)

    with pytest.raises(StorageError, match="no free number for 'movie'"):
        reserve_film(tmp_path, ONE, SUFFIXES)


def test_an_explicit_name_is_never_changed(tmp_path: Path) -> None:
    film = reserve_film(tmp_path, ONE, SUFFIXES, name="Day 1.sample")

    assert film.names.base == "Day 1.sample"
    assert film.names.sidecar == tmp_path / "Day 1.sample.xml"
    with pytest.raises(OutputExists, match=r"Day 1\.sample\.xml exists"):
        reserve_film(tmp_path, ONE, SUFFIXES, name="Day 1.sample")


def test_a_film_whose_data_exist_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "scan_right.inf").write_bytes(b"old")

    with pytest.raises(OutputExists, match=r"scan_right\.inf exists"):
        reserve_film(tmp_path, {"left": "", "right": ""}, SUFFIXES, name="scan")

    assert [path.name for path in tmp_path.iterdir()] == ["scan_right.inf"]


def test_overwriting_keeps_the_old_sidecar_for_now(tmp_path: Path) -> None:
    (tmp_path / "scan.xml").write_bytes(b"<settings><old /></settings>")

    film = reserve_film(tmp_path, ONE, SUFFIXES, name="scan", overwrite=True)
    film.release()

    assert "old" in read_sidecar(tmp_path / "scan.xml")


def test_a_released_name_leaves_nothing(tmp_path: Path) -> None:
    film = reserve_film(tmp_path, ONE, SUFFIXES)
    film.release()
    film.release()

    assert list(tmp_path.iterdir()) == []


def test_a_name_with_a_real_sidecar_is_kept(tmp_path: Path) -> None:
    film = reserve_film(tmp_path, ONE, SUFFIXES)
    film.names.sidecar.write_bytes(b"<settings><stage /></settings>")

    film.release()

    assert film.names.sidecar.exists()


def test_the_placeholder_is_a_readable_settings_file(tmp_path: Path) -> None:
    film = reserve_film(tmp_path, ONE, SUFFIXES)

    assert film.names.sidecar.read_bytes() == EMPTY_SIDECAR
    assert read_sidecar(film.names.sidecar) == {}


def test_a_disk_without_room_for_the_name_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(DiskFull, match=r"movie_0001\.xml"):
        reserve_film(tmp_path, ONE, SUFFIXES)


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file"):
        reserve_film(tmp_path / "missing", ONE, SUFFIXES)
    with pytest.raises(StorageError, match="No such file"):
        reserve_film(tmp_path / "missing", ONE, SUFFIXES, name="scan")


def test_one_camera_needs_no_extension() -> None:
    assert film_stems("m", {"camera1": ""}) == {"camera1": "m"}
    assert film_stems("m", {"camera1": "cam"}) == {"camera1": "m_cam"}


def test_several_cameras_are_told_apart_by_their_names() -> None:
    stems = film_stems("m", {"camera1": "", "camera2": "right"})

    assert stems == {"camera1": "m_camera1", "camera2": "m_right"}


def test_a_feed_makes_one_camera_no_second_one() -> None:
    feed = {"mean": "mean"}
    assert film_stems("m", {"camera1": "", **feed}, feeds=feed) == {
        "camera1": "m",
        "mean": "m_mean",
    }
    two = film_stems("m", {"camera1": "", "camera2": "", **feed}, feeds=feed)
    assert list(two.values()) == ["m_camera1", "m_camera2", "m_mean"]
    assert film_stems("m", {"mean": ""}, feeds=feed) == {"mean": "m_mean"}


def test_a_numbered_film_with_a_feed_is_named_like_one_without(tmp_path: Path) -> None:
    extensions = {"camera1": "", "mean": "mean"}
    for name, base in ((None, "movie_0001"), ("scan", "scan")):
        names = reserve_film(
            tmp_path, extensions, SUFFIXES, feeds=("mean",), name=name
        ).names
        assert names.stems == {"camera1": base, "mean": f"{base}_mean"}


def test_two_cameras_that_would_share_a_file_are_refused() -> None:
    with pytest.raises(BadInput, match="'camera1' and 'camera2' would both write"):
        film_stems("m", {"camera1": "Side", "camera2": "side"})


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "empty"),
        ("  ", "empty"),
        (".", "ends with a dot"),
        ("..", "ends with a dot"),
        ("a/b", "'/' is not allowed"),
        ("a\\b", "not allowed"),
        ("C:movie", "':' is not allowed"),
        ("what?", "not allowed"),
        ("line\nbreak", "not allowed"),
        (" movie", "begins or ends with a space"),
        ("nul", "reserves"),
        ("COM1.dax", "reserves"),
        ("µ" * 101, "longer than 200 bytes"),
    ],
)
def test_a_name_that_some_system_refuses_is_refused_with_the_reason(
    name: str, why: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=why):
        reserve_film(tmp_path, ONE, SUFFIXES, name=name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["movie", "Größe µm", "a.b", "-x", "..a", "con1"])
def test_other_names_are_taken_as_they_are(name: str) -> None:
    assert check_name(name) == name


def test_a_reservation_of_somebody_else_is_not_released(tmp_path: Path) -> None:
    mine = reserve_film(tmp_path, ONE, SUFFIXES, name="scan")
    Reservation(mine.names, placed=False).release()

    assert mine.names.sidecar.exists()
