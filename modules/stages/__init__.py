"""Stages: the modules that speak for XY and z stage drivers."""
