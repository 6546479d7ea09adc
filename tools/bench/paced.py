"""A camera with a clock of its own, with and without somebody who looks at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.films import Shot, filming, shoot
from bench.pairing import Scale, paired
from bench.report import Line
from hal.acquisition import RunState
from hal.storage import WRITERS

FPS: Final = 100.0
BUDGET: Final = 1.02


def measure(folder: Path, scale: Scale) -> Iterator[Line]:
    """Yield whether a display makes films longer, or loses frames of them.

    The camera has room for 16 frames, 160 ms: whoever is later than that loses some.
    """
    side_px = scale.pick(2048, 512)
    frames = scale.pick(200, 20)
    with filming(side_px, 1, FPS) as hal:
        for name in WRITERS:
            shots: list[Shot] = []

            def film(
                *, is_shown: bool, name: str = name, shots: list[Shot] = shots
            ) -> float:
                shot = shoot(hal, folder, frames, name, is_shown=is_shown)
                shots.append(shot)
                return shot.s

            found = paired(
                lambda film=film: film(is_shown=True),  # type: ignore[misc]
                lambda film=film: film(is_shown=False),  # type: ignore[misc]
                max(1, scale.rounds // 2),
            )
            lost = sum(shot.lost for shot in shots)
            whole = all(shot.status.state is RunState.DONE for shot in shots)
            yield Line(
                "paced",
                f"{name}, {side_px}x{side_px} at {FPS:g} fps, shown",
                found.ratio if whole else None,
                "not shown",
                at_most=BUDGET,
                stated=f"{found.measured:.3f} s, not shown {found.baseline:.3f} s, "
                f"{lost} of {frames * len(shots)} frames lost",
            )
