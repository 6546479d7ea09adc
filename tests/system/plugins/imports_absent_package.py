"""A plugin that imports its vendor's package at once."""

import surely_missing_package  # noqa: F401
