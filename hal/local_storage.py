"""The storage of a HAL in this process, for frames from outside its cameras."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

import numpy as np

from hal.api import StateTold, StorageAPI, StorageHealth, UiClient
from hal.base import BadInput, HalError, StateError, StorageError
from hal.frames import FrameInfo, FrameRing, FrameRings, Pixels
from hal.kernel import Request, System
from hal.local_api import LocalMcs
from hal.messages import (
    FinishRecording,
    FramesStored,
    OpenRecording,
    RecordingFinished,
    RecordingOpened,
)
from hal.storage import free_bytes

DRAIN_S: Final = 60.0
"""How long the recorder may take for what was submitted, when a film is finished."""


class LocalStorage(StorageAPI, UiClient):
    """The storage of a HAL in this process: its recorder, which reads from rings.

    Runs on: any but an actor; `submit` one thread for each camera.
    """

    def __init__(self, system: System, principal: str) -> None:
        """Store films with the recorder of `system`, in the name of `principal`.

        Raises:
            StateError: It has no recorder.
        """
        recorders = [m.name for m in system.modules if m.role == "recorder"]
        if not recorders:
            raise StateError("this system has no recorder")
        self._system = system
        self._recorder = recorders[0]
        self._mcs = LocalMcs(system, principal)
        rings = system.services[FrameRings]
        assert isinstance(rings, FrameRings)
        self._all_rings = rings
        self._request: OpenRecording | None = None
        self._rings: dict[str, FrameRing] = {}
        self._submitted: dict[str, int] = {}
        self._stored: dict[str, int] = {}
        self._news = threading.Condition()
        self._listener = self._mcs.subscribe_state(self)

    def close(self) -> None:
        """Hear no more acknowledgements."""
        self._listener.close()

    def open(self, request: OpenRecording) -> RecordingOpened:
        """Begin a film of frames that will be submitted here."""
        if self._request is not None:
            raise StateError(f"still recording run {self._request.run_id}")
        if not self._listener.is_open:
            self._listener = self._mcs.subscribe_state(self)
        rings: dict[str, FrameRing] = {}
        try:
            for camera in request.cameras:
                shape = (camera.height, camera.width)
                ring = self._all_rings.create(camera.camera, shape, camera.dtype)
                rings[camera.camera] = ring
            with self._news:
                self._stored = dict.fromkeys(rings, 0)
                self._request = request
            opened = self._answer(request)
        except BaseException:
            self._request = None
            self._remove(rings)
            raise
        assert isinstance(opened, RecordingOpened)
        self._rings, self._submitted = rings, dict.fromkeys(rings, 0)
        return opened

    def submit(self, frame: Pixels, metadata: FrameInfo, timeout_s: float) -> bool:
        """Hand over a copy of a frame; False if there is no room for it in time."""
        ring = self._rings.get(metadata.camera)
        if ring is None:
            raise StateError(f"nothing is being recorded of '{metadata.camera}'")
        if frame.shape != ring.shape or frame.dtype != ring.dtype:
            raise BadInput(
                f"{metadata.camera}: a frame of {frame.shape} {frame.dtype}: expected "
                f"{ring.shape} {ring.dtype}"
            )
        index = self._submitted[metadata.camera]
        if metadata.index != index:
            raise BadInput(
                f"{metadata.camera}: frame {metadata.index}: expected {index}"
            )
        slot = ring.reserve(timeout_s)
        if slot is None:
            return False
        np.copyto(slot, frame)
        ring.put(metadata)
        self._submitted[metadata.camera] = index + 1
        return True

    def stored(self, camera: str) -> int:
        """Return how many frames have been acknowledged."""
        with self._news:
            return self._stored.get(camera, 0)

    def wait_until_stored(self, camera: str, frames: int, timeout_s: float) -> bool:
        """Return True once so many have been acknowledged, False after `timeout_s`."""
        with self._news:
            return self._news.wait_for(
                lambda: self._stored.get(camera, 0) >= frames, timeout_s
            )

    def finish(self, state: str) -> RecordingFinished:
        """Store what was submitted, close and verify the files."""
        request, self._request = self._request, None
        if request is None:
            raise StateError("nothing is being recorded")
        rings, self._rings = self._rings, {}
        for ring in rings.values():
            ring.end()
        try:
            finished = self._answer(FinishRecording(request.run_id, state, DRAIN_S))
        finally:
            self._remove(rings)
        assert isinstance(finished, RecordingFinished)
        return finished

    def health(self) -> StorageHealth:
        """Return how the storage is doing."""
        recorder = self._system.module(self._recorder)
        request, free = self._request, 0
        if request is not None:
            try:
                free = free_bytes(Path(request.directory))
            except StorageError:
                free = 0  # a disk that is gone has no room
        with self._news:
            waiting = {
                camera: count - self._stored.get(camera, 0)
                for camera, count in self._submitted.items()
            }
        return StorageHealth(
            state=recorder.state,
            reason=recorder.reason,
            run_id="" if request is None else request.run_id,
            free_bytes=free,
            waiting=waiting,
        )

    # -- as a client of the feed --------------------------------------------------

    def state_told(self, news: StateTold) -> None:
        """Take acknowledgements."""
        try:
            event = news.event()
        except HalError:  # of a plugin: nothing about storage
            return
        request = self._request
        if not isinstance(event, FramesStored) or request is None:
            return
        if event.run_id == request.run_id and event.camera in self._stored:
            with self._news:
                self._stored[event.camera] = event.last + 1
                self._news.notify_all()

    def feed_ended(self, why: str) -> None:
        """Nothing to do: what waits for acknowledgements ends in its time."""

    def _remove(self, rings: dict[str, FrameRing]) -> None:
        for name, ring in rings.items():
            ring.end()
            self._all_rings.remove(name)

    def _answer(self, request: Request) -> object:
        reply = self._mcs.publish_command(request, to=self._recorder)
        reply.wait()
        return reply.result()
