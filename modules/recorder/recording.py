"""One film: its name, its tracks, its sidecar."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from hal.acquisition import EventRow, RunState
from hal.base import (
    BadInput,
    Clock,
    ErrorRecord,
    StateError,
    StorageError,
    get_logger,
)
from hal.frames import (
    MIN_SLOTS,
    FrameRing,
    FrameRings,
    LedgerCounts,
    LosslessReader,
)
from hal.kernel import versions
from hal.messages import CameraArmed, FramesStored, OpenRecording, RecordingFinished
from hal.storage import (
    EVENTS_SUFFIX,
    JOURNAL_SUFFIX,
    CameraFilm,
    FilmDescription,
    FilmNames,
    JournalHead,
    Reservation,
    Sidecar,
    SpaceReserve,
    check_output,
    film_files,
    film_stems,
    reserve_film,
    section,
    sidecar_xml,
    table_path,
    write_sidecar,
    writer_class,
)
from modules.recorder.care import DiskCare
from modules.recorder.film_events import FilmEvents
from modules.recorder.track import Track

log = get_logger(module="recorder")

_SIDECAR_GROWS: Final = 32 * 2**10
"""So much longer the sidecar may be at the end than at the beginning."""


class Recording:
    """The files of one film, from their creation to the verified end.

    Runs on: worker, except that the first frame's sidecar is written by its track.

    Guarantees:
        A recording that cannot be opened leaves nothing behind.
        The sidecar exists from the first stored frame on, and says `running` until the
        end has been written; a full disk has room for that.
        From the first frame to that sidecar, a journal beside each camera's film says
        what is stored: `resume` goes on after a SIGKILL, and `recover` ends the film.
    """

    def __init__(
        self,
        request: OpenRecording,
        reservation: Reservation,
        clock: Clock,
        source: str,
    ) -> None:
        self.run_id = request.run_id
        self._source = source
        self.tracks: tuple[Track, ...] = ()
        self._request = request
        self._reservation = reservation
        self._clock = clock
        self._started_s = clock.monotonic_s()
        self._started_wall_s = clock.wall_s()
        # Tracks write it at their first frame, `finish` at the end: the last word.
        self._sidecar_lock = threading.Lock()
        self._reserve = SpaceReserve(reservation.names.sidecar.parent)
        self._events = FilmEvents(
            table_path(Path(request.directory), reservation.names.base),
            is_wanted=request.has_events,
            overwrite=request.overwrite,
        )
        self._is_finished = False
        self._stored = threading.Event()
        """Set when nothing more is stored."""

    @classmethod
    def open(
        cls,
        request: OpenRecording,
        rings: FrameRings,
        clock: Clock,
        tell: Callable[[FramesStored], None],
        source: str,
    ) -> Recording:
        """Create all files and take a place in every ring.

        Args:
            request: What to record.
            rings: Where the frames come.
            clock: Whose time counts.
            tell: Acknowledges stored frames.
            source: The module whose errors these are.

        Raises:
            BadInput: Folder, name or format cannot be used, or there is no space.
            OutputExists: A file of that name exists.
            StorageError: The files could not be created.
        """
        if not request.formats:
            raise BadInput("no film format is given: expected at least one")
        if len(set(request.formats)) < len(request.formats):
            raise BadInput(
                f"a film format is given twice: {', '.join(request.formats)}"
            )
        suffixes = [s for name in request.formats for s in writer_class(name).suffixes]
        needed = sum(_needed_bytes(camera, request) for camera in request.cameras)
        # Undone in reverse order, unless all of it succeeded.
        with contextlib.ExitStack() as undo:
            folder = Path(request.directory)
            output = check_output(folder, needed)
            undo.callback(output.undo)
            reservation = reserve_film(
                folder,
                {camera.camera: camera.extension for camera in request.cameras},
                [*suffixes, JOURNAL_SUFFIX],
                feeds=_feeds(request),
                shared=[EVENTS_SUFFIX],
                name=request.name,
                overwrite=request.overwrite,
            )
            undo.callback(reservation.release)
            recording = cls(request, reservation, clock, source)
            recording._events.create()
            undo.callback(recording._events.discard)
            tracks: list[Track] = []
            for camera in request.cameras:
                ring = rings.get(camera.camera)
                reader = ring.open_reader("recorder", from_start=True)
                undo.callback(reader.close)
                stem = reservation.names.base_path(camera.camera)
                film = CameraFilm.create(stem, recording._head(camera))
                undo.callback(film.discard)
                tracks.append(recording._make_track(film, ring, reader, tell))
            recording._begin(tracks)  # last: nothing undoes it
            undo.pop_all()
        return recording

    @classmethod
    def resume(
        cls,
        request: OpenRecording,
        base: str,
        rings: FrameRings,
        clock: Clock,
        tell: Callable[[FramesStored], None],
        source: str,
    ) -> Recording:
        """Go on with a film whose recorder was killed, where it had come to.

        What is stored is acknowledged again when the tracks run. Frames that the rings
        hold no more are gaps in the ledger.

        Args:
            request: As `open` got it.
            base: Name of the film, as `open` chose it.
            rings: Where the frames come.
            clock: Whose time counts.
            tell: Acknowledges stored frames.
            source: The module whose errors these are.

        Raises:
            StorageError: The film is another one, is damaged, or its recorder lives;
                what is there stays as it is, for `recover`.
        """
        stems = film_stems(
            base,
            {c.camera: c.extension for c in request.cameras},
            feeds=_feeds(request),
        )
        names = FilmNames(request.directory, base, stems)
        with contextlib.ExitStack() as undo:
            reservation = Reservation(names, placed=True)
            recording = cls(request, reservation, clock, source)
            recording._events.reopen()
            undo.callback(recording._events.close)
            tracks: list[Track] = []
            for camera in request.cameras:
                ring = _rest(rings, camera.camera)
                reader = ring.open_reader("recorder", take_over=True)
                undo.callback(reader.close)
                film = CameraFilm.reopen(names.base_path(camera.camera))
                undo.callback(film.leave)
                recording._continue(film)
                tracks.append(recording._make_track(film, ring, reader, tell))
            recording._begin(tracks)
            undo.pop_all()
        if any(track.film.stored for track in tracks):
            recording._first_frame()
        return recording

    @property
    def base(self) -> str:
        """Name of the film."""
        return self._reservation.names.base

    @property
    def files(self) -> tuple[str, ...]:
        """Full paths of all files, the sidecar last."""
        names = self._reservation.names
        paths = [
            path
            for camera in self._request.cameras
            for path in film_files(
                names.base_path(camera.camera), self._request.formats
            )
        ]
        tables = [self._events.path] if self._request.has_events else []
        return tuple(str(path) for path in [*paths, *tables, names.sidecar])

    def care(self) -> DiskCare:
        """Return what looks after the disk until all is stored."""
        folder = self._reservation.names.sidecar.parent
        return DiskCare(folder, self.tracks, self._events, self._stored, self._clock)

    def store_rest(self, stall_s: float) -> None:
        """Wait until all that cameras which have ended left is stored.

        Args:
            stall_s: How long to wait without a frame being stored.
        """
        for track in self.tracks:
            if track.is_ending:
                track.wait_until_done(self._clock.monotonic_s(), stall_s)

    def add_events(self, rows: Sequence[EventRow]) -> None:
        """Write rows of the table of events.

        Raises:
            DiskFull, StorageError: None of them was written; frames go on.
            StateError: The run follows no plan.
        """
        self._events.add(rows)

    def finish(
        self, state: str, drain_s: float, should_stop: Callable[[], bool]
    ) -> RecordingFinished:
        """Wait for the tracks, verify them, and write the sidecar."""
        give_up_s = self._clock.monotonic_s() + drain_s
        try:
            for track in self.tracks:
                track.wait_until_done(give_up_s, drain_s)
                track.verify(should_stop)
        finally:
            self._stored.set()
            self._reserve.release()
        problems = [problem for track in self.tracks for problem in track.problems]
        counts = {track.camera: track.ledger.snapshot() for track in self.tracks}
        if not any(count.stored for count in counts.values()):
            self._reservation.release()
            self._events.discard()
            self._forget()
            return RecordingFinished((), counts, tuple(problems))
        for error in self._events.finish():
            problems.append(ErrorRecord.from_exception(error, self._source))
        with self._sidecar_lock:
            self._is_finished = True
            try:
                self._write_sidecar(self._final(state, counts, problems))
                self._forget()
            except StorageError as exc:
                problems.append(ErrorRecord.from_exception(exc, self._source))
        present = tuple(file for file in self.files if Path(file).exists())
        return RecordingFinished(present, counts, tuple(problems))

    def _final(
        self,
        state: str,
        counts: dict[str, LedgerCounts],
        problems: list[ErrorRecord],
    ) -> str:
        """Return how the film ended, now that all is known."""
        whole = all(count.complete for count in counts.values()) and not problems
        if state == RunState.DONE and not whole:
            return RunState.ERROR
        if state == RunState.CANCELLED and whole and self._request.frames is not None:
            return RunState.DONE  # the cancel came too late to change anything
        return state

    def _first_frame(self) -> None:
        """Write the sidecar as soon as there is something to describe."""
        self._events.take_place()
        with self._sidecar_lock:
            if self._is_finished:
                return
            try:
                self._write_sidecar(RunState.RUNNING)
            except StorageError as exc:
                log.warning("sidecar not written yet", why=str(exc))

    def _begin(self, tracks: list[Track]) -> None:
        """Take over the tracks, and hold room for their sidecar."""
        self.tracks = tuple(tracks)
        size = len(sidecar_xml(self._sidecar(RunState.RUNNING)))
        self._reserve.take(size + _SIDECAR_GROWS)

    def _continue(self, film: CameraFilm) -> None:
        """Count time from when the film began.

        Raises:
            StorageError: It belongs to another run.
        """
        sidecar = film.head.sidecar
        if sidecar.run_id != self.run_id:
            raise StorageError(
                f"{self.files[-1]}: is of run {sidecar.run_id}, not {self.run_id}"
            )
        self._started_s -= max(0.0, self._started_wall_s - sidecar.started_wall_s)
        self._started_wall_s = sidecar.started_wall_s

    def _forget(self) -> None:
        """Remove the journals: sidecar and files say all, and agree."""
        for track in self.tracks:
            # One that hangs in a write still needs its journal.
            if track.done.is_set():
                track.film.forget()

    def _make_track(
        self,
        film: CameraFilm,
        ring: FrameRing,
        reader: LosslessReader,
        tell: Callable[[FramesStored], None],
    ) -> Track:
        return Track(
            self.run_id,
            film,
            ring,
            reader,
            clock=self._clock,
            tell=tell,
            first_frame=self._first_frame,
            source=self._source,
        )

    def _head(self, camera: CameraArmed) -> JournalHead:
        return JournalHead(
            base=self.base,
            formats=self._request.formats,
            overwrite=self._request.overwrite,
            description=self._describe(camera),
            sidecar=self._sidecar(RunState.RUNNING),
        )

    def _describe(self, camera: CameraArmed) -> FilmDescription:
        layout = self._request.layouts.get(camera.camera)
        is_lapse = layout and [axis for axis, _ in layout.image_axes] == ["t"]
        return FilmDescription(
            camera=camera.camera,
            shape=(camera.height, camera.width),
            dtype=camera.dtype,
            planned=camera.frames,
            exposure_s=camera.exposure_s,
            pixel_size_um=camera.pixel_size_um,
            binning=camera.binning,
            roi_x_px=camera.roi_x_px,
            roi_y_px=camera.roi_y_px,
            stage_um=self._request.stage_um,
            started_wall_s=self._started_wall_s,
            run_id=self.run_id,
            simulated=self._simulated,
            software=versions(),
            notes=self._request.notes,
            frame_interval_s=layout.interval_s if layout and is_lapse else None,
            layout=layout,
        )

    @property
    def _simulated(self) -> bool:
        return any(module.simulated for module in self._request.parameters)

    def _write_sidecar(self, state: str) -> None:
        write_sidecar(self._reservation.names.sidecar, self._sidecar(state))

    def _sidecar(self, state: str) -> Sidecar:
        counts = tuple(track.ledger.snapshot() for track in self.tracks)
        feeds = _feeds(self._request)
        software = versions()
        return Sidecar(
            run_id=self.run_id,
            state=state,
            frames=min((c.stored for c in counts if c.camera not in feeds), default=0),
            started_wall_s=self._started_wall_s,
            duration_s=self._clock.monotonic_s() - self._started_s,
            simulated=self._simulated,
            software={"hal": software["halscope"], **software},
            files=tuple(Path(file).name for file in self.files[:-1]),
            notes=self._request.notes,
            stage_um=self._request.stage_um,
            events=self._events.path.name if self._request.has_events else "",
            layouts=dict(self._request.layouts),
            ledgers=counts,
            sections=tuple(
                section(module.module, module.specs)
                for module in self._request.parameters
            ),
        )


def _needed_bytes(camera: CameraArmed, request: OpenRecording) -> int:
    shape = (camera.height, camera.width)
    return sum(
        writer_class(name).size_bytes(shape, camera.dtype, camera.frames or 0)
        for name in request.formats
    )


def _rest(rings: FrameRings, camera: str) -> FrameRing:
    """Return the ring that the dead recorder read."""
    try:
        return rings.get(camera)
    except StateError:
        # It is kept as long as anything in it is to be read: nothing is.
        empty = FrameRing(camera, (1, 1), "uint8", MIN_SLOTS)
        empty.end()
        return empty


def _feeds(request: OpenRecording) -> tuple[str, ...]:
    return tuple(camera.camera for camera in request.cameras if camera.source)
