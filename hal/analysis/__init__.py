"""Analyses: modules that look at the frames of a run while it goes on."""

from hal.analysis.module import AnalysisModule
from hal.analysis.watched_run import WatchedRun

__all__ = ["AnalysisModule", "WatchedRun"]
