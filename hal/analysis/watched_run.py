"""The run that an analysis watches, as its author sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hal.acquisition import AnyEvent, FilmPlan, ImageEvent, Phase, Plan
from hal.base import StateError
from hal.frames import FrameInfo
from hal.messages import CameraArmed


class WatchedRun:
    """What is known of a run, and which event of its plan each frame is for.

    Runs on: the loop of the analysis.
    """

    def __init__(
        self,
        run_id: str,
        camera: CameraArmed,
        plan: FilmPlan | Plan,
        ask_plan: Callable[[], FilmPlan | Plan],
    ) -> None:
        """Begin with the plan as it is.

        Args:
            run_id: Its identity.
            camera: Whose frames are watched.
            plan: What is to be done.
            ask_plan: Returns the plan with what was added meanwhile.
        """
        self.run_id = run_id
        self.camera = camera
        """Size and place of its frames."""
        self.plan = plan
        self._ask_plan = ask_plan
        self._events: Iterator[AnyEvent] = iter(())
        self._count = 0
        self._last: AnyEvent | None = None
        self._begin()

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases of the plan."""
        return self.plan.phases if isinstance(self.plan, Plan) else ()

    def event_of(self, info: FrameInfo) -> AnyEvent:
        """Return the event a frame was taken for: its place, channel, phase.

        Quick for frames in their order. In a film it is the frame's number along `t`.

        Raises:
            StateError: The plan has no such event.
        """
        if isinstance(self.plan, FilmPlan):
            return ImageEvent(index={"t": info.index})
        number = info.event_index
        if number < self._count - 1:
            self._begin()
        if not self._go_to(number):
            self.plan = self._ask_plan()  # more was added to it
            self._begin()
            if not self._go_to(number):
                raise StateError(f"the plan of run {self.run_id} has no event {number}")
        assert self._last is not None
        return self._last

    def _begin(self) -> None:
        self._events = iter(self.plan) if isinstance(self.plan, Plan) else iter(())
        self._count, self._last = 0, None

    def _go_to(self, number: int) -> bool:
        while self._count <= number:
            event = next(self._events, None)
            if event is None:
                return False
            self._last, self._count = event, self._count + 1
        return True
