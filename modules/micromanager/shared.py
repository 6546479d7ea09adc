"""Drivers that name the same Micro-Manager configuration share one core.

Two cores would both open the same instruments; so cores are kept here by the path of
their configuration, and counted. Runs on: any thread, within one process.
"""

from __future__ import annotations

import threading
from pathlib import Path

from hal.base import StateError
from modules.micromanager.core import UNLOAD_S, CoreOwner
from modules.micromanager.package import DEMO

_lock = threading.Lock()
_cores: dict[str, CoreOwner] = {}
_users: dict[str, int] = {}
# Closing or abandoned: it may hold its devices still, so its successor waits for it.
_leaving: dict[str, CoreOwner] = {}


def acquire(config: str) -> CoreOwner:
    """Return the core of a configuration, loaded; give it back with `release`.

    Runs on: worker.

    Raises:
        StartError: Micro-Manager or its device adapters are not installed.
        ConfigError: No such file, or the core refuses what is in it.
        StateError: An abandoned core still holds the devices.
    """
    key = core_key(config)
    owner = _enter(key, config)
    while owner is None:
        _wait_for_predecessor(key)
        owner = _enter(key, config)
    try:
        owner.load()
    except BaseException:
        release(owner)
        raise
    return owner


def release(owner: CoreOwner) -> None:
    """Give a core back; the last user's release unloads its devices.

    Runs on: worker.

    Raises:
        DeviceTimeout: It hangs; it unloads its devices when it comes back, if ever.
    """
    key = core_key(owner.config)
    with _lock:
        if _cores.get(key) is not owner:
            return  # abandoned meanwhile
        _users[key] -= 1
        if _users[key] > 0:
            return
        _let_go(key)
    owner.close(0.0 if owner.hangs_in else UNLOAD_S)


def abandon(owner: CoreOwner) -> None:
    """Write a core off for all its users.

    Runs on: any.
    """
    owner.abandon()
    key = core_key(owner.config)
    with _lock:
        if _cores.get(key) is owner:
            _let_go(key)


def _enter(key: str, config: str) -> CoreOwner | None:
    """Become a user of the core; None while its predecessor is still there."""
    with _lock:
        if key not in _cores:
            leaving = _leaving.get(key)
            if leaving is not None and not leaving.wait_until_ended(0.0):
                return None
            _leaving.pop(key, None)
            _cores[key] = CoreOwner(config)
            _users[key] = 0
        _users[key] += 1
        return _cores[key]


def _wait_for_predecessor(key: str) -> None:
    with _lock:
        leaving = _leaving.get(key)
    if leaving is None or leaving.wait_until_ended(UNLOAD_S):
        return
    doing = f" in '{leaving.hangs_in}'" if leaving.hangs_in else ""
    raise StateError(
        f"Micro-Manager ({leaving.config}): an earlier core of this configuration "
        f"hangs{doing} and still holds its devices; restart the process it runs in"
    )


def _let_go(key: str) -> None:
    _leaving[key] = _cores.pop(key)
    del _users[key]


def core_key(config: str) -> str:
    """Return what tells one core from another: the file, however it is written."""
    return config if config == DEMO else str(Path(config).expanduser().absolute())
