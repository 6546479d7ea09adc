"""The memory of a ring, and who may touch what in it; all processes share it.

There is no lock between processes: one that was killed while it held it would stop
the others. Every word has one writer at a time. A frame is announced before its slot is
written and numbered after; a reader is entered before it is asked what is still there.
"""

from __future__ import annotations

import mmap
import threading
from typing import Any, Final

import msgspec
import numpy as np

from hal.base import BadInput
from hal.frames.frame import Frame, FrameInfo, Pixels
from hal.frames.platform import GRANULARITY, Bell, MemoryFile

MIN_SLOTS: Final = 2
"""One being filled and one to read."""
MOST_READERS: Final = 32

FREE, LOSSLESS, LATEST = range(3)
_BEING_WRITTEN: Final = -1
_WORD: Final = 8
# In words: the header, then the readers, then the text of the error, then the slots.
_PUBLISHED, _RESERVED, _ENDED, _ERROR, _WOKEN, _FRAMES_BELL, _SPACE_BELL, _ENTRIES = (
    range(8)
)
_HEADER: Final = 16
_KIND, _GENERATION, _POSITION, _PARKED_NS, _NAME = range(5)
NAME_BYTES: Final = 64
_READER: Final = _NAME + NAME_BYTES // _WORD
_ERROR_BYTES: Final = 2048
_ERROR_AT: Final = (_HEADER + MOST_READERS * _READER) * _WORD
_SLOTS_AT: Final = (_ERROR_AT + _ERROR_BYTES) // _WORD
_SEQUENCE, _INFO_SIZE, _INFO = range(3)
_SLOT: Final = 128
_INFO_BYTES: Final = (_SLOT - _INFO) * _WORD

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(FrameInfo).decode


class RingHandle(msgspec.Struct, frozen=True):
    """How another process on this machine finds a ring."""

    name: str
    memory: str
    shape: tuple[int, int]
    """`(height, width)` of every frame."""
    dtype: str
    slots: int


class Place(msgspec.Struct, frozen=True):
    """One reader's entry."""

    index: int
    generation: int
    """Of the entry: who was put out does not take it for the next one's."""


