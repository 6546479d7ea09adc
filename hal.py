"""Start HAL from a checkout: `python hal.py CONFIG [options]`.

On import the package `hal/` wins over this file, so nothing ever imports it. Any
Python can read it (no annotations, no f-strings), because it says what is missing.
"""

import sys


def _main():
    if sys.version_info < (3, 11):  # noqa: UP036
        version = ".".join(str(part) for part in sys.version_info[:3])
        sys.stderr.write("HAL needs Python 3.11 or newer; this is " + version + "\n")
        return 3
    try:
        from hal.cli import main
    except KeyboardInterrupt:
        return 130
    except ImportError as exc:
        if exc.name is None or exc.name.split(".")[0] in ("hal", "modules"):
            raise
        sys.stderr.write(
            "HAL needs the package '" + exc.name + "', which " + sys.executable
            + " cannot import: run `python3 tools/start.py`\n"
        )  # fmt: skip
        return 3
    return main(sys.argv[1:])


# Guarded, because a spawned child process imports this file again.
if __name__ == "__main__":
    sys.exit(_main())
