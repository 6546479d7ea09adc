"""Who a message comes from: a module, or a person or program outside.

A principal is a string: the name of a module, `cli`, `hal` (the application itself),
`script:NAME`, `gui:NAME` or `remote:KEY`. Leases belong to principals.
"""

from __future__ import annotations

import re

CLI = "cli"
HAL = "hal"

_OUTSIDE = re.compile(r"(script|gui|remote):[\w.@-]+\Z")
_INSIDE = re.compile(r"[a-z][a-z0-9_]*\Z")


def is_principal(text: str) -> bool:
    """Return whether `text` is a well-formed principal."""
    return bool(_INSIDE.match(text) or _OUTSIDE.match(text))