class RingMemory:
    """What is in a ring, for one process.

    Runs on: any. `lock` keeps the threads of this process apart, for microseconds.
    Pixels are read and written without it: a lossless place protects them, and a copy
    is checked afterwards by `still_holds`.
    """

    def __init__(self, handle: RingHandle, file: MemoryFile) -> None:
        self.lock = threading.Lock()
        self.handle = handle
        self.slots = handle.slots
        self._file = file
        self._dtype = np.dtype(handle.dtype)
        self._frame_bytes = _frame_bytes(handle.shape, self._dtype)
        self._stride = _stride(handle.shape, self._dtype)
        control = file.map(0, _control_bytes(self.slots), writable=True)
        self._bytes = memoryview(control)
        self._words = self._bytes.cast("q")
        self.frames_bell = Bell(control, _FRAMES_BELL * _WORD)
        self.space_bell = Bell(control, _SPACE_BELL * _WORD)
        self._views = self._map(writable=False)
        self._writable: list[Pixels] = []
        self.nbytes = self.slots * self._frame_bytes

    @classmethod
    def create(
        cls, name: str, shape: tuple[int, int], dtype: np.dtype[Any], slots: int
    ) -> RingMemory:
        """Return the memory of a new ring.

        Raises:
            BadInput: A ring of this form is not possible.
            OSError, OverflowError: The machine has not that much memory.
        """
        if slots < MIN_SLOTS or min(shape) < 1:
            raise BadInput(
                f"a ring of {slots} slots of {shape[1]}x{shape[0]} px is not possible: "
                f"expected at least {MIN_SLOTS} slots and 1x1 px"
            )
        file = MemoryFile.create(_ring_bytes(shape, dtype, slots))
        handle = RingHandle(name, file.handle, shape, dtype.name, slots)
        memory = cls(handle, file)
        for slot in range(slots):
            memory._words[_slot(slot) + _SEQUENCE] = _BEING_WRITTEN
        return memory

    @classmethod
    def attach(cls, handle: RingHandle) -> RingMemory:
        """Return the memory of a ring that another process has created.

        Raises:
            OSError: It is gone.
        """
        size = _ring_bytes(handle.shape, np.dtype(handle.dtype), handle.slots)
        return cls(handle, MemoryFile.open(handle.memory, size))

    def _map(self, *, writable: bool) -> list[Pixels]:
        at, length = _control_bytes(self.slots), self.slots * self._stride
        pixels = self._file.map(at, length, writable=writable)
        count = self._frame_bytes // self._dtype.itemsize
        return [
            np.frombuffer(
                pixels, self._dtype, count=count, offset=slot * self._stride
            ).reshape(self.handle.shape)
            for slot in range(self.slots)
        ]

    def close(self) -> None:
        """Let no other process find it; what is mapped here stays while it is used."""
        self._file.close()

    # -- the writer ---------------------------------------------------------------

    @property
    def published(self) -> int:
        """Frames put so far; the next one gets this sequence number."""
        return self._words[_PUBLISHED]

    @property
    def reserved(self) -> bool:
        """Whether the next slot is announced."""
        return bool(self._words[_RESERVED])

    def prepare(self) -> None:
        """Map the slots for writing; takes a while the first time."""
        if not self._writable:
            self._writable = self._map(writable=True)

    def announce(self) -> None:
        """Say that the next slot will be written, before looking whether it is free."""
        self._words[_RESERVED] = 1

    def withdraw(self) -> None:
        """Take an announcement back."""
        self._words[_RESERVED] = 0

    def take_next(self) -> Pixels:
        """Give the writer its slot; from now on nobody mistakes it for a frame."""
        self.prepare()
        slot = self.published % self.slots
        self._words[_slot(slot) + _SEQUENCE] = _BEING_WRITTEN
        return self._writable[slot]

    def publish(self, info: FrameInfo) -> None:
        """Make the slot last taken a frame."""
        sequence = self.published
        at = _slot(sequence % self.slots)
        data = _encode(info)
        if len(data) > _INFO_BYTES:
            raise BadInput(
                f"frame {info.index} of {info.camera}: what is known of it takes "
                f"{len(data)} bytes, expected at most {_INFO_BYTES}"
            )
        start = (at + _INFO) * _WORD
        self._bytes[start : start + len(data)] = data
        self._words[at + _INFO_SIZE] = len(data)
        self._words[at + _SEQUENCE] = sequence
        self._words[_PUBLISHED] = sequence + 1
        self._words[_RESERVED] = 0

    # -- the end ------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Whether no more frames come."""
        return bool(self._words[_ENDED])

    @property
    def error(self) -> str | None:
        """Why it ended; None if it was meant to."""
        size = self._words[_ERROR]
        if not size:
            return None
        return bytes(self._bytes[_ERROR_AT : _ERROR_AT + size]).decode(errors="replace")

    def end(self, error: str | None) -> None:
        """Say that no more frames come, and why."""
        text = (error or "").encode()[:_ERROR_BYTES]
        self._bytes[_ERROR_AT : _ERROR_AT + len(text)] = text
        self._words[_ERROR] = len(text)
        self._words[_ENDED] = 1

    @property
    def woken(self) -> int:
        """Changes whenever somebody wants all who wait to look at their tokens."""
        return self._words[_WOKEN]

    def wake(self) -> None:
        """Change it."""
        self._words[_WOKEN] = self._words[_WOKEN] + 1

    def wake_all(self) -> None:
        """Have the writer and all readers look again."""
        self.frames_bell.ring()
        self.space_bell.ring()

    # -- frames -------------------------------------------------------------------

    def oldest(self) -> int:
        """Sequence number of the oldest frame that is still whole."""
        return max(0, self.published + self.reserved - self.slots)

    def frame(self, sequence: int) -> Frame | None:
        """Return a published frame as a read-only view; None if it is overwritten."""
        slot = sequence % self.slots
        at = _slot(slot)
        start = (at + _INFO) * _WORD
        data = bytes(self._bytes[start : start + self._words[at + _INFO_SIZE]])
        if not self.still_holds(sequence):
            return None
        return Frame(_decode(data), self._views[slot])

    def still_holds(self, sequence: int) -> bool:
        """Whether a copy made until now is of that frame, untorn."""
        return self._words[_slot(sequence % self.slots) + _SEQUENCE] == sequence

    # -- readers' entries ---------------------------------------------------------

    def entries(self) -> list[tuple[int, int]]:
        """Return index and kind of each entry that is taken."""
        words, count = self._words, self._words[_ENTRIES]
        kinds = [(index, words[_entry(index) + _KIND]) for index in range(count)]
        return [(index, kind) for index, kind in kinds if kind != FREE]

    def enter(self, index: int, name: str, kind: int, position: int) -> Place:
        """Take an entry for a new reader."""
        at = _entry(index)
        generation = self._words[at + _GENERATION] + 1
        self._words[at + _GENERATION] = generation
        self._words[at + _POSITION] = position
        self._words[at + _PARKED_NS] = 0
        text = name.encode()[:NAME_BYTES]
        start = (at + _NAME) * _WORD
        self._bytes[start : start + NAME_BYTES] = text.ljust(NAME_BYTES, b"\0")
        self._words[at + _KIND] = kind
        self._words[_ENTRIES] = max(self._words[_ENTRIES], index + 1)
        return Place(index, generation)

    def hand_over(self, index: int) -> Place:
        """Give an entry to a successor: who had it is put out, and nothing else."""
        at = _entry(index)
        generation = self._words[at + _GENERATION] + 1
        self._words[at + _GENERATION] = generation
        self._words[at + _PARKED_NS] = 0
        return Place(index, generation)

    def leave(self, index: int) -> None:
        """Free an entry."""
        self._words[_entry(index) + _KIND] = FREE

    def name_of(self, index: int) -> str:
        """Return the name of an entry's reader."""
        start = (_entry(index) + _NAME) * _WORD
        text = bytes(self._bytes[start : start + NAME_BYTES])
        return text.rstrip(b"\0").decode(errors="replace")

    def has(self, place: Place) -> bool:
        """Whether an entry is still that reader's."""
        at = _entry(place.index)
        return (
            self._words[at + _KIND] != FREE
            and self._words[at + _GENERATION] == place.generation
        )

    def position(self, index: int) -> int:
        """Sequence number of the first frame not released (or not seen) by a reader."""
        return self._words[_entry(index) + _POSITION]

    def move_to(self, index: int, position: int) -> None:
        """Set it."""
        self._words[_entry(index) + _POSITION] = position

    def parked_until_ns(self, index: int) -> int:
        """Until when a dead reader's frames are kept for its successor; 0: alive."""
        return self._words[_entry(index) + _PARKED_NS]

    def park(self, index: int, until_ns: int) -> None:
        """Keep a dead reader's frames for its successor."""
        self._words[_entry(index) + _PARKED_NS] = until_ns

    def lossless(self, now_ns: int) -> list[int]:
        """Return the lossless readers, without those that have been dead for long."""
        return [
            index
            for index, kind in self.entries()
            if kind == LOSSLESS and not 0 < self.parked_until_ns(index) < now_ns
        ]

    def in_the_way(self, now_ns: int) -> list[int]:
        """Return those whose unreleased frames fill the ring."""
        latest = self.published - self.slots
        return [i for i in self.lossless(now_ns) if self.position(i) <= latest]


def _entry(index: int) -> int:
    return _HEADER + index * _READER


def _slot(slot: int) -> int:
    return _SLOTS_AT + slot * _SLOT


def _control_bytes(slots: int) -> int:
    need = (_SLOTS_AT + slots * _SLOT) * _WORD
    return -(-need // GRANULARITY) * GRANULARITY


def _frame_bytes(shape: tuple[int, int], dtype: np.dtype[Any]) -> int:
    return int(shape[0]) * int(shape[1]) * dtype.itemsize


def _stride(shape: tuple[int, int], dtype: np.dtype[Any]) -> int:
    """Return the distance of two slots: whole pages."""
    return -(-_frame_bytes(shape, dtype) // mmap.PAGESIZE) * mmap.PAGESIZE


def _ring_bytes(shape: tuple[int, int], dtype: np.dtype[Any], slots: int) -> int:
    return _control_bytes(slots) + slots * _stride(shape, dtype)
