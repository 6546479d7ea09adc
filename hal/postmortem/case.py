"""Which run a bundle is about, and where its evidence is."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import msgspec

from hal.acquisition import RunState, RunStatus
from hal.base import BadInput, InvalidMessage, Record, pack, unpack
from hal.postmortem.session import TraceLine, TracePart, find_parts, read_lines, text
from hal.storage import read_acquisition

RUN_ENDED: Final = "run ended"
"""Kind of the trace record that keeps the last status of a run."""
BUNDLE_SUFFIX: Final = "_postmortem.zip"
_CHUNK_BYTES: Final = 8 * 2**20
_EVERYTHING: Final = 2**62


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One run, or a session without one."""

    log_folder: Path
    session: str
    run_id: str = ""
    status: RunStatus | None = None
    """How it ended; None where the trace has to say."""
    sidecar: Path | None = None
    """Of its film; None if it has none."""
    began_s: float
    """Wall time of the first and the last that is known of it."""
    ended_s: float
    plan: bytes = b""
    """What it was to do, as JSON, if that is known."""

    @property
    def film(self) -> str:
        """Name of its film; empty if it has none."""
        return "" if self.sidecar is None else self.sidecar.stem


def sidecar_of(status: RunStatus) -> Path | None:
    """Return the sidecar of a run's film, if it has one."""
    found = [Path(file) for file in status.files if file.endswith(".xml")]
    return found[-1] if found else None


def bundle_paths(
    run_id: str, sidecar: Path | None, log_folder: Path
) -> tuple[Path, ...]:
    """Return where a bundle may be: beside the film, else in the log folder."""
    name = f"run_{run_id[-6:].lower()}" if run_id else "session"
    fallback = log_folder / f"{name}{BUNDLE_SUFFIX}"
    if sidecar is None:
        return (fallback,)
    return sidecar.with_name(sidecar.stem + BUNDLE_SUFFIX), fallback


def find_case(where: Path, run_id: str = "", logs: Path | None = None) -> Case:
    """Return the run that files on disk tell of.

    Args:
        where: A sidecar; a folder of films, for the newest that is not done; or a log
            folder, for the last run in it.
        run_id: Another run; its beginning or end will do.
        logs: The log folder, where it is not in or beside the folder of the films.

    Raises:
        BadInput: There is none, or no trace of it.
    """
    sidecar = _sidecar(where)
    folder = where if where.is_dir() else where.parent
    candidates = [folder, folder / "logs", folder.parent / "logs"]
    said: dict[str, str] = {}
    if sidecar is not None and not run_id:
        said = read_acquisition(sidecar)
        run_id = said.get("run_id", "")
    elif run_id:
        sidecar = None
    looked: list[str] = []
    for candidate in [logs] if logs is not None else candidates:
        parts = find_parts(candidate)
        looked.append(str(candidate))
        found = _newest_with(parts, run_id)
        if found is not None:
            return _case(candidate, found, parts, run_id, sidecar)
    what = f"run {run_id}" if run_id else "any session"
    raise BadInput(f"{where}: no trace of {what} in {' or '.join(looked)}")


def _case(
    folder: Path,
    found: TracePart,
    parts: list[TracePart],
    run_id: str,
    film: Path | None,
) -> Case:
    own = [part for part in parts if part.session == found.session]
    known = _look_for(own, run_id)
    if not run_id and known.run_id:
        known = _look_for(own, known.run_id)
    if film is None and known.status is not None:
        film = sidecar_of(known.status)
    return Case(
        log_folder=folder,
        session=found.session,
        run_id=known.run_id or run_id,
        status=known.status,
        sidecar=film,
        began_s=known.first_s,
        ended_s=known.last_s,
    )


def _sidecar(where: Path) -> Path | None:
    """Return the sidecar that is meant; None where that is no folder of films."""
    if where.is_file():
        if where.suffix != ".xml":
            raise BadInput(f"{where}: expected a folder, or the .xml beside a film")
        return where
    if not where.is_dir():
        raise BadInput(f"{where}: there is no such file or folder")
    films: list[tuple[bool, float, Path]] = []
    for path in where.glob("*.xml"):
        try:
            said = read_acquisition(path)
        except BadInput:
            continue  # a configuration, for example
        if said.get("run_id"):
            went_well = said.get("state") == RunState.DONE
            films.append((not went_well, path.stat().st_mtime, path))
    return max(films)[2] if films else None


def _newest_with(parts: list[TracePart], run_id: str) -> TracePart | None:
    for part in reversed(parts):
        if not run_id or _contains(part.path, run_id.encode()):
            return part
    return None


def _contains(path: Path, words: bytes) -> bool:
    rest = b""
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                if words in rest + chunk:
                    return True
                rest = chunk[-len(words) :]
    except OSError:
        return False
    return False


class _Known:
    """What a session says of a run; without one, of itself and of its last run."""

    def __init__(self) -> None:
        self.run_id = ""
        self.first_s = math.inf
        self.last_s = -math.inf
        self.status: RunStatus | None = None

    def add(self, line: TraceLine, run_id: str) -> None:
        self.first_s = min(self.first_s, line.wall_s)
        self.last_s = max(self.last_s, line.wall_s)
        named = text(line.record, "run")
        if not named or not (named.startswith(run_id) or named.endswith(run_id)):
            return
        self.run_id = named
        if line.record["kind"] == RUN_ENDED:
            status: Record | None
            try:
                status = unpack(RunStatus, pack(line.record.get("status")))
            except InvalidMessage:
                status = None  # of another version of HAL
            self.status = status if isinstance(status, RunStatus) else None


def _look_for(parts: list[TracePart], run_id: str) -> _Known:
    known = _Known()
    wanted = run_id.encode()
    for part in parts:
        try:
            for line in read_lines(part, _EVERYTHING):
                if wanted in line.raw:
                    known.add(line, run_id)
        except OSError:
            continue
    if known.last_s < known.first_s:  # it says nothing at all
        known.first_s = known.last_s = parts[0].wall_s
    return known
