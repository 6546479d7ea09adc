"""Asks all modules at once what they are able to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, TypeVar

from hal.acquisition import CameraAbility, ChannelName
from hal.base import (
    HalError,
    ParameterSpec,
    PlanError,
    StorageError,
    Unhandled,
    get_logger,
)
from hal.kernel import Delivery, DescribeParameters, Module, ParameterList, Request
from hal.messages import (
    ChannelDescription,
    GetCameraAbility,
    GetChannel,
    GetLightAbility,
    GetShutterAbility,
    GetStageAbility,
    GetWheelAbility,
    GetZAbility,
    LightAbility,
    ShutterAbility,
    StageAbility,
    StartRun,
    WheelAbility,
    ZAbility,
)
from hal.storage import free_bytes
from modules.acquisition.abilities import RigAbilities

ANSWER_S: Final = 5.0
"""A module that takes longer to say what it is able to does not work."""
_QUESTIONS: Final[Mapping[str, type[Request]]] = {
    "camera": GetCameraAbility,
    "stage": GetStageAbility,
    "z": GetZAbility,
    "filter_wheel": GetWheelAbility,
    "light": GetLightAbility,
    "shutter": GetShutterAbility,
    "channel": GetChannel,
}
"""What each role is asked."""

R = TypeVar("R")
log = get_logger(module="acquisition")


def gather_abilities(
    module: Module, request: StartRun, cameras: tuple[str, ...]
) -> RigAbilities:
    """Return what all modules say about themselves; a silent one does not work.

    They are asked at the same time; it takes as long as the slowest of them needs, at
    most `ANSWER_S`.

    Runs on: worker of `module`.

    Args:
        module: In whose name they are asked.
        request: Of the run: where its files go, and how many of each there are.
        cameras: Those of the run; the first is that of events that name none.

    Raises:
        PlanError: Two channels have one name.
    """
    answers = _Answers(module)
    context = module.context
    stages, drives = context.names_of_role("stage"), context.names_of_role("z")
    stage, focus_drive = (next(iter(names), "") for names in (stages, drives))
    nothing = CameraAbility(exposure_s=0.0)
    able = dict(answers.of("camera", CameraAbility))
    return RigAbilities(
        devices=answers.working(),
        cameras={name: able.get(name, nothing) for name in cameras},
        camera=next(iter(cameras), ""),
        stage=stage,
        focus_drive=focus_drive,
        descriptions=_channels(dict(answers.of("channel", ChannelDescription))),
        stage_ability=dict(answers.of("stage", StageAbility)).get(stage),
        z_ability=dict(answers.of("z", ZAbility)).get(focus_drive),
        wheels=dict(answers.of("filter_wheel", WheelAbility)),
        lights=dict(answers.of("light", LightAbility)),
        shutters=dict(answers.of("shutter", ShutterAbility)),
        specs=answers.specs,
        free_bytes=_free_bytes(Path(request.directory)),
        copies=len(set(request.formats)),
        focus_devices=module.context.names_of_role("autofocus"),
        analyses=module.context.names_of_role("analysis"),
        projectors=module.context.names_of_role("projector"),
    )


class _Answers:
    """What the modules have said; made when all of them have, or are late.

    Runs on: worker.
    """

    def __init__(self, module: Module) -> None:
        self._context = module.context
        self.specs: dict[str, dict[str, ParameterSpec]] = {}
        self._said: dict[str, object] = {}
        self._silent: set[str] = set()
        described: dict[str, Delivery] = {}
        asked: dict[str, Delivery] = {}

        def ask(name: str, question: Request) -> Delivery:
            return module.send(
                question, to=name, deadline_s=ANSWER_S, reply=_is_looked_at_here
            )

        for resident in self._context.residents():
            name = resident.name
            if name == module.name:  # its worker is the one that asks
                self.specs[name] = {spec.name: spec for spec in module.specs()}
                continue
            described[name] = ask(name, DescribeParameters())
            if resident.role in _QUESTIONS:
                asked[name] = ask(name, _QUESTIONS[resident.role]())
        for name, delivery in described.items():
            listed = self._answer(name, delivery)
            if isinstance(listed, ParameterList):
                self.specs[name] = {spec.name: spec for spec in listed.specs}
        for name, delivery in asked.items():
            self._said[name] = self._answer(name, delivery)

    def of(self, role: str, kind: type[R]) -> Iterator[tuple[str, R]]:
        """Yield the modules of a role that answered, in the order of the file."""
        for name in self._context.names_of_role(role):
            answer = self._said.get(name)
            if isinstance(answer, kind):
                yield name, answer

    def working(self) -> dict[str, bool]:
        """Return every module, and whether it works."""
        return {
            name: seat.state.takes_work and name not in self._silent
            for name, seat in list(self._context.seats.items())
        }

    def _answer(self, name: str, delivery: Delivery) -> object:
        delivery.wait()
        try:
            return delivery.result()
        except Unhandled:
            return None  # a module of somebody else: it works, as far as anybody knows
        except HalError as exc:
            self._silent.add(name)
            log.warning("abilities unknown", of=name, why=str(exc))
            return None


def _channels(
    described: Mapping[str, ChannelDescription],
) -> dict[ChannelName, ChannelDescription]:
    found: dict[ChannelName, ChannelDescription] = {}
    modules: dict[ChannelName, str] = {}
    for module, description in described.items():
        name = description.name
        if name in found:
            raise PlanError(
                f"channel {name} is two modules, '{modules[name]}' and '{module}': "
                "expected another label for one of them"
            )
        found[name], modules[name] = description, module
    return found


def _free_bytes(directory: Path) -> int | None:
    """Return the space where a folder is or will be; None if nobody can tell."""
    for folder in (directory, *directory.parents):
        try:
            return free_bytes(folder)
        except StorageError:
            continue  # not made yet
    return None


def _is_looked_at_here(_delivery: Delivery) -> None:
    pass
