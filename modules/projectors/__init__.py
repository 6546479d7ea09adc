"""Projectors: modules that light parts of the sample."""
