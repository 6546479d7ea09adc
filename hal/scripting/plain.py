"""Numbers as they come in notebooks."""

from __future__ import annotations

from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Return a scalar of numpy as Python's own, and anything else as it is."""
    return value.item() if isinstance(value, np.generic) else value
