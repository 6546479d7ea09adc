"""The contract of a driver once more, with the driver in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from hal.isolation import Hosts, Launch, gateway_class
from hal.kernel import System
from hal.testing.device_bench import CALL_S, DeviceBench, RemoteDevice

_BENCH = "bench"


class Isolated:
    """Has the driver of a contract live in a child process; one for all its tests.

    It comes first among the bases::

        class TestIsolatedTangoStage(Isolated, TestTangoStage):
            pass

    The driver is made, opened and called on the child's main thread, as that of any
    isolated module; `halt` and `abandon` reach it during another call.
    """

    _system: ClassVar[System]

    if not TYPE_CHECKING:

        def make_device(self) -> Any:
            """Return one like that of the contract, in the child."""
            return RemoteDevice(self._system, _BENCH, super().make_device())

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _child(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
        folder: Path = tmp_path_factory.mktemp("isolated")
        system = System(log_folder=folder)
        system.provide(Hosts(system, log_folder=folder))
        system.run_kernel()
        cls._system = system
        try:
            launch = Launch(_BENCH, DeviceBench)
            gateway = gateway_class(DeviceBench)
            system.add(gateway, _BENCH, deadline_s=CALL_S, launch=launch)
            problems = system.start()
            assert problems == ()
            yield
            # One child has done it all: none of its drivers has brought it down.
            assert system.module(_BENCH).generation == 1
        finally:
            system.stop()
