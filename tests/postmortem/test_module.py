"""A bundle for every run that fails, by itself, and no harm where it cannot be had."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hal.acquisition import RunState, RunStatus
from hal.base import StateError, set_log_sink
from hal.kernel import RunLost, System
from hal.messages import (
    MakePostmortem,
    Postmortem,
    PostmortemWritten,
    RunStatusChanged,
)
from hal.postmortem import BUNDLE_SUFFIX, PostmortemModule
from hal.testing import Probe
from tests.postmortem.traces import RUN, failed


class Bench:
    """A HAL that writes bundles, and nothing else."""

    def __init__(self, folder: Path) -> None:
        self.logs = folder / "logs"
        self.films = folder / "films"
        self.films.mkdir()
        self.system = System(log_folder=self.logs)
        self.system.run_kernel()
        self.system.add(Probe, "probe")
        self.system.add(
            PostmortemModule,
            "postmortem",
            log_folder=self.logs,
            session=self.system.ids.session,
        )
        self.system.start()

    def tell(self, status: RunStatus) -> None:
        self.system.send(RunStatusChanged(status.run_id, status)).wait()

    def ask(self, run_id: str = RUN) -> Postmortem:
        delivery = self.system.send(MakePostmortem(run_id))
        delivery.wait()
        found = delivery.result()
        assert isinstance(found, Postmortem)
        return found


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    previous = set_log_sink(made.system.trace.log)
    yield made
    made.system.stop()
    set_log_sink(previous)


def said(path: str | Path) -> str:
    with zipfile.ZipFile(path) as archive:
        return archive.read("README.txt").decode()


def test_a_run_that_fails_has_its_bundle_beside_the_film(bench):
    sidecar = bench.films / "a.xml"
    sidecar.write_text("<settings/>")

    bench.tell(failed(bench.films / "a.dax", sidecar))

    found = bench.ask()
    assert found.path == str(bench.films / "a_postmortem.zip")
    assert "job 'move stage' hangs" in said(found.path)


def test_a_run_without_a_film_has_it_in_the_log_folder(bench):
    bench.tell(failed())

    assert bench.ask().path == str(bench.logs / "run_00000r_postmortem.zip")


@pytest.mark.parametrize("state", [RunState.DONE, RunState.CANCELLED, RunState.RUNNING])
def test_a_run_that_has_not_failed_has_none_unless_asked_for(bench, state):
    bench.tell(msgspec.structs.replace(failed(), state=state))
    bench.system.stop()

    assert list(bench.logs.glob(f"*{BUNDLE_SUFFIX}")) == []


def test_one_is_made_of_a_run_that_goes_on_when_asked_and_again_when_it_fails(bench):
    bench.tell(msgspec.structs.replace(failed(), state=RunState.RUNNING))
    assert "state 'running'" in said(bench.ask().path)

    bench.tell(failed())

    assert "state 'error'" in said(bench.ask().path)


def test_a_run_that_nobody_conducts_any_more_has_one(bench):
    bench.tell(
        msgspec.structs.replace(failed(), state=RunState.RUNNING, fatal_error=None)
    )

    bench.system.send(RunLost(RUN, "acquisition has died"))

    bench.system.send(RunStatusChanged(RUN, failed())).wait()
    assert "acquisition has died" in said(bench.ask().path)


def test_where_the_film_is_cannot_be_written_it_is_in_the_log_folder(bench):
    bench.tell(failed(bench.films / "gone" / "a.xml"))

    assert bench.ask().path == str(bench.logs / "run_00000r_postmortem.zip")


def test_where_nothing_can_be_written_it_says_why_and_all_else_goes_on(
    bench, monkeypatch
):
    def full(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(zipfile.ZipFile, "writestr", full)
        bench.tell(failed(bench.films / "a.xml"))
        found = bench.ask()

    assert found.path == ""
    assert found.why_not.count("No space left on device") == 2
    assert list(bench.films.iterdir()) == []
    bench.tell(msgspec.structs.replace(failed(), run_id="another"))
    assert bench.ask("another").path


def test_it_is_told_to_everybody_and_made_once(bench):
    bench.tell(failed())

    first = bench.ask()
    stamp = Path(first.path).stat().st_mtime_ns
    assert bench.ask() == first

    assert Path(first.path).stat().st_mtime_ns == stamp
    probe = bench.system.module("probe")
    assert isinstance(probe, Probe)
    assert [told.postmortem for told in probe.heard(PostmortemWritten)] == [first]


def test_an_unknown_run_is_refused(bench):
    delivery = bench.system.send(MakePostmortem("nobody"))
    delivery.wait()

    with pytest.raises(StateError, match="there was no run nobody"):
        delivery.result()


def test_a_stop_just_after_the_failure_waits_for_the_bundle(bench):
    bench.tell(failed())

    problems = bench.system.stop()

    assert problems == ()
    assert "job 'move stage' hangs" in said(bench.logs / "run_00000r_postmortem.zip")
    assert bench.system.left_behind() == ()
