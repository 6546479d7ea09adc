"""Data plane: frames, the rings they travel through, and the account of them."""

from hal.frames.frame import Frame, FrameInfo, Pixels
from hal.frames.ledger import FrameLedger, LedgerCounts
from hal.frames.readers import LatestReader, LosslessReader, Newest
from hal.frames.ring import FrameRing, Lag, ReaderState
from hal.frames.rings import FrameRings

__all__ = [
    "Frame",
    "FrameInfo",
    "FrameLedger",
    "FrameRing",
    "FrameRings",
    "Lag",
    "LatestReader",
    "LedgerCounts",
    "LosslessReader",
    "Newest",
    "Pixels",
    "ReaderState",
]
