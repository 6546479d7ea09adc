"""What all that conduct cameras ask and say of the microscope as a whole."""

from __future__ import annotations

from hal.base import PlanError, did_you_mean, one_of
from hal.kernel import Module, SystemMode, SystemModeChanged


def named_cameras(module: Module, names: tuple[str, ...], what: str) -> tuple[str, ...]:
    """Return the cameras that are meant; all of them if none is named.

    Args:
        module: Who asks.
        names: As the user gave them.
        what: What they are for, for the error.

    Raises:
        PlanError: There is none, or not the one that is named.
    """
    known = module.context.names_of_role("camera")
    if not known:
        raise PlanError(f"there is no camera: {what} needs a module of that role")
    for name in names:
        if name not in known:
            raise PlanError(
                f"there is no camera '{name}': expected one of {one_of(known)}"
                f"{did_you_mean(name, known)}"
            )
    return names or known


def set_mode(module: Module, mode: SystemMode, run_id: str) -> None:
    """Change the mode of the whole, and tell if it was another one before."""
    if module.context.leases.set_mode(mode):
        module.context.trace.record("mode", mode=mode, run=run_id)
        module.send(SystemModeChanged(mode, run_id))
