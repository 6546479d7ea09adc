"""How messages reach a module, wherever it runs."""

from hal.transport.loopback import Loopback

__all__ = ["Loopback"]
