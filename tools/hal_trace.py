"""Read what HAL wrote about itself: `python tools/hal_trace.py --help`.

Needs only Python and orjson, so a trace can be read away from the instrument; only
`bundle` needs HAL.
"""

from __future__ import annotations

import sys

from tracing import main

if __name__ == "__main__":
    sys.exit(main())
