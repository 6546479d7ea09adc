from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True, scope="session")
def core_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep Micro-Manager's own log out of the user's home folder."""
    path = tmp_path_factory.mktemp("micromanager") / "core.log"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYMM_LOG_FILE", str(path))
        yield path
