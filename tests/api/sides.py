"""The sides of a split system, wherever they live: what the tests of roles run against.

An entry of `SIDES` starts a HAL and yields its roles as a client has them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

from hal.api import McsAPI, OrchestratorAPI, StateTold, StorageAPI
from hal.kernel import Event
from hal.local_api import LocalMcs, LocalOrchestrator
from hal.local_storage import LocalStorage
from hal.testing import running_hal, wait_until

CONFIG = """<hal name="Roles" directory="{folder}">
  <module name="camera1" class="cameras.camera">
    <driver class="simulation.camera" width_px="16" height_px="16" exposure_s="0.002"/>
  </module>
  <module name="stage" class="stages.xy_stage">
    <driver class="simulation.xy_stage" speed_um_s="1e6"/>
  </module>
</hal>
"""


class Roles(NamedTuple):
    """What a client has in its hands."""

    mcs: McsAPI
    storage: StorageAPI
    orchestrator: OrchestratorAPI
    stop: Callable[[], object]
    """Ends the other side."""


class Listener:
    """A user interface that only remembers."""

    def __init__(self) -> None:
        self.heard: list[StateTold] = []
        self.ended: list[str] = []
        self.go_on = threading.Event()
        self.go_on.set()

    def state_told(self, news: StateTold) -> None:
        self.go_on.wait(10.0)
        self.heard.append(news)

    def feed_ended(self, why: str) -> None:
        self.ended.append(why)

    def events(self, *, news: bool = True) -> list[Event]:
        return [told.event() for told in self.heard if told.is_news == news]

    def wait_for(self, event: Event) -> None:
        wait_until(lambda: event in self.events())


@contextmanager
def in_process(folder: Path) -> Iterator[Roles]:
    config = folder / "roles.xml"
    config.write_text(CONFIG.format(folder=folder))
    with running_hal(config) as hal:
        storage = LocalStorage(hal.system, "script:storage")
        mcs = LocalMcs(hal.system, "gui:test")
        orchestrator = LocalOrchestrator(hal.system, "gui:test")
        yield Roles(mcs, storage, orchestrator, hal.system.stop)


SIDES: dict[str, Callable[[Path], AbstractContextManager[Roles]]] = {
    "in process": in_process,
}
