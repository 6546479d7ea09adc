"""Run by `test_record.py`: two threads read nested records for the first time."""

from __future__ import annotations

import sys
import threading
from typing import Any

from hal.base import Record, pack, unpack


def make(name: str, **annotations: str) -> Any:
    """Return a new class of records that others may name in their fields."""
    space = {"__annotations__": annotations, "__module__": "__main__"}
    cls = type(Record)(name, (Record,), space, frozen=True)
    globals()[name] = cls
    return cls


def main() -> None:
    """Read many kinds of records, each kind for the first time, on two threads."""
    sys.setswitchinterval(1e-6)
    for n in range(100):
        fields = {
            f"f{k}": "list[int] | dict[str, float | None] | str" for k in range(20)
        }
        deep = make(f"Deep{n}", **fields)
        middle = make(f"Middle{n}", deep=f"Deep{n}", last="str")
        outer = [make(f"Outer{side}{n}", inner=f"Middle{n}") for side in "AB"]
        data = [pack(cls(middle(deep(*["x"] * 20), "y"))) for cls in outer]
        gate = threading.Barrier(2)

        def read(cls: Any, packed: bytes, gate: threading.Barrier = gate) -> None:
            gate.wait()
            unpack(cls, packed)

        pairs = zip(outer, data, strict=True)
        threads = [threading.Thread(target=read, args=pair) for pair in pairs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main()
