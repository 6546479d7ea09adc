"""Disks of a chosen size, real ones, that vanish with the process that holds them.

They live in a mount namespace: root has one, others where the kernel allows it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_NAMESPACES = (["--mount"], ["--mount", "--user", "--map-root-user"])


@dataclass(frozen=True)
class Disk:
    """A file system that only programs started with `enter` see at `path`."""

    path: Path
    holder: subprocess.Popen[bytes]
    namespaces: tuple[str, ...]

    @property
    def enter(self) -> list[str]:
        """What to put before a command that shall see the disk."""
        kinds = [kind for kind in self.namespaces if kind != "--map-root-user"]
        keep = ["--preserve-credentials"] if "--user" in kinds else []
        return ["nsenter", "--target", str(self.holder.pid), *kinds, *keep]

    @property
    def outside(self) -> Path:
        """Where the disk is seen from outside."""
        return Path(f"/proc/{self.holder.pid}/root{self.path}")


def usable_namespaces() -> tuple[str, ...]:
    """Return what `unshare` may do here; empty where no disk can be mounted."""
    if sys.platform != "linux" or not shutil.which("nsenter"):
        return ()
    for namespaces in _NAMESPACES:
        command = ["unshare", *namespaces, "mount", "-t", "tmpfs", "none", "/tmp"]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return tuple(namespaces)
    return ()


@contextmanager
def mounted(path: Path, options: str) -> Iterator[Disk]:
    """Mount a disk in memory at `path`, an empty folder."""
    namespaces = usable_namespaces()
    script = f'mount -t tmpfs -o {options} none "$0" && echo ready && exec sleep 1000'
    with subprocess.Popen(
        ["unshare", *namespaces, "sh", "-c", script, str(path)],
        stdout=subprocess.PIPE,
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"ready\n"
            yield Disk(path, holder, namespaces)
        finally:
            holder.kill()
