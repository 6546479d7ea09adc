"""What `<world>` may say: the schema of a simulated world."""

from __future__ import annotations

from pathlib import Path

from hal.base import Choice, Float, Int, ParameterError
from hal.devices import SimulatedWorld
from modules.simulation.world.state_file import StateFile


class SimWorld(SimulatedWorld):
    """A sample and the optics it is seen through.

    Runs on: as `SimulatedWorld`.
    """

    seed = Int(1, low=0, high=2**63 - 1, help="What all its chance comes from.")
    sample = Choice(
        "cells",
        choices=("cells", "molecules", "beads", "spots", "empty"),
        help="What is on the coverslip: stained cells, blinking molecules on lines and "
        "in clusters, bright beads in one plane, spots there that bleach, or nothing.",
    )
    numerical_aperture = Float(1.4, low=0.05, high=1.7, help="Of the objective.")
    immersion_index = Float(
        1.515, low=1.0, high=2.0, help="Refractive index of the objective's medium."
    )
    field_um = Float(
        220.0,
        unit="um",
        low=1.0,
        high=1000.0,
        help="Side of the square that is illuminated, in the sample.",
    )
    background_per_s = Float(
        1000.0,
        unit="1/s",
        low=0.0,
        high=1e7,
        help="Photons each um2 sends besides the sample, per second and mW of light.",
    )
    bleaching = Float(
        1.0, low=0.0, high=1e6, help="How fast dyes bleach; 0 never, 1 as usual."
    )
    drift_nm_s = Float(
        0.0, unit="nm/s", low=0.0, high=1e5, help="How fast the sample drifts."
    )

    def make_state(self, path: Path) -> None:
        wanted, found = self.values(), StateFile.create(path, self.values()).parameters
        if found != wanted:
            names = sorted(
                name
                for name in wanted.keys() | found.keys()
                if wanted.get(name) != found.get(name)
            )
            raise ParameterError(
                f"the state in {path} is of another world, with "
                + ", ".join(f"{name}={found.get(name)!r}" for name in names)
                + ": expected the same parameters as when it was made; another file, "
                "or none, begins a new sample"
            )
