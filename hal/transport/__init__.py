"""How bytes reach another part of HAL: in this process, or in one of its children."""

from hal.transport.framing import MOST_BYTES, Unframer, framed
from hal.transport.loopback import Loopback
from hal.transport.output import Output
from hal.transport.pipe import Pipe
from hal.transport.platform import adopt, limit_memory, prepare_child
from hal.transport.process import ChildProcess, Exit

__all__ = [
    "MOST_BYTES",
    "ChildProcess",
    "Exit",
    "Loopback",
    "Output",
    "Pipe",
    "Unframer",
    "adopt",
    "framed",
    "limit_memory",
    "prepare_child",
]
