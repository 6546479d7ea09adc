from hal.testing.contracts import LightSourceContract
from modules.simulation import SimLightSource


class TestSimLightSource(LightSourceContract):
    def make_device(self) -> SimLightSource:
        return SimLightSource(wavelength_nm=561.0, max_power_mw=50.0)
