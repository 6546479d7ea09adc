"""What HAL was started with, as it was then: kept in the trace."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

CONFIGURATION: Final = "configuration"
"""Kind of the trace record that keeps it."""
_MOST_CHARACTERS: Final = 1_000_000


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """Texts of the files as they were read; files may be edited while HAL runs."""

    file: str = ""
    text: str = ""
    """Of the XML file."""
    settings_file: str = ""
    settings: str = ""
    """Of the settings file; empty without one."""
    overrides: tuple[str, ...] = ()
    """What `--set` said."""
    simulation: bool = False
    """Whether all drivers were replaced by simulators."""

    @classmethod
    def read(
        cls,
        file: str | Path,
        overrides: Iterable[str] = (),
        settings: str | Path | None = None,
        *,
        simulation: bool = False,
    ) -> Configuration:
        """Return what these files say now; one that cannot be read says why."""
        return cls(
            file=str(Path(file).absolute()),
            text=_text(Path(file)),
            settings_file="" if settings is None else str(Path(settings).absolute()),
            settings="" if settings is None else _text(Path(settings)),
            overrides=tuple(overrides),
            simulation=simulation,
        )


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_CHARACTERS + 1)
    except OSError as exc:
        return f"(cannot be read: {exc.strerror or exc})"
    text = data.decode("utf-8", "backslashreplace")
    if len(text) > _MOST_CHARACTERS:
        return text[:_MOST_CHARACTERS] + "\n(cut here)\n"
    return text
