"""WHAT A FAILED RUN LEAVES: one file that says what happened, with the evidence."""

from hal.postmortem.bundle import Bundle, write_bundle
from hal.postmortem.case import (
    BUNDLE_SUFFIX,
    RUN_ENDED,
    Case,
    bundle_paths,
    find_case,
)
from hal.postmortem.configuration import CONFIGURATION, Configuration
from hal.postmortem.module import PostmortemModule

__all__ = [
    "BUNDLE_SUFFIX",
    "CONFIGURATION",
    "RUN_ENDED",
    "Bundle",
    "Case",
    "Configuration",
    "PostmortemModule",
    "bundle_paths",
    "find_case",
    "write_bundle",
]
