"""Recorder: the module that writes films to disk."""
