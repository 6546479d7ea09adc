"""Acquisition: the module that runs experiments."""
