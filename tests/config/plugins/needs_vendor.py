"""Imports what is not there."""

import no_such_vendor_sdk  # noqa: F401
