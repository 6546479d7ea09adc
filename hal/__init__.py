"""HAL: a hardware control system for microscopes and laboratory instruments."""

__version__ = "0.1.0"
