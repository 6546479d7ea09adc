"""One film: its name, its tracks, its sidecar."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hal.acquisition import RunState
from hal.base import BadInput, Clock, ErrorRecord, StorageError, get_logger
from hal.frames import FrameRings, LedgerCounts
from hal.kernel import versions
from hal.messages import CameraArmed, FramesStored, OpenRecording, RecordingFinished
from hal.storage import (
    FilmDescription,
    FrameWriter,
    Reservation,
    Sidecar,
    SpaceReserve,
    check_output,
    film_bytes,
    make_writer,
    reserve_film,
    section,
    sidecar_xml,
    write_sidecar,
    writer_class,
)
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
        self._is_finished = False

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
                suffixes,
                feeds=tuple(c.camera for c in request.cameras if c.source),
                name=request.name,
                overwrite=request.overwrite,
            )
            undo.callback(reservation.release)
            recording = cls(request, reservation, clock, source)
            recording.tracks = tuple(
                recording._make_track(camera, rings, tell, undo)
                for camera in request.cameras
            )
            size = len(sidecar_xml(recording._sidecar(RunState.RUNNING)))
            recording._reserve.take(size + _SIDECAR_GROWS)  # last: nothing undoes it
            undo.pop_all()
        return recording

    @property
    def base(self) -> str:
        """Name of the film."""
        return self._reservation.names.base

    @property
    def files(self) -> tuple[str, ...]:
        """Full paths of all files, the sidecar last."""
        paths = [
            path for track in self.tracks for w in track.writers for path in w.files
        ]
        return tuple(str(path) for path in [*paths, self._reservation.names.sidecar])

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
            self._reserve.release()
        problems = [problem for track in self.tracks for problem in track.problems]
        counts = {track.camera: track.ledger.snapshot() for track in self.tracks}
        if not any(count.stored for count in counts.values()):
            self._reservation.release()
            return RecordingFinished((), counts, tuple(problems))
        with self._sidecar_lock:
            self._is_finished = True
            try:
                self._write_sidecar(self._final(state, counts, problems))
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
        with self._sidecar_lock:
            if self._is_finished:
                return
            try:
                self._write_sidecar(RunState.RUNNING)
            except StorageError as exc:
                log.warning("sidecar not written yet", why=str(exc))

    def _make_track(
        self,
        camera: CameraArmed,
        rings: FrameRings,
        tell: Callable[[FramesStored], None],
        undo: contextlib.ExitStack,
    ) -> Track:
        ring = rings.get(camera.camera)
        reader = ring.open_reader("recorder", from_start=True)
        undo.callback(reader.close)
        description = self._describe(camera)
        writers: list[FrameWriter] = []
        for name in self._request.formats:
            writer = make_writer(
                name,
                self._reservation.names.base_path(camera.camera),
                description,
                overwrite=self._request.overwrite,
            )
            writer.open()
            undo.callback(writer.abort)
            writers.append(writer)
        return Track(
            self.run_id,
            description,
            ring,
            reader,
            tuple(writers),
            clock=self._clock,
            tell=tell,
            first_frame=self._first_frame,
            source=self._source,
        )

    def _describe(self, camera: CameraArmed) -> FilmDescription:
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
        )

    @property
    def _simulated(self) -> bool:
        return any(module.simulated for module in self._request.parameters)

    def _write_sidecar(self, state: str) -> None:
        write_sidecar(self._reservation.names.sidecar, self._sidecar(state))

    def _sidecar(self, state: str) -> Sidecar:
        counts = tuple(track.ledger.snapshot() for track in self.tracks)
        feeds = {c.camera for c in self._request.cameras if c.source}
        software = versions()
        return Sidecar(
            run_id=self.run_id,
            state=state,
            frames=min(c.stored for c in counts if c.camera not in feeds),
            started_wall_s=self._started_wall_s,
            duration_s=self._clock.monotonic_s() - self._started_s,
            simulated=self._simulated,
            software={"hal": software["halscope"], **software},
            files=tuple(Path(file).name for file in self.files[:-1]),
            notes=self._request.notes,
            stage_um=self._request.stage_um,
            ledgers=counts,
            sections=tuple(
                section(module.module, module.specs)
                for module in self._request.parameters
            ),
        )


def _needed_bytes(camera: CameraArmed, request: OpenRecording) -> int:
    shape = (camera.height, camera.width)
    per_format = film_bytes(shape, camera.dtype, camera.frames or 0)
    return per_format * len(request.formats)
