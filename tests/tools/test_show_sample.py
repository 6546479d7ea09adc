"""The pictures are pictures, and the speed is told."""

from __future__ import annotations

import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import show_sample
from sample import speed
from sample.png import contrast, write_png

SCRIPT = Path(show_sample.__file__)


def pixels(path: Path) -> np.ndarray:
    """Return the pixels of a PNG file as this project writes them, read by hand."""
    data, at = path.read_bytes(), 8
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks = {}
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        check = int.from_bytes(data[at + 8 + length : at + 12 + length], "big")
        assert check == zlib.crc32(kind + content)
        chunks[kind], at = content, at + 12 + length
    width, height = (int.from_bytes(chunks[b"IHDR"][n : n + 4], "big") for n in (0, 4))
    channels = {0: 1, 2: 3}[chunks[b"IHDR"][9]]
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8)
    return lines.reshape(height, 1 + width * channels)[:, 1:].reshape(
        height, width, channels
    )


@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 3), (1, 1)])
def test_a_picture_is_read_back_as_it_was(shape: tuple[int, ...], tmp_path: Path):
    picture = np.arange(np.prod(shape)).reshape(shape).astype(np.uint8)

    write_png(tmp_path / "a.png", picture)

    assert np.array_equal(pixels(tmp_path / "a.png").reshape(shape), picture)


def test_contrast_goes_from_black_to_white():
    grey = contrast(np.array([[-5.0, 0.0, 25.0, 100.0, 900.0]]), 0.0, 100.0)

    assert grey.tolist() == [[0, 0, 128, 255, 255]]
    assert contrast(np.zeros((1, 1)), 0.0, 0.0).tolist() == [[0]]


def test_it_draws_the_sample_and_a_film(tmp_path: Path):
    done = subprocess.run(
        [
            *(sys.executable, str(SCRIPT), "--size", "64", "--frames", "3"),
            *("--output", "pictures"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    names = [str(Path("pictures") / name) for name in ("sample.png", "film.png")]
    assert done.stdout.splitlines() == names
    sample, film = (pixels(tmp_path / name) for name in names)
    assert sample.shape == (64, 64, 3)
    assert film.shape == (64, 3 * 64 + 2 * 4, 1)
    # In the middle of the sample is a cell, and it has colours.
    assert sample.max() == 255
    assert np.ptp(sample.mean(axis=(0, 1))) > 1.0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pictures"]


def test_the_same_seed_draws_the_same_picture(tmp_path: Path):
    for name, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        arguments = ["--sample", "molecules", "--size", "48", "--frames", "2"]
        folder = ["--output", str(tmp_path / name), "--seed", seed]
        assert show_sample.main([*arguments, *folder]) == 0

    a, b, c = (pixels(tmp_path / name / "film.png") for name in "abc")
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


@pytest.mark.parametrize("wrong", [["--size", "0"], ["--seed", "-1"], ["--what"]])
def test_wrong_arguments_are_told(wrong: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        show_sample.main(wrong)

    assert caught.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "taken").touch()

    assert show_sample.main(["--output", str(tmp_path / "taken")]) == 2
    assert "taken" in capsys.readouterr().err


def test_the_speed_of_each_case_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(
        speed, "CASES", (("molecules", 32, True, "few"), ("cells", 32, False, "one"))
    )
    monkeypatch.setattr(speed, "_TRIES", 1)

    assert show_sample.main(["--speed"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "32 x 32 px, few",
        "32 x 32 px, one",
    ]
    assert all(" fps (from " in line for line in lines)
