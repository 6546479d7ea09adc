"""Data plane: frames, the rings they travel through, and the account of them."""

from hal.frames._memory import MIN_SLOTS, Place, RingHandle
from hal.frames.batches import IndexBatches
from hal.frames.frame import Frame, FrameInfo, Pixels
from hal.frames.layout import FilmLayout
from hal.frames.ledger import MOST_LISTED, FrameLedger, LedgerCounts
from hal.frames.mask import PackedMask
from hal.frames.readers import LatestReader, LosslessReader, Newest
from hal.frames.ring import Admission, FrameRing, Lag, ReaderState
from hal.frames.rings import KEEP_S, FrameRings, OwnRings

__all__ = [
    "KEEP_S",
    "MIN_SLOTS",
    "MOST_LISTED",
    "Admission",
    "FilmLayout",
    "Frame",
    "FrameInfo",
    "FrameLedger",
    "FrameRing",
    "FrameRings",
    "IndexBatches",
    "Lag",
    "LatestReader",
    "LedgerCounts",
    "LosslessReader",
    "Newest",
    "OwnRings",
    "PackedMask",
    "Pixels",
    "Place",
    "ReaderState",
    "RingHandle",
]
