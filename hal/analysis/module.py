"""The base of analyses: smart microscopy, with plain methods."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from hal.acquisition import FilmPlan, Plan, StimulationEvent
from hal.analysis.watch import Watch
from hal.analysis.watched_run import WatchedRun
from hal.base import (
    ErrorRecord,
    Float,
    StateError,
    Text,
    UnsupportedError,
)
from hal.frames import FrameInfo, FrameRings, PackedMask, Pixels
from hal.kernel import (
    Delivery,
    How,
    Loop,
    Module,
    Outcome,
    RunLost,
    StartModule,
    handles,
    pack_response,
)
from hal.messages import (
    AnalysisBegun,
    AnalysisEnded,
    AnalysisFailed,
    BeginAnalysis,
    CameraArmed,
    CatchUpAnalysis,
    EndAnalysis,
    ExtendRun,
    FocusScore,
    GetFocusScore,
    GetMask,
    GetRunPlan,
)

_BEAT_S: Final = 0.1


class AnalysisModule(Module):
    """Base of modules that see every frame of a camera while a run goes on.

    An author writes plain methods: `analyse`, and where they are wanted `begin`,
    `mask`, `focus_score` and `end`. All are called on one thread, never two at once;
    a parameter of the module is a descriptor of the class, as for any module. One that
    takes its time holds up the camera when the ring is full, as any lossless reader.
    One that raises, or does not return within `stall_s`, is told among the errors of
    the run, which goes on without it.

    Runs on: actor; the author's methods the loop of the analysis.
    """

    role = "analysis"

    source = Text(
        "", help="The camera or saved feed it watches; empty for the run's first one."
    )
    stall_s = Float(
        10.0,
        unit="s",
        low=0.5,
        high=3600.0,
        help="So long it may take for one frame or answer before it counts as hung.",
    )

    _watch: Watch | None = None
    _camera: CameraArmed
    _stem: Path | None = None
    _files: tuple[str, ...] = ()

    # -- what an author writes ----------------------------------------------------

    def begin(self, run: WatchedRun) -> None:
        """Get ready for a run."""

    @abstractmethod
    def analyse(self, frame: Pixels, info: FrameInfo) -> None:
        """Look at one frame.

        Args:
            frame: `(height, width)`, read-only, and only until this returns.
            info: Its index, event, times.
        """

    def mask(self, event: StimulationEvent) -> np.ndarray[Any, Any] | None:
        """Return where to stimulate, of the shape of the frames; None for no opinion.

        All frames taken before were analysed. An empty mask is an answer: nothing is
        lit then. None is a failure that is told, and the event is passed over.
        """
        return None

    def focus_score(self) -> float:
        """Return how sharp the newest frame is: more is better.

        Raises:
            UnsupportedError: It does not know; the default.
        """
        raise UnsupportedError(f"{self.name} has no focus score")

    def end(self, stem: Path | None) -> Iterable[Path]:
        """Wind up after the last frame; return files written beside the film.

        Args:
            stem: Path of the film without its endings; None if there is no film.
        """
        return ()

    # -- what an author may call --------------------------------------------------

    def extend(self, more: Plan) -> bool:
        """Add a plan to the end of the run, from within the methods but `begin`.

        Returns:
            Whether it will be done; False if the run is at its end already.

        Raises:
            PlanError: It cannot be done on this microscope, or not in this run.
            StateError: There is no run, or it has not begun.
        """
        watch = self._watch
        if watch is None or watch.loop is None or not watch.has_begun:
            raise StateError(f"{self.name} watches no run that has begun")
        delivery = self.send(
            ExtendRun(watch.run_id, more), run_id=watch.run_id, reply=_is_looked_at_here
        )
        while not delivery.wait(_BEAT_S):
            watch.loop.beat()
        try:
            delivery.result()
        except StateError:
            return False
        return True

    # -- the run ------------------------------------------------------------------

    @handles(StartModule)
    def on_start_module(self, msg: StartModule) -> None:
        """Begin; what a generation before this one had to read, nobody will."""
        super().on_start_module(msg)
        self.run_job(self._leave_rings, what="leave the rings of earlier runs")

    @handles(BeginAnalysis)
    def on_begin(self, msg: BeginAnalysis) -> AnalysisBegun | None:
        """Take a place in the ring, and have the author get ready, in a loop."""
        self.require_ready()
        if self.loops:
            raise StateError(f"{self.name} is busy with another run")
        known = {armed.camera: armed for armed in msg.cameras}
        camera = msg.cameras[0] if not self.source else known.get(self.source)
        if camera is None:
            return AnalysisBegun(False)
        watch = self._watch = Watch(
            msg.run_id,
            self,
            partial(self.context.service(FrameRings).get, camera.camera),
            self._settled,
            self.clock,
        )
        run = WatchedRun(msg.run_id, camera, msg.plan, partial(self._plan, msg.run_id))
        beginning = self.defer()
        self.run_loop(
            partial(self._run, watch, run, beginning),
            stall_s=self.stall_s,
            what="analyse",
            on_end=partial(self._ended, watch, beginning),
        )
        return None

    @handles(GetMask)
    def on_get_mask(self, msg: GetMask) -> None:
        """Have the author say where to stimulate."""
        self._watching(msg.run_id).ask(self.defer(), partial(self._packed_mask, msg))

    @handles(GetFocusScore)
    def on_get_focus_score(self, msg: GetFocusScore) -> None:
        """Have the author say how sharp it is."""
        watch = self._watching(msg.run_id)
        watch.ask(self.defer(), lambda: FocusScore(float(self.focus_score())))

    @handles(CatchUpAnalysis)
    def on_catch_up(self, msg: CatchUpAnalysis) -> None:
        """Answer when all frames that are there were analysed."""
        if (watch := self._watch) is not None and watch.run_id == msg.run_id:
            watch.ask(self.defer(), lambda: None)

    @handles(EndAnalysis)
    def on_end_analysis(self, msg: EndAnalysis) -> None:
        """Analyse the rest and let the run go; answers when that is done."""
        if (watch := self._watch) is not None and watch.run_id == msg.run_id:
            self._stem = Path(msg.stem) if msg.stem else None
            watch.end(self.defer(), msg.drain_s)

    @handles(RunLost)
    def on_run_lost(self, msg: RunLost) -> None:
        """Let a run go that nobody conducts any more."""
        if self._watch is not None and self._watch.run_id == msg.run_id:
            for loop in self.loops:
                loop.stop()

    def make_safe(self, *, hung: bool, is_free: bool) -> None:
        if self._watch is not None:  # the camera would wait for it
            self._watch.close(None)

    def _leave_rings(self) -> None:
        """Free the places of a process that died: the cameras wait for it."""
        rings = self.context.service(FrameRings)
        names_of_role = self.context.names_of_role
        for name in (*names_of_role("camera"), *names_of_role("feed")):
            with suppress(StateError):  # there is no such ring
                ring = rings.get(name)
                if any(reader.name == self.name for reader in ring.readers):
                    ring.open_reader(self.name, take_over=True).close()

    def _watching(self, run_id: str) -> Watch:
        if self._watch is None or self._watch.run_id != run_id:
            raise StateError(f"{self.name} does not watch run {run_id}")
        return self._watch

    def _run(
        self, watch: Watch, run: WatchedRun, beginning: Delivery, loop: Loop
    ) -> None:
        self._stem, self._files = None, ()
        self._camera = run.camera

        def begin() -> None:
            self.begin(run)
            self._settled(beginning, AnalysisBegun(True), None)

        watch.run(loop, begin, self._finish)

    def _finish(self) -> None:
        self._files = tuple(str(path) for path in self.end(self._stem))

    def _ended(
        self,
        watch: Watch,
        beginning: Delivery,
        _loop: Loop,
        error: ErrorRecord | None,
    ) -> None:
        self._watch = None
        watch.close(error)  # the loop does so itself, unless it hangs
        ending = watch.ending
        if not beginning.complete:
            self._settled(beginning, None, error)
        elif ending is not None:
            # Whoever waits for the end tells of the error.
            self._settled(ending, AnalysisEnded(watch.count, self._files), error)
        elif error is not None:
            failed = AnalysisFailed(watch.run_id, self.name, error)
            self.send_failure(failed, "analysis failed", error, run=watch.run_id)

    def _packed_mask(self, msg: GetMask) -> PackedMask:
        said, camera = self.mask(msg.event), self._camera
        if said is None:
            raise StateError(f"{self.name} has no mask for event {msg.number}")
        mask = np.asarray(said)
        if mask.shape != (camera.height, camera.width):
            raise StateError(
                f"a mask of shape {mask.shape}: expected "
                f"{(camera.height, camera.width)}, which is that of its frames"
            )
        return PackedMask.of(
            mask,
            roi_x_px=camera.roi_x_px,
            roi_y_px=camera.roi_y_px,
            binning=camera.binning,
        )

    def _plan(self, run_id: str) -> FilmPlan | Plan:
        plan = self.ask(GetRunPlan(run_id))
        assert isinstance(plan, FilmPlan | Plan)
        return plan

    def _settled(
        self, delivery: Delivery, answer: object, error: ErrorRecord | None
    ) -> None:
        how = How.DONE if error is None else How.FAILED
        packed = pack_response(answer if error is None else None)
        by = f"{self.thread_name}/loop"
        self.settle(Outcome(delivery.id, self.name, how, by, packed, error))


def _is_looked_at_here(_delivery: Delivery) -> None:
    pass
