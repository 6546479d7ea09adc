"""Micro-Manager keeps its promises in a process of its own."""

from hal.testing.contracts import Isolated
from tests.micromanager import test_contracts


class TestIsolatedMMCamera(Isolated, test_contracts.TestMMCamera):
    pass


class TestIsolatedMMCameraOf8Bit(Isolated, test_contracts.TestMMCameraOf8Bit):
    pass


class TestIsolatedMMXYStage(Isolated, test_contracts.TestMMXYStage):
    pass


class TestIsolatedMMZStage(Isolated, test_contracts.TestMMZStage):
    pass


class TestIsolatedMMShutter(Isolated, test_contracts.TestMMShutter):
    pass


class TestIsolatedMMFilterWheel(Isolated, test_contracts.TestMMFilterWheel):
    pass
