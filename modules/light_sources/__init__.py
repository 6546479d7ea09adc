"""Light: the modules that speak for light sources and shutters."""
