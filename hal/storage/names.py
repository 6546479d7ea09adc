"""What the files of a film are called, and how a name is taken without a race.

`<base>[_<extension>]<suffix>`, as storm-control names them: `movie_0001.dax`,
`movie_0001.xml`, and with two cameras `movie_0001_left.dax`, `movie_0001_right.dax`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec

from hal.base import BadInput, DiskFull, OutputExists, StorageError
from hal.storage._output_file import storage_error

SIDECAR_SUFFIX = ".xml"
EMPTY_SIDECAR = b'<?xml version="1.0" encoding="ISO-8859-1"?>\n<settings />\n'
"""Holds a name until the real sidecar replaces it; readers find no settings in it."""

_MOST_BYTES = 200
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
# Windows gives these to devices, with any ending.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_ATTEMPTS = 1000


class FilmNames(msgspec.Struct, frozen=True):
    """The files of one film, on any machine that sees the folder."""

    directory: str
    base: str
    stems: dict[str, str]
    """File name without suffix, by camera."""

    @property
    def sidecar(self) -> Path:
        """The one file that all cameras share."""
        return Path(self.directory) / (self.base + SIDECAR_SUFFIX)

    def base_path(self, camera: str) -> Path:
        """Folder and name of one camera's film, without suffix."""
        return Path(self.directory) / self.stems[camera]


class Reservation:
    """A name that is ours: its sidecar exists from now on.

    Runs on: one thread at a time.
    """

    def __init__(self, names: FilmNames, *, placed: bool) -> None:
        self.names = names
        self._placed = placed

    def release(self) -> None:
        """Give the name back if nothing was recorded; harmless when repeated."""
        sidecar = self.names.sidecar
        if self._placed and sidecar.exists() and sidecar.read_bytes() == EMPTY_SIDECAR:
            sidecar.unlink()
        self._placed = False


def check_name(name: str, what: str = "film name") -> str:
    """Return `name` if it can be a file name on every system, else say why not.

    Raises:
        BadInput: Empty, too long, or with characters some system refuses.
    """
    wrong = _FORBIDDEN.search(name)
    if not name.strip():
        problem = "it is empty"
    elif wrong:
        shown = wrong.group()
        problem = f"{shown!r} is not allowed (the folder is given separately)"
    elif name != name.strip() or name.endswith("."):
        problem = "it begins or ends with a space, or ends with a dot"
    elif _DEVICES.fullmatch(name):
        problem = "Windows reserves it for a device"
    elif len(name.encode("utf-8", "replace")) > _MOST_BYTES:
        problem = f"it is longer than {_MOST_BYTES} bytes"
    else:
        return name
    raise BadInput(f"{what} '{name}' cannot be used: {problem}")


def film_stems(
    base: str, extensions: Mapping[str, str], feeds: Collection[str] = ()
) -> dict[str, str]:
    """Return each camera's file name without suffix.

    Args:
        base: Name of the film.
        extensions: What tells a camera's files apart, by camera. Empty: nothing for a
            single camera, its own name when there are several.
        feeds: Those that are no cameras: with or without them, a single camera is one.

    Raises:
        BadInput: A name cannot be used, or two cameras would share one.
    """
    stems: dict[str, str] = {}
    are_several = len(extensions.keys() - set(feeds)) > 1
    for camera, extension in extensions.items():
        if not extension and (are_several or camera in feeds):
            extension = camera
        stem = f"{base}_{extension}" if extension else base
        for other, taken in stems.items():
            if taken.lower() == stem.lower():
                raise BadInput(
                    f"cameras '{other}' and '{camera}' would both write '{stem}': "
                    "give them different extensions"
                )
        stems[camera] = check_name(stem)
    return stems


def reserve_film(
    directory: Path,
    extensions: Mapping[str, str],
    suffixes: Collection[str],
    *,
    feeds: Collection[str] = (),
    shared: Collection[str] = (),
    name: str | None = None,
    stem: str = "movie",
    overwrite: bool = False,
) -> Reservation:
    """Take a name for a film; no other process gets the same one.

    Args:
        directory: An existing folder.
        extensions: See `film_stems`.
        suffixes: Of all files that will be written for a camera.
        feeds: See `film_stems`.
        shared: Suffixes of further files that all cameras share, as the sidecar.
        name: Exactly this; None for the next free number of `stem`.
        stem: Beginning of numbered names: `movie_0001`.
        overwrite: Whether `name` may be one that exists.

    Raises:
        BadInput: The name cannot be used.
        OutputExists: A film of that name exists, and may not be replaced.
        DiskFull, StorageError: The name could not be written down.
    """
    if name is None:
        return _reserve_number(directory, extensions, feeds, stem)
    stems = film_stems(check_name(name), extensions, feeds)
    film = FilmNames(str(directory), name, stems)
    if overwrite:
        # The old sidecar stays until the new one replaces it.
        return Reservation(film, placed=_place(film.sidecar))
    paths = [
        directory / (file_stem + suffix)
        for file_stem in film.stems.values()
        for suffix in suffixes
    ]
    for path in [*paths, *(directory / (name + suffix) for suffix in shared)]:
        if path.exists():
            raise _exists(path)
    if not _place(film.sidecar):
        raise _exists(film.sidecar)
    return Reservation(film, placed=True)


def next_number(directory: Path, stem: str) -> int:
    """Return one more than the highest number any file or folder of `stem` carries."""
    numbered = re.compile(re.escape(stem) + r"_(\d{4,})(?:[_.].*)?", re.IGNORECASE)
    found = (numbered.fullmatch(entry.name) for entry in directory.iterdir())
    return 1 + max((int(match.group(1)) for match in found if match), default=0)


def _reserve_number(
    directory: Path, extensions: Mapping[str, str], feeds: Collection[str], stem: str
) -> Reservation:
    check_name(stem)
    for _attempt in range(_ATTEMPTS):
        try:
            number = next_number(directory, stem)
        except OSError as exc:
            raise storage_error(exc, directory, "list it", 0) from exc
        base = f"{stem}_{number:04d}"
        film = FilmNames(str(directory), base, film_stems(base, extensions, feeds))
        # Another process may have taken it since the look: then look again.
        if _place(film.sidecar):
            return Reservation(film, placed=True)
    raise StorageError(
        f"{directory}: found no free number for '{stem}' in {_ATTEMPTS} attempts"
    )


def _place(sidecar: Path) -> bool:
    """Create the placeholder; return False if the name is taken."""
    try:
        with sidecar.open("xb") as file:
            file.write(EMPTY_SIDECAR)
    except FileExistsError:
        return False
    except OSError as exc:
        error = storage_error(exc, sidecar, "create it", 0)
        if isinstance(error, DiskFull):
            sidecar.unlink(missing_ok=True)
        raise error from exc
    return True


def _exists(path: Path) -> OutputExists:
    return OutputExists(
        f"{path} exists and is not replaced: choose another name, or allow to overwrite"
    )
