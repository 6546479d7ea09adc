"""Modules of one SDK may share a process: they live and die together."""

from __future__ import annotations

import os
import signal

import pytest

from hal.kernel import StopModule, System
from tests.isolation.bench import (
    add,
    ask,
    done,
    gateway,
    is_there,
    send,
    until,
    until_works,
)
from tests.isolation.puppets import Do, DoAsJob


@pytest.fixture
def pair(system: System) -> System:
    for name in ("one", "two"):
        add(system, name, process="sdk")
    assert system.start() == ()
    return system


def test_they_share_a_process_and_its_main_thread(pair: System) -> None:
    pids = {ask(pair, Do("show"), name).number for name in ("one", "two")}

    assert pids == {gateway(pair, "one").pid}
    for name in ("one", "two"):
        assert ask(pair, DoAsJob("is_main"), name) is True
        assert ask(pair, DoAsJob("show"), name).text == f"{name}/1/worker"


def test_one_may_ask_the_other_while_it_is_not_on_the_thread(pair: System) -> None:
    send(pair, Do("tell 3"), "one")

    until(lambda: ask(pair, Do("count"), "two") == 1)


def test_both_are_begun_anew_in_a_new_process(pair: System) -> None:
    pid = gateway(pair, "one").pid

    os.kill(pid, signal.SIGKILL)

    pids = {until_works(pair, name, 2).pid for name in ("one", "two")}
    assert len(pids) == 1
    assert pids != {pid}


def test_a_hung_one_takes_the_other_along(pair: System) -> None:
    pid = gateway(pair, "one").pid
    hung = send(pair, DoAsJob("hang", deadline_s=0.3), "one")

    assert done(hung).errors[0].kind == "WorkerTimeout"

    for name in ("one", "two"):
        until_works(pair, name, 2)
    until(lambda: not is_there(pid))


def test_the_process_ends_with_the_last(pair: System) -> None:
    pid = gateway(pair, "one").pid

    assert done(send(pair, StopModule(), "one")).errors == ()
    assert ask(pair, Do("answer"), "two") == 42
    assert done(send(pair, StopModule(), "two")).errors == ()

    assert not is_there(pid)
