"""Drivers at work in a process of their own, called as if they were in the test's.

A `DeviceBench` is the module in the child that makes drivers and calls them, on the
thread on which isolated drivers are called; a `RemoteDevice` is what the test has in
its hands. What goes between them is JSON, in which also nan, tuples and images travel.
"""

from __future__ import annotations

import base64
import importlib
import inspect
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec
import numpy as np

from hal.base import Value
from hal.devices import Device, InWorld
from hal.isolation import find_class
from hal.kernel import Context, Lane, Module, Request, System, handles

CALL_S: Final = 150.0
"""What one call may take; contracts wait for less."""
_AT_ONCE: Final = ("halt", "abandon")
"""What any thread may call, also during another call."""


class MakeDevice(Request, frozen=True):
    """Make a driver, closed, called `device` from now on."""

    device: str
    class_path: str
    values: str
    world: str
    """File of the world it enters; empty for none."""
    name: str
    """What it is called there."""


class CallDevice(Request, frozen=True):
    """Call a method of a driver, or return one of its attributes."""

    device: str
    what: str
    arguments: str
    """Empty for an attribute."""


class CallDeviceAtOnce(Request, frozen=True):
    """Call what interrupts a call."""

    lane: ClassVar[Lane] = Lane.URGENT
    device: str
    what: str


class DeviceBench(Module):
    """Makes drivers and calls them, one call after the other."""

    role = "bench"

    def __init__(
        self, name: str, context: Context, *, deadline_s: float = 5.0, **values: Value
    ) -> None:
        super().__init__(name, context, deadline_s=deadline_s, **values)
        self._devices: dict[str, Device] = {}

    @handles(MakeDevice)
    def on_make(self, msg: MakeDevice) -> None:
        """Import and make it on the thread on which it will be called."""
        self.run_job(partial(self._make, msg), deadline_s=CALL_S)

    @handles(CallDevice)
    def on_call(self, msg: CallDevice) -> None:
        """Call it; answers with what it returned, and what became of images."""
        self.run_job(partial(self._call, msg), deadline_s=CALL_S)

    @handles(CallDeviceAtOnce)
    def on_call_at_once(self, msg: CallDeviceAtOnce) -> None:
        """Call it here, beside whatever it is doing."""
        getattr(self._devices[msg.device], msg.what)()

    def _make(self, msg: MakeDevice) -> None:
        device = find_class(msg.class_path)(**from_json(msg.values))
        assert isinstance(device, Device)
        if msg.world:
            assert isinstance(device, InWorld)
            device.enter(Path(msg.world), msg.name)
        self._devices[msg.device] = device

    def _call(self, msg: CallDevice) -> str:
        found = getattr(self._devices[msg.device], msg.what)
        if not msg.arguments:
            return to_json(found)
        arguments, named = from_json(msg.arguments)
        returned = found(*arguments, **named)
        images = [each for each in arguments if isinstance(each, np.ndarray)]
        return to_json((returned, images))


class RemoteDevice:
    """A driver in a child process, as a test holds it.

    Runs on: any.
    """

    def __init__(self, system: System, bench: str, made: Device) -> None:
        """Have one like `made`, which was never opened, made in the child."""
        self._system, self._bench = system, bench
        self._class = type(made)
        self._id = f"{self._class.__name__}-{id(self)}"
        world, name = "", ""
        if isinstance(made, InWorld) and made.world:
            world, name = str(made.world_state), made.world_name
        path = f"{self._class.__module__}:{self._class.__qualname__}"
        values = to_json(made.values())
        self._ask(MakeDevice(self._id, path, values, world, name))

    def __getattr__(self, name: str) -> Any:
        """Return a method to call there, or the value of an attribute there."""
        if name.startswith("_"):
            raise AttributeError(name)
        if callable(inspect.getattr_static(self._class, name, None)):
            return partial(self._call, name)
        return from_json(self._ask(CallDevice(self._id, name, "")))

    def _call(self, what: str, *arguments: Any, **named: Any) -> Any:
        if what in _AT_ONCE:
            self._ask(CallDeviceAtOnce(self._id, what))
            return None
        sent = CallDevice(self._id, what, to_json((arguments, named)))
        returned, images = from_json(self._ask(sent))
        mine = [each for each in arguments if isinstance(each, np.ndarray)]
        for image, filled in zip(mine, images, strict=True):
            np.copyto(image, filled)
        return returned

    def _ask(self, request: Request) -> Any:
        delivery = self._system.send(request, to=self._bench, deadline_s=CALL_S)
        delivery.wait()
        return delivery.result()


def to_json(value: object) -> str:
    """Return `value` as text; also tuples, images, records and mappings."""
    return json.dumps(_plain(value))


def from_json(text: str) -> Any:
    """Return what `to_json` was given."""
    return _live(json.loads(text))


def _plain(value: Any) -> object:
    if isinstance(value, np.ndarray):
        data = base64.b64encode(value.tobytes()).decode()
        return {"array": [value.dtype.str, value.shape, data]}
    if isinstance(value, np.dtype):
        return {"dtype": value.str}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, msgspec.Struct):
        fields = {name: getattr(value, name) for name in value.__struct_fields__}
        return {"record": [_path(value), _plain(fields)]}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {"named": [_path(value), [_plain(each) for each in value]]}
    if isinstance(value, tuple):
        return {"tuple": [_plain(each) for each in value]}
    if isinstance(value, Mapping):
        return {"mapping": [[key, _plain(each)] for key, each in value.items()]}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value


def _live(value: Any) -> Any:
    if isinstance(value, list):
        return [_live(each) for each in value]
    if not isinstance(value, dict):
        return value
    ((kind, data),) = value.items()
    if kind == "array":
        dtype, shape, text = data
        # A copy that can be written to.
        return np.frombuffer(base64.b64decode(text), dtype).reshape(shape).copy()
    if kind == "dtype":
        return np.dtype(data)
    if kind == "record":
        return _named(data[0])(**_live(data[1]))
    if kind == "named":
        return _named(data[0])(*map(_live, data[1]))
    if kind == "tuple":
        return tuple(map(_live, data))
    return {key: _live(each) for key, each in data}


def _path(value: object) -> str:
    return f"{type(value).__module__}:{type(value).__qualname__}"


def _named(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)
