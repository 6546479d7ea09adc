from hal.testing.contracts import ShutterContract
from modules.simulation import SimShutter


class TestSimShutter(ShutterContract):
    def make_device(self) -> SimShutter:
        return SimShutter()
