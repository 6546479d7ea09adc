"""Cameras: the module that speaks for any camera driver."""
