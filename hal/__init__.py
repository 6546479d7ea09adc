"""HAL: a hardware control system for microscopes and laboratory instruments."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hal.scripting import Scope

__version__ = "0.1.0"


def open(
    config: str | Path,
    *,
    overrides: Iterable[str] = (),
    settings: str | Path | None = None,
    simulation: bool = False,
    output: str | Path | None = None,
    log_dir: str | Path | None = None,
    name: str | None = None,
) -> Scope:
    """Return a running microscope, for scripts and notebooks; see `docs/scripting.rst`.

    `with hal.open("xml_configs/sim.xml") as scope:` stops it in order at the end.

    Runs on: any; one microscope is open at a time.

    Args:
        config: The XML file that describes it.
        overrides: Changes of values, `camera1.exposure_s=0.05` for example.
        settings: A file of such changes.
        simulation: Replace all drivers by simulators.
        output: Where films go; the folder that the file names if None.
        log_dir: Where trace and thread dumps go; `<directory>/logs` if None.
        name: In whose name it is used: `script:NAME`; the script's file if None.

    Raises:
        BadInput: Something to correct, with its place.
        StartError: It cannot start on this machine.
        StateError: Another one is open in this process.
    """
    # Imported when needed: whoever imports a part of HAL does not want all of it.
    from hal.scripting import open_scope

    return open_scope(
        config,
        overrides=overrides,
        settings=settings,
        simulation=simulation,
        output=output,
        log_dir=log_dir,
        name=name,
    )
