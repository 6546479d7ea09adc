"""Where Micro-Manager comes from: its Python package, adapters and configurations.

Imported lazily, because HAL runs without it; everything here is called on the thread
that owns the core.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from hal.base import ConfigError, StartError, did_you_mean

if TYPE_CHECKING:
    from pymmcore_plus import CMMCorePlus

DEMO = "demo"
"""The `config` that means the demo configuration delivered with the adapters."""

CORE_ERRORS = (RuntimeError, OSError, IndexError, ValueError, MemoryError)
"""What the core's C++ errors arrive as; anything else is a defect of a driver."""

_INSTALL = "pip install 'halscope[micromanager]'"


def create_core() -> CMMCorePlus:
    """Return a core without devices that knows where its adapters are.

    Raises:
        StartError: The package or the device adapters are not installed.
    """
    root = logging.getLogger()
    level = root.level
    try:
        from pymmcore import CMMCore
        from pymmcore_plus import CMMCorePlus
    except ModuleNotFoundError as exc:
        raise StartError(
            f"Micro-Manager: package '{exc.name}' is not installed; "
            f"install it with: {_INSTALL}"
        ) from exc
    except ImportError as exc:
        raise StartError(
            f"Micro-Manager: package 'pymmcore_plus' cannot be imported: "
            f"{one_line(exc)}; repair it with: {_INSTALL}"
        ) from exc
    finally:
        root.setLevel(level)  # importing pymmcore_plus makes the root logger verbose
    folder = adapter_folder()
    core = CMMCorePlus(mm_path=str(folder), adapter_paths=[str(folder)])
    # HAL polls and listens to no events: without the relay, no thread of an adapter
    # runs Python. pymmcore-plus refuses this call in its own class, the base allows it.
    CMMCore.registerCallback(core, None)
    return core


def adapter_folder() -> Path:
    """Return the folder of the device adapters.

    Raises:
        StartError: There are none on this machine.
    """
    from pymmcore_plus import find_micromanager

    found = find_micromanager()
    if not found:
        raise StartError(
            "Micro-Manager: no device adapters found; install the simulated ones with "
            "'pip install mm-test-adapters', all with 'mmcore install', or set "
            "MICROMANAGER_PATH to the folder of a Micro-Manager installation"
        )
    return Path(found)


def find_config(config: str) -> Path:
    """Return the file that `config` means.

    Raises:
        ConfigError: There is no such file.
        StartError: `demo` is wanted and the adapters come without it.
    """
    if config == DEMO:
        path = adapter_folder() / "MMConfig_demo.cfg"
        if not path.is_file():
            raise StartError(
                f"Micro-Manager: the adapters in {path.parent} come without "
                "MMConfig_demo.cfg; install them with: pip install mm-test-adapters"
            )
        return path
    path = Path(config).expanduser()
    if not path.is_file():
        near = [p.name for p in path.parent.glob("*.cfg")]
        raise ConfigError(
            "no such file: expected a Micro-Manager configuration (.cfg) or "
            f"'{DEMO}'{did_you_mean(path.name, near)}",
            file=config,
        )
    return path.absolute()


def one_line(error: BaseException) -> str:
    """Return an error's text without line breaks."""
    return " ".join(str(error).split()) or type(error).__name__
