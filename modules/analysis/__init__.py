"""Analyses: modules that look at frames during a run, and say where to stimulate."""
