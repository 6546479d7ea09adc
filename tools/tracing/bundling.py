"""`bundle`: HAL's own post-mortem bundle, made of what is on the disk."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TextIO

_ROOT = Path(__file__).resolve().parents[2]


def bundle(
    run_dir: str, out_path: str, run: str, logs: str | None, out: TextIO, err: TextIO
) -> int:
    """Write the bundle of a run; return 0, or 2 where there is nothing to bundle.

    Raises:
        OSError: It cannot be written.
    """
    if str(_ROOT) not in sys.path:
        sys.path.append(str(_ROOT))
    try:
        from hal.base import HalError, SystemClock
        from hal.postmortem import find_case, write_bundle
    except ImportError as exc:
        err.write(f"hal_trace: bundle needs HAL, which cannot be imported: {exc}\n")
        return 2
    try:
        case = find_case(Path(run_dir), run, None if logs is None else Path(logs))
    except HalError as exc:
        err.write(f"hal_trace: {exc}\n")
        return 2
    made = write_bundle(case, Path(out_path), SystemClock())
    out.write(f"{made.headline}\n{made.path}\n")
    for note in made.notes:
        err.write(f"hal_trace: left out: {note}\n")
    return 0
