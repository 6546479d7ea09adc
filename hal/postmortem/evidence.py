"""The files that belong to a run, apart from its trace: each read within bounds."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from hal.base import StorageError
from hal.postmortem.case import Case
from hal.postmortem.story import AFTER_S, BEFORE_S
from hal.storage import (
    EVENTS_SUFFIX,
    JOURNAL_SUFFIX,
    JournalText,
    read_journal,
)

_MOST_BYTES: Final = 4_000_000
_MOST_DUMPS: Final = 20
_OUTPUT_BYTES: Final = 1_000_000
_LAST_FRAMES: Final = 50


class Evidence(msgspec.Struct, frozen=True):
    """One file, or what is told of it."""

    name: str
    """In the bundle."""
    path: Path
    what: str
    most_bytes: int = _MOST_BYTES
    said: bytes | None = None
    """In place of what is in the file."""

    def read(self) -> bytes:
        """Return it, or its end where it is too long.

        Raises:
            OSError: It cannot be read.
        """
        if self.said is not None:
            return self.said
        with self.path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - self.most_bytes))
            return file.read(self.most_bytes)

    def left_out(self, data: bytes) -> bool:
        """Whether `data`, as it was read, is not all of it."""
        return self.said is None and len(data) >= self.most_bytes


def gather(case: Case) -> Iterator[Evidence]:
    """Yield the files there are of a run."""
    yield from _of_film(case)
    logs, short = case.log_folder, case.session[-6:].lower()
    for path in sorted(logs.glob(f"output_{short}_*.txt")):
        what = "what a process of its own printed"
        yield Evidence(f"outputs/{path.name}", path, what, _OUTPUT_BYTES)
    for path in sorted(logs.glob(f"heartbeat_{short}_*.txt")):
        said = _heartbeat(path)
        if said:
            what = "stacks written while the process stood still"
            yield Evidence(f"sentinel/{path.name}", path, what, said=said)
    for path in _of_time(case, "sentinel_*.ndjson"):
        yield Evidence(f"sentinel/{path.name}", path, "what the sentinel did")
    for path in _of_time(case, "dump_*.txt")[-_MOST_DUMPS:]:
        yield Evidence(f"dumps/{path.name}", path, "stacks of all threads")


def _of_time(case: Case, pattern: str) -> list[Path]:
    """Return the files written about when the run went on; their names are no help."""
    found: list[tuple[float, Path]] = []
    for path in case.log_folder.glob(pattern):
        with contextlib.suppress(OSError):
            found.append((path.stat().st_mtime, path))
    since_s, until_s = case.began_s - BEFORE_S, case.ended_s + AFTER_S
    return [path for wall_s, path in sorted(found) if since_s <= wall_s <= until_s]


def _of_film(case: Case) -> Iterator[Evidence]:
    if case.sidecar is None:
        return
    folder, base = case.sidecar.parent, case.film
    names: set[str] = set()
    with contextlib.suppress(OSError):  # a disk that is gone may be why it failed
        names = {path.name for path in folder.iterdir()}
    if case.sidecar.name in names:
        what = "the sidecar: settings, account of frames"
        yield Evidence(f"film/{case.sidecar.name}", case.sidecar, what)
    table = folder / (base + EVENTS_SUFFIX)
    if table.name in names:
        what = "what became of each event, with its frame, time and place"
        yield Evidence(f"film/{table.name}", table, what)
    for path in sorted(folder / name for name in names):
        is_ours = path.name.startswith((f"{base}.", f"{base}_"))
        if is_ours and path.suffix == JOURNAL_SUFFIX:
            what = "the last frames that were stored"
            yield Evidence(f"film/{path.name}.json", path, what, said=_journal(path))
        elif is_ours and path.suffix == ".inf":
            yield Evidence(f"film/{path.name}", path, "what the .dax file holds")


def _heartbeat(path: Path) -> bytes:
    """Return what was written from C; the file has its full size from the start."""
    try:
        return path.read_bytes()[:_MOST_BYTES].strip(b"\0").strip()
    except OSError:
        return b""


def _journal(path: Path) -> bytes:
    try:
        found = read_journal(path)
    except StorageError as exc:
        return msgspec.json.encode({"cannot be read": exc.text})
    return msgspec.json.format(msgspec.json.encode(_told(found)), indent=2)


def _told(found: JournalText) -> dict[str, object]:
    last = found.records[-_LAST_FRAMES:]
    return {
        "frames stored": len(found.records),
        "damaged bytes behind them": found.damaged_bytes,
        "last": [
            {"frame": r.frame, "checksum": f"{r.checksum:016x}", "host_s": r.host_s}
            for r in last
        ],
    }
