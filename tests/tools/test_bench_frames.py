"""`tools/bench_frames.py` measures every budget of the data plane; how much is its own.

Whether a budget is kept on a busy machine is no matter of a test.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bench.elsewhere import following
from bench.films import BUDGETS
from bench.marking_camera import MarkingCamera
from bench.raw_files import raw_write_s
from bench.rings import put

from hal.frames import FrameRing
from hal.storage import WRITERS

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "bench_frames.py"


def run(*arguments: str | Path, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, SCRIPT, *map(str, arguments)],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


@pytest.mark.slow
def test_a_quick_run_measures_every_size_format_and_place(tmp_path: Path) -> None:
    folders = ("--memory", tmp_path, "--disk", tmp_path)
    (text,) = run("--quick", "--json", *folders).splitlines()

    found = json.loads(text)
    assert (found["bench"], found["quick"], found["rounds"]) == ("frames", True, 1)
    lines = {(line["part"], line["what"]): line for line in found["lines"]}
    for name in WRITERS:
        for size in ("2048x2048", "512x512"):
            for cameras in ("1 camera", "2 cameras", "4 cameras"):
                what = f"{name}, {size}, {cameras}"
                in_memory = lines.pop(("memory", what))
                is_due = (size, cameras) == ("2048x2048", "1 camera")
                budget = f">= {BUDGETS[name]:g}" if is_due else "-"
                assert in_memory["budget"] == budget
                assert in_memory["of"] == "raw os.write"
                for word in ("fps", "MB/s", "CPU s/GB", "raw", "memcpy"):
                    assert word in in_memory["stated"]
                assert lines.pop(("memory", f"{what}, shown"))["ratio"] > 0
                assert lines.pop(("disk", what))["ratio"] > 0
        paced = lines.pop(("paced", f"{name}, 512x512 at 100 fps, shown"))
        assert paced["budget"] == "<= 1.02"
        assert "of 60 frames lost" in paced["stated"]
    for size in ("2048x2048", "512x512"):
        for where in ("this", "another"):
            copied = f"producer's copy, {size}, reader in {where} process"
            taken = f"frame to its reader, {size}, reader in {where} process"
            line = lines.pop(("ring", copied))
            assert line["budget"] == (">= 0.7" if where == "another" else "-")
            others = (line, lines.pop(("latency", taken)))
            assert all(line["ratio"] > 0 for line in others)
    assert lines == {}
    assert list(tmp_path.iterdir()) == []


def test_every_format_has_its_budget() -> None:
    assert set(WRITERS) <= set(BUDGETS)


@pytest.mark.parametrize("arguments", [["--only", "memori"], ["--rounds", "0"]])
def test_what_cannot_be_measured_is_refused(arguments: list[str]) -> None:
    assert "bench_frames.py: error: argument" in run(*arguments, code=2)


def test_the_help_tells_of_folders_too() -> None:
    shown = run("--help")

    assert "--memory DIR" in shown
    assert "--disk DIR" in shown
    assert "--rounds N" in shown


def test_the_raw_loop_leaves_nothing_behind(tmp_path: Path) -> None:
    assert raw_write_s(tmp_path, 8, 2, 20) > 0.0
    assert list(tmp_path.iterdir()) == []


def test_the_camera_of_the_benchmark_gives_whole_frames_with_their_index() -> None:
    camera = MarkingCamera(side_px=8)
    camera.open()
    camera.start(3)
    slots = np.zeros((2, 8, 8), np.uint16)

    stamps = [camera.read_into(slots[n % 2], 0.1) for n in range(3)]

    assert [stamp.counter for stamp in stamps if stamp is not None] == [0, 1, 2]
    assert slots[:, 0, 0].tolist() == [2, 1]
    assert (slots[0, 1:] == slots[1, 1:]).all()
    assert slots[0, 1:].any()
    assert camera.read_into(slots[1], 0.01) is None
    camera.close()


def test_a_paced_camera_that_nobody_fetches_from_loses_frames_and_counts_them() -> None:
    camera = MarkingCamera(side_px=8, fps=1000.0)
    camera.open()
    camera.start(None)
    slot = np.zeros((8, 8), np.uint16)
    counters = []
    while not counters or counters[-1] < 200:
        camera._halt.wait(0.05)  # fetched much too slowly
        stamp = camera.read_into(slot, 0.1)
        assert stamp is not None
        assert stamp.counter is not None
        counters.append(stamp.counter)
    camera.close()

    assert counters == sorted(set(counters))
    assert counters[-1] - counters[0] >= len(counters)


def test_a_follower_in_this_process_times_every_frame() -> None:
    frame = np.ones((8, 8), np.uint16)
    ring = FrameRing("bench", frame.shape, frame.dtype, 4)

    with following(ring, in_process=True) as follower:
        for index in range(9):
            put(ring, frame, index)
        ring.end()

    assert len(follower.latencies_s) == 9
    assert all(0.0 <= seconds < 5.0 for seconds in follower.latencies_s)
