"""Runs of the same plans by HAL, by pymmcore-plus, and by a bare loop."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.pairing import Scale, paired
from bench.report import Line
from hal.acquisition import ImageEvent, Plan, RunState, RunStatus
from hal.acquisition.plans import explicit, from_useq
from hal.testing import RunningHal, running_hal

if TYPE_CHECKING:
    from pymmcore_plus import CMMCorePlus
    from useq import MDASequence

_SIZE_PX: Final = 64
_EXPOSURE_S: Final = 0.001
_PATIENCE_S: Final = 300.0
_SHM: Final = Path("/dev/shm")

_MICROMANAGER: Final = """<hal name="Bench" directory="{folder}">
  <module name="camera1" class="cameras.camera" isolation="none">
    <driver class="micromanager.camera" config="demo" exposure_s="{exposure_s}"
            properties="OnCameraCCDXSize={size};OnCameraCCDYSize={size};PixelType=16bit"/>
  </module>
  <module name="stage" class="stages.xy_stage" isolation="none">
    <driver class="micromanager.xy_stage" config="demo" x_low_um="-10000"
            x_high_um="10000" y_low_um="-10000" y_high_um="10000"/>
  </module>
  <module name="z" class="stages.z_stage" isolation="none">
    <driver class="micromanager.z_stage" config="demo" z_low_um="-300" z_high_um="300"/>
  </module>
</hal>
"""
_SIMULATED: Final = """<hal name="Bench" directory="{folder}">
  <module name="camera1" class="cameras.camera">
    <driver class="simulation.camera" width_px="{size}" height_px="{size}"
            exposure_s="1e-6" max_fps="1e6"/>
  </module>
  <module name="z" class="stages.z_stage">
    <driver class="simulation.z_stage" speed_um_s="1e9" z_low_um="-9" z_high_um="9"/>
  </module>
</hal>
"""


def sequences(scale: Scale) -> dict[str, tuple[MDASequence, bool]]:
    """Return sequences by name, and whether the camera may take them at one go."""
    from useq import MDASequence

    many, few = scale.pick(400, 5), scale.pick(40, 3)
    places = [(3.0 * n, 2.0 * n, 0.0) for n in range(few)]
    stack = {"range": few - 1, "step": 1}
    said: dict[str, tuple[dict[str, object], bool]] = {
        "frames": ({"time_plan": {"interval": 0, "loops": many}}, True),
        "z stack": ({"stage_positions": places[:1], "z_plan": stack}, False),
        "positions": ({"stage_positions": places}, False),
    }
    return {
        name: (MDASequence.model_validate(fields), at_one_go)
        for name, (fields, at_one_go) in said.items()
    }


def measure(scale: Scale) -> Iterator[Line]:
    """Compare HAL with MDARunner and with snap and get, on Micro-Manager's camera."""
    core = _core()
    try:
        with _hal(_MICROMANAGER) as (hal, folder):
            for name, (sequence, at_one_go) in sequences(scale).items():
                yield from _compare(
                    name, sequence, at_one_go, core, hal, folder, scale.rounds
                )
    finally:
        core.unloadAllDevices()


def _compare(
    name: str,
    sequence: MDASequence,
    at_one_go: bool,
    core: CMMCorePlus,
    hal: RunningHal,
    folder: Path,
    rounds: int,
) -> Iterator[Line]:
    plan = from_useq(sequence)
    n_events = plan.n_events or 1

    def hal_s() -> float:
        return _run(hal, folder, plan) / n_events

    def runner_s() -> float:
        began_s = time.perf_counter()
        core.mda.run(sequence)
        return (time.perf_counter() - began_s) / n_events

    def bare_s() -> float:
        began_s = time.perf_counter()
        for _ in range(n_events):
            core.snapImage()
            core.getImage()
        return (time.perf_counter() - began_s) / n_events

    at_most = 1.0 if at_one_go else 1.1
    for of, other_s, bound in (
        ("MDARunner", runner_s, at_most),
        ("snap and get", bare_s, None),
    ):
        found = paired(hal_s, other_s, rounds)
        yield Line(
            "micromanager",
            f"{name}: time per event",
            found.ratio,
            of,
            at_most=bound,
            stated=f"{1e3 * found.measured:.2f} ms, {of} {1e3 * found.baseline:.2f} ms",
        )


def measure_rate(scale: Scale) -> Iterator[Line]:
    """State how many events a second HAL does on a rig that takes no time."""
    n_events = scale.pick(3000, 20)
    heights = [float(n % 2) for n in range(n_events)]
    with _hal(_SIMULATED) as (hal, folder):
        plan = explicit(
            ImageEvent(index={"t": n}, z_um=z_um) for n, z_um in enumerate(heights)
        )
        best_s = min(_run(hal, folder, plan) for _ in range(scale.rounds))
    rate = n_events / best_s
    yield Line(
        "simulated",
        "events a second, each with a move and a frame",
        rate / 1000.0,
        "1000 a second",
        at_least=1.0,
        stated=f"{rate:.0f} events/s",
    )


def _core() -> CMMCorePlus:
    from pymmcore_plus import CMMCorePlus

    core = CMMCorePlus()
    core.loadSystemConfiguration()
    camera = core.getCameraDevice()
    for axis in "XY":
        core.setProperty(camera, f"OnCameraCCD{axis}Size", _SIZE_PX)
    core.setProperty(camera, "PixelType", "16bit")
    core.setExposure(1000 * _EXPOSURE_S)
    return core


@contextmanager
def _hal(config: str) -> Iterator[tuple[RunningHal, Path]]:
    place = _SHM if _SHM.is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as name:
        folder = Path(name)
        path = folder / "bench.xml"
        path.write_text(
            config.format(folder=folder, size=_SIZE_PX, exposure_s=_EXPOSURE_S)
        )
        with running_hal(path, log_folder=folder / "logs") as hal:
            if hal.problems:
                raise RuntimeError(str(hal.problems[0]))
            yield hal, folder


def _run(hal: RunningHal, folder: Path, plan: Plan) -> float:
    """Return how long the events took; storing and verifying is another matter."""
    times_s: dict[str, float] = {}

    def note(status: RunStatus) -> None:
        times_s.setdefault(status.step, time.perf_counter())

    run = hal.run(folder, plan)
    run.statusChanged.connect(note)
    note(run.status)
    status = run.wait(_PATIENCE_S)
    if status is None or status.state is not RunState.DONE:
        raise RuntimeError(f"a run of the benchmark failed: {status}")
    for file in status.files:
        Path(file).unlink(missing_ok=True)
    began_s = min(
        times_s[step] for step in ("opening files", "recording") if step in times_s
    )
    return times_s["storing"] - began_s
