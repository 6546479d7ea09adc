"""R94: spots found, followed, and those chosen stimulated, in the simulated world."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hal.acquisition import RunState, RunStatus, load_plan
from hal.messages import MaskProjected
from hal.testing import running_hal
from modules.simulation.world import layout

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
FRAMES = 6
CHOSEN = (0, 1)


class Done:
    """What a run of the example has left."""

    def __init__(
        self, status: RunStatus, told: tuple[MaskProjected, ...], state: bytes
    ) -> None:
        self.status = status
        self.told = told
        projected = np.frombuffer(state[layout.SIZE :], layout.MASKED_EXPOSURE)
        self.masks = [
            np.unpackbits(each["mask"]).reshape(256, 256).astype(bool)
            for each in projected
        ]
        """What the sample got, of the projector's pixels, which are the camera's."""
        (dax,) = [Path(f) for f in status.files if f.endswith(".dax")]
        self.film = np.fromfile(dax, "<u2").reshape(FRAMES, 256, 256).astype(float)
        (table,) = [Path(f) for f in status.files if f.endswith("_spots.csv")]
        self.places: dict[int, dict[int, tuple[float, float]]] = defaultdict(dict)
        """By track and frame: x, y."""
        with table.open() as file:
            for row in csv.DictReader(file):
                at = float(row["x_px"]), float(row["y_px"])
                self.places[int(row["track"])][int(row["frame"])] = at

    def light(self, track: int, frame: int) -> float:
        """Return the light of a spot, from the pixels, where it was found first."""
        x_px, y_px = self.places[track][0]
        y, x = np.ogrid[:256, :256]
        away = np.hypot(x - x_px, y - y_px)
        image = self.film[frame]
        around = np.median(image[(away > 6) & (away < 9)])
        return float((image[away <= 5] - around).sum())


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("smart")
    config, plan = ROOT / "xml_configs/smart.xml", "xml_configs/plans/stimulate.yaml"
    with running_hal(config, log_folder=folder) as hal:
        assert hal.problems == ()
        status = hal.run(folder, load_plan(ROOT / plan)).wait(PATIENCE_S)
        told = hal.probe.heard(MaskProjected)
        (state,) = folder.glob("world-*/sample.state")
        world = state.read_bytes()
    assert status is not None
    assert status.state is RunState.DONE, status
    return Done(status, told, world)


def test_the_run_is_whole(done: Done) -> None:
    assert done.status.background_errors == ()
    assert done.status.frames["camera1"].verified == FRAMES
    assert done.status.n_events_consumed == 2 * FRAMES
    assert done.status.n_frames_received == FRAMES


def test_chosen_spots_get_darker_and_the_others_do_not(done: Done) -> None:
    others = [t for t in done.places if t not in CHOSEN and 0 in done.places[t]]
    assert len(others) >= 2

    left = {t: done.light(t, FRAMES - 1) / done.light(t, 0) for t in (*CHOSEN, *others)}

    assert all(left[track] < 0.3 for track in CHOSEN), left
    assert all(left[track] > 0.8 for track in others), left


def test_the_masks_were_discs_on_the_chosen_spots(done: Done) -> None:
    seen = [
        [done.places[track][frame] for track in CHOSEN if frame in done.places[track]]
        for frame in range(FRAMES)
    ]
    lit = [places for places in seen if places]
    assert len(seen[0]) == 2

    # Nothing is projected any more when the last one cannot be seen.
    assert len(done.told) == len(done.masks) == len(lit)
    for told, mask, places in zip(done.told, done.masks, lit, strict=True):
        assert told.lit_px == mask.sum()
        assert told.lit_px == pytest.approx(len(places) * disc(5.0), abs=10)
        for x_px, y_px in places:
            assert mask[round(y_px), round(x_px)]
            assert not mask[round(y_px), (round(x_px) + 7) % 256]


def disc(radius_px: float) -> int:
    """Return how many pixels are within a disc."""
    y, x = np.ogrid[-10:11, -10:11]
    found: Any = np.hypot(x, y) <= radius_px
    return int(found.sum())


def test_a_spot_keeps_its_track(done: Done) -> None:
    for track, places in done.places.items():
        if track in CHOSEN:
            continue
        x_px, y_px = zip(*places.values(), strict=True)
        assert np.ptp(x_px) < 1.0
        assert np.ptp(y_px) < 1.0
    assert max(done.places) < 20
