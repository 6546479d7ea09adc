"""Set HAL up and try it: `python3 tools/start.py --help` says what it does.

Any Python can read this file (no annotations, no f-strings), so that an old one is
told which one to use; the work is in `start_main.py` and `environment.py`.
"""

import os
import sys

if sys.version_info < (3, 11):  # noqa: UP036
    sys.stderr.write(
        "HAL needs Python 3.11 or newer; this is "
        + ".".join(str(part) for part in sys.version_info[:3])
        + " (" + str(sys.executable) + ").\n"
    )  # fmt: skip
    for name in ("python3.13", "python3.12", "python3.11"):
        for folder in os.environ.get("PATH", "").split(os.pathsep):
            if os.path.exists(os.path.join(folder, name)):
                sys.stderr.write("Type: " + name + " tools/start.py\n")
                sys.exit(3)
    sys.stderr.write("Install one, for example from https://www.python.org.\n")
    sys.exit(3)

from start_main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
