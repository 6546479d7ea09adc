"""A driver in a child process behaves to a test as if it were in its own."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from hal.base import LimitError
from hal.devices import FocusSignal
from hal.isolation import Gateway, Hosts, Launch, gateway_class
from hal.kernel import System
from hal.testing.device_bench import DeviceBench, RemoteDevice, from_json, to_json
from modules.simulation import SimCamera, SimXYStage
from tests.isolation.puppets import TellingStage


@pytest.fixture(scope="module")
def bench() -> Iterator[System]:
    system = System()
    system.provide(Hosts(system))
    system.run_kernel()
    system.add(
        gateway_class(DeviceBench),
        "bench",
        deadline_s=60.0,
        launch=Launch("bench", DeviceBench),
    )
    assert system.start() == ()
    yield system
    system.stop()


def test_it_is_called_on_the_main_thread_of_another_process(bench: System) -> None:
    stage: Any = RemoteDevice(bench, "bench", TellingStage())
    gateway = bench.module("bench")
    assert isinstance(gateway, Gateway)

    pid, is_main = stage.where()

    assert (pid, is_main) == (gateway.pid, True)
    assert pid != os.getpid()
    assert stage.calls_halted == []
    stage.halt()
    assert stage.calls_halted == [pid]


def test_values_errors_and_attributes_come_back(bench: System) -> None:
    stage: Any = RemoteDevice(bench, "bench", SimXYStage(travel_um=100.0))
    stage.open()

    stage.move_and_settle(1.0, y_um=2.0)

    assert stage.position_um() == (1.0, 2.0)
    assert (stage.is_open, stage.x_high_um) == (True, 50.0)
    with pytest.raises(LimitError, match="x=nan um"):
        stage.move_and_settle(math.nan, 0.0)
    with pytest.raises(AttributeError):
        stage._secret
    stage.close()


def test_images_are_filled_in_place(bench: System) -> None:
    camera: Any = RemoteDevice(bench, "bench", SimCamera(width_px=32, height_px=8))
    camera.open()
    out = np.zeros(camera.frame_shape, camera.dtype)
    camera.start(1)

    stamp = camera.read_into(out, 5.0)

    assert stamp.counter == 0
    assert out.any()
    camera.close()


def test_threads_may_halt_what_another_one_waits_for(bench: System) -> None:
    stage: Any = RemoteDevice(bench, "bench", SimXYStage(speed_um_s=1.0))
    stage.open()
    ended = threading.Event()

    def move() -> None:
        with pytest.raises(Exception, match="ended by halt"):
            stage.move_and_settle(1000.0, 0.0)
        ended.set()

    mover = threading.Thread(target=move)
    mover.start()
    for _ in range(100):
        stage.halt()
        if ended.wait(0.05):
            break
    mover.join(5.0)
    assert ended.is_set()
    stage.close()


@pytest.mark.parametrize(
    "value",
    [
        None,
        (1, 2.5, "three", None, True),
        {"a": (1, [2, {"b": ()}])},
        FocusSignal(0.5, 2.0, True),
        np.dtype(np.uint16),
        [math.inf, -math.inf],
    ],
)
def test_what_travels_arrives_as_it_was(value: object) -> None:
    arrived = from_json(to_json(value))

    assert arrived == value
    assert type(arrived) is type(value)


def test_images_travel() -> None:
    image = np.arange(6, dtype=np.uint16).reshape(2, 3)

    arrived = from_json(to_json(image))

    np.testing.assert_array_equal(arrived, image)
    assert arrived.dtype == image.dtype
