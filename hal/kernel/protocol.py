"""The messages every module understands: its life and its parameters."""

from __future__ import annotations

from typing import ClassVar

from hal.base import ParameterSpec, Record, Value
from hal.kernel.message import Access, Event, Lane, Request


class ConfigureModule(Request, frozen=True):
    """Get ready: connect to the device, create what others will ask for."""

    lane: ClassVar[Lane] = Lane.URGENT


class StartModule(Request, frozen=True):
    """Begin: every module is configured."""

    lane: ClassVar[Lane] = Lane.URGENT


class StopModule(Request, frozen=True):
    """End: bring the device to its safe state and let go of it."""

    lane: ClassVar[Lane] = Lane.URGENT
    cancels_queued: ClassVar[bool] = True


class MakeSafe(Request, frozen=True):
    """Bring the device to its safe state: light off, motion stopped."""

    lane: ClassVar[Lane] = Lane.URGENT
    cancels_queued: ClassVar[bool] = True


class OpenDevice(Request, frozen=True):
    """Try again to connect to a device that did not answer."""


class SystemModeChanged(Event, frozen=True):
    """The microscope as a whole does something else now."""

    mode: str
    run_id: str
    """The run it is about; empty when idle."""


class RunLost(Event, frozen=True):
    """The module that conducted a run was given up, and the run with it."""

    run_id: str
    why: str


class ModuleStateChanged(Event, frozen=True):
    """A module's state, or the reason for it, is another one now."""

    module: str
    state: str
    reason: str


class ProposeParameters(Request, frozen=True):
    """Say whether these values could be taken together; change nothing yet."""

    access: ClassVar[Access] = Access.HOLDER

    transaction: str
    values: dict[str, Value]


class CommitParameters(Request, frozen=True):
    """Take the values proposed under this transaction."""

    access: ClassVar[Access] = Access.HOLDER
    deadline_s: ClassVar[float] = 10.0
    transaction: str


class DropParameters(Request, frozen=True):
    """Forget the values proposed under this transaction."""

    transaction: str


class DescribeParameters(Request, frozen=True):
    """Answer with a `ParameterList`."""

    lane: ClassVar[Lane] = Lane.URGENT


class ParameterList(Record, frozen=True):
    """All parameters of a module and its device, with values of now."""

    module: str
    identity: str
    """Maker, model and serial number of the device; empty where there is none."""
    simulated: bool
    specs: tuple[ParameterSpec, ...]


class ParametersChanged(Event, frozen=True):
    """A module's parameters have these values now."""

    module: str
    values: dict[str, Value]
