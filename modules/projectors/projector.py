"""The projector module."""

from __future__ import annotations

from typing import Any, ClassVar

from hal.devices import Projector
from hal.kernel import DeviceModule, handles
from hal.messages import MaskProjected, ProjectMask


class ProjectorModule(DeviceModule[Projector]):
    """Owns one projector and speaks for it."""

    role = "projector"
    driver_kind: ClassVar[type[Any]] = Projector

    @handles(ProjectMask)
    def on_project(self, msg: ProjectMask) -> None:
        """Light what a mask in pixels of a camera says; completes when all is dark."""
        projector, packed = self.device, msg.mask

        def project() -> int:
            mask = projector.from_sensor(
                packed.unpack(), packed.roi_x_px, packed.roi_y_px, packed.binning
            )
            projector.project(mask, msg.duration_s)
            return int(mask.sum())

        self.run_job(
            project,
            deadline_s=projector.time_to_project_s(msg.duration_s) + self.deadline_s,
            what="project",
            then=lambda lit_px: self._projected(lit_px, msg.duration_s),
        )

    def _projected(self, lit_px: int, duration_s: float) -> int:
        self.send(MaskProjected(self.name, lit_px, duration_s))
        return lit_px
