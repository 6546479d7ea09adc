"""Settings: parameters of all modules, changed together."""
