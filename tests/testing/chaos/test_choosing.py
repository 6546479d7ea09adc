"""The same seed, the same faults; also when the process has died in between."""

from __future__ import annotations

import pytest

from hal.base import DeviceError
from hal.testing import chaos
from hal.testing.chaos.choosing import FaultChooser
from hal.testing.chaos.fault import Arrangement
from hal.testing.chaos.journal import Caused, Journal
from modules.simulation import SimCamera, SimXYStage

CALLS = chaos.calls_of(SimXYStage)


def chooser(*faults, seed=1, module="stage", folder=""):
    told = Arrangement(module=module, seed=seed, faults=faults, folder=str(folder))
    return FaultChooser(told, CALLS)


def chosen(chooser, calls, call="move"):
    """Return the numbers of the calls that went wrong."""
    found = [chooser.choose(call) for _ in range(calls)]
    return [each.number for each in found if each is not None]


def often(probability=0.2, **more):
    more = {"call": "move", **more}
    return chaos.Fault(module="", kind="raise", probability=probability, **more)


def test_the_same_seed_chooses_the_same_calls():
    first = chosen(chooser(often()), 500)

    assert chosen(chooser(often()), 500) == first
    assert chosen(chooser(often(), seed=2), 500) != first
    assert chosen(chooser(often(), module="other"), 500) != first
    assert 60 <= len(first) <= 140


def test_certain_is_always_and_impossible_never():
    assert chosen(chooser(often(1.0)), 5) == [1, 2, 3, 4, 5]
    assert chosen(chooser(often(0.0)), 100) == []


def test_two_faults_of_a_module_have_a_chance_each():
    both = chooser(often(), often())
    found = [both.choose("move") for _ in range(300)]

    alone = chosen(chooser(often()), 300)
    assert len([each for each in found if each]) > len(alone)


def test_calls_are_numbered_by_what_a_fault_could_have_happened_in():
    moves = chaos.Fault(module="", kind="raise", call="move", at=(2,))
    all_calls = chaos.Fault(module="", kind="slow", at=(3,))
    both = chooser(moves, all_calls)

    calls = ["home", "is_moving", "move", "position", "open", "move"]
    found = [both.choose(call) for call in calls]

    # Questions, which are asked as often as time allows, count for no call at all.
    assert [f and (f.fault.kind, f.number) for f in found] == [
        *(None, None, None, None, None),
        ("raise", 2),
    ]


def test_a_fault_happens_no_more_often_than_it_may():
    assert chosen(chooser(often(1.0, times=2)), 10) == [1, 2]


def test_who_comes_after_a_death_counts_on(tmp_path):
    whole = chosen(chooser(often(), folder=tmp_path), 100)
    folder = tmp_path / "again"
    folder.mkdir()

    parts = [chosen(chooser(often(), folder=folder), 25) for _ in range(4)]

    assert [number for part in parts for number in part] == whole


def test_what_may_happen_once_does_not_happen_again_after_a_death(tmp_path):
    fault = chaos.Fault(module="", kind="kill", call="move", at=(3,))

    assert chosen(chooser(fault, folder=tmp_path), 3) == [3]
    assert chosen(chooser(fault, folder=tmp_path), 9) == []


def test_a_folder_that_is_not_there_is_an_error_of_the_device(tmp_path):
    with pytest.raises(DeviceError, match=r"chaos: .*counts cannot be used"):
        chooser(often(), folder=tmp_path / "missing").choose("move")


def test_a_note_that_was_cut_off_costs_only_itself(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    for t_s in (2.0, 1.0):
        journal.note(Caused(t_s=t_s, module="z", kind="lie", frame=3))
    with path.open("ab") as file:
        file.write(b'{"t_s": 3.0, "mod')

    assert [caused.t_s for caused in journal.read()] == [1.0, 2.0]


def test_the_calls_of_a_driver_are_called_as_its_hooks():
    assert CALLS["move"] == "_do_start_move"
    assert CALLS["home"] == "_do_start_home"
    assert CALLS["position"] == "_do_position"
    assert "abandon" not in CALLS
    cameras = chaos.calls_of(SimCamera)
    assert {"arm", "start", "read_into", "stop", "request"} < set(cameras)
