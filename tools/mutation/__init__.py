"""Breaks the kernel on purpose, and sees whether the tests notice."""
