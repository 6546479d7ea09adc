"""Pictures and speed of the simulated sample."""
