from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hal.base import BadInput, DiskFull, StorageError
from hal.storage import SpaceReserve, check_output, film_bytes, free_bytes
from tests.storage.test_crash import environment, small_disk_command
from tests.system.disks import mounted

CHECK = """
import sys
from pathlib import Path
from hal.base import BadInput
from hal.storage import check_output
try:
    check_output(Path(sys.argv[1]), int(sys.argv[2]))
except BadInput as exc:
    print(exc.text)
print(sorted(path.name for path in Path(sys.argv[1]).parent.iterdir()))
"""


def test_a_missing_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    output = check_output(tmp_path / "a" / "b", 1000)

    assert output.path.is_dir()
    assert list(output.path.iterdir()) == []


def test_an_existing_folder_is_accepted_and_kept(tmp_path: Path) -> None:
    check_output(tmp_path, 0).undo()

    assert tmp_path.is_dir()


def test_undo_removes_what_was_made_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    output = check_output(tmp_path / "a" / "b" / "c", 0)

    output.undo()
    output.undo()

    assert list((tmp_path / "a").iterdir()) == []


def test_undo_keeps_a_folder_that_holds_something(tmp_path: Path) -> None:
    output = check_output(tmp_path / "a" / "b", 0)
    (tmp_path / "a" / "other.txt").write_text("mine")

    output.undo()

    assert [path.name for path in (tmp_path / "a").iterdir()] == ["other.txt"]


def test_a_path_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    for below in ("file", "file/a", "file/a/b"):
        with pytest.raises(BadInput, match="file is a file, not a folder"):
            check_output(tmp_path / below, 0)


def test_a_name_the_system_refuses_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be made: File name too long"):
        check_output(tmp_path / "a" / ("x" * 300), 0)

    assert list(tmp_path.iterdir()) == []


def test_too_little_space_tells_both_numbers_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    needed = shutil.disk_usage(tmp_path).total * 2

    with pytest.raises(BadInput) as caught:
        check_output(tmp_path / "a" / "b", needed)

    assert f"needs {needed / 1e6:.1f} MB" in str(caught.value)
    assert "MB free" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_the_last_megabytes_are_not_promised_to_a_run(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"16\.8 MB to spare"):
        check_output(tmp_path, shutil.disk_usage(tmp_path).free)


def test_a_folder_nobody_may_write_to_is_refused() -> None:
    """Not even root may make files here."""
    with pytest.raises(BadInput, match="output folder /sys cannot be written to"):
        check_output(Path("/sys"), 0)


def test_a_read_only_disk_is_refused(tmp_path: Path) -> None:
    command = small_disk_command(tmp_path, "ro")
    target = tmp_path / "a" if command else Path("/sys/a")
    run = subprocess.run(
        [*(command or []), sys.executable, "-c", CHECK, str(target), "0"],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=60,
    )

    assert run.returncode == 0, run.stderr
    assert f"output folder {target} cannot be made: " in run.stdout
    if command:
        assert "Read-only file system" in run.stdout
        assert run.stdout.endswith("[]\n")


def test_free_space_of_a_folder_that_is_gone_is_an_error(tmp_path: Path) -> None:
    assert free_bytes(tmp_path) > 0
    with pytest.raises(StorageError, match="free space"):
        free_bytes(tmp_path / "gone")


def test_room_that_is_held_has_no_name_and_is_given_back(tmp_path: Path) -> None:
    with mounted(tmp_path, "size=1m") as disk:
        before = free_bytes(disk.outside)
        reserve = SpaceReserve(disk.outside)

        reserve.take(512 * 2**10)

        assert list(disk.outside.iterdir()) == []
        assert before - free_bytes(disk.outside) == 512 * 2**10
        reserve.release()
        reserve.release()
        assert free_bytes(disk.outside) == before


def test_room_that_cannot_be_had_is_a_full_disk_and_nothing_is_held(
    tmp_path: Path,
) -> None:
    with mounted(tmp_path, "size=1m") as disk:
        before = free_bytes(disk.outside)
        reserve = SpaceReserve(disk.outside)

        with pytest.raises(DiskFull, match="no space left to set room aside"):
            reserve.take(2 * 2**20)

        assert free_bytes(disk.outside) == before
    with pytest.raises(StorageError, match="No such file or directory"):
        SpaceReserve(tmp_path / "missing").take(1)


def test_the_size_of_a_film() -> None:
    assert film_bytes((2048, 2048), "uint16", 10) == 2048 * 2048 * 2 * 10
