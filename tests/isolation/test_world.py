"""A driver in a process of its own lives in the same simulated world as the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hal.isolation import Gateway
from hal.messages import MoveStage
from hal.testing import RunningHal, running_hal

CONFIG = """<hal name="Test" directory="{folder}">
  <world name="sample" seed="3" sample="beads" bleaching="0"/>
  <module name="camera1" class="cameras.camera">
    <driver class="simulation.camera" world="sample" width_px="256" height_px="256"
            exposure_s="0.05" index_pixels="false"/>
  </module>
  <module name="stage" class="stages.xy_stage" isolation="process">
    <driver class="simulation.xy_stage" world="sample" speed_um_s="1e6"/>
  </module>
  <module name="lamp" class="light_sources.light_source">
    <driver class="simulation.led" world="sample" wavelength_nm="510"
            bandwidth_nm="320" max_power_mw="100" lit_at_start_mw="40"/>
  </module>
</hal>
"""


def frame_of(hal: RunningHal, folder: Path, name: str) -> np.ndarray:
    status = hal.film(folder, frames=1, name=name).wait(20.0)
    assert status is not None
    assert status.frames["camera1"].verified == 1, status
    return np.fromfile(folder / f"{name}.dax", "<u2").reshape(256, 256).astype(float)


def test_the_camera_sees_where_a_stage_in_another_process_stands(
    tmp_path: Path,
) -> None:
    config = tmp_path / "config.xml"
    config.write_text(CONFIG.format(folder=tmp_path))
    with running_hal(config) as hal:
        assert isinstance(hal.system.module("stage"), Gateway)
        before = frame_of(hal, tmp_path, "before")
        hal.ask(MoveStage(x_um=1.0, y_um=0.0))
        after = frame_of(hal, tmp_path, "after")

    # The sample moves with the stage: 1 um is ten pixels of 0.1 um to the left.
    moved = np.corrcoef(before[:, 12:-12].ravel(), after[:, 2:-22].ravel())[0, 1]
    stayed = np.corrcoef(before[:, 12:-12].ravel(), after[:, 12:-12].ravel())[0, 1]
    assert moved > stayed + 0.2, (moved, stayed)
