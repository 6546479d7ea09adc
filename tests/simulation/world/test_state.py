"""What a device publishes is whole, stays, and is seen in every process."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hal.base import DeviceError, ParameterError
from modules.simulation.world import FIELDS, LIGHT_SOURCE, XY_STAGE, World, layout
from modules.simulation.world.file_lock import locked

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.create(tmp_path / "w.state", seed=3)


def elsewhere(code: str, *arguments: object) -> str:
    """Return what a program prints that runs in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_what_one_process_writes_another_reads(world: World) -> None:
    world.device("stage", XY_STAGE).write(x_um=1.25, y_um=-2.5)

    printed = elsewhere(
        "import sys; from pathlib import Path; from modules.simulation.world import *;"
        "stage = World.open(Path(sys.argv[1])).devices()['stage'];"
        "print(stage['x_um'], stage['y_um']); stage.write(x_um=7.0)",
        world.path,
    )

    assert printed == "1.25 -2.5"
    assert world.device("stage", XY_STAGE)["x_um"] == 7.0
    assert world.device("stage", XY_STAGE)["y_um"] == -2.5


@pytest.mark.parametrize("kind", FIELDS)
def test_a_new_device_has_the_first_values_of_its_kind(kind: str, world: World) -> None:
    assert world.device("it", kind).read() == FIELDS[kind]


def test_devices_are_numbered_within_their_kind(world: World) -> None:
    for name, kind in (("a", XY_STAGE), ("b", LIGHT_SOURCE), ("c", LIGHT_SOURCE)):
        world.device(name, kind)

    assert [d.ordinal for d in World.open(world.path).devices().values()] == [0, 0, 1]
    assert [d.name for d in world.of_kind(LIGHT_SOURCE)] == ["b", "c"]


def test_a_reader_never_sees_half_of_what_was_written(world: World) -> None:
    writer = world.device("stage", XY_STAGE)
    reader = World.open(world.path).device("stage", XY_STAGE)
    ended = threading.Event()
    torn: list[dict[str, float]] = []

    def read() -> None:
        while not ended.is_set():
            values = reader.read()
            if values["x_um"] != -values["y_um"]:
                torn.append(values)

    thread = threading.Thread(target=read)
    thread.start()
    for n in range(3000):
        writer.write(x_um=n, y_um=-n)
    ended.set()
    thread.join(10.0)

    assert torn == []


def test_a_writer_that_is_killed_leaves_the_last_whole_values(world: World) -> None:
    stage = world.device("stage", XY_STAGE)
    stage.write(x_um=1.0, y_um=2.0)
    slot = world.file.devices[0]

    # What a kill in the middle of `write` leaves: the other bank, half filled.
    slot["banks"][(int(slot["version"]) + 1) % 2][:1] = 99.0

    assert World.open(world.path).device("stage", XY_STAGE)["x_um"] == 1.0
    stage.write(y_um=3.0)
    assert (stage["x_um"], stage["y_um"]) == (1.0, 3.0)


def test_processes_that_come_at_once_get_slots_of_their_own(world: World) -> None:
    code = (
        "import sys; from pathlib import Path; from modules.simulation.world import *;"
        "w = World.create(Path(sys.argv[1]), seed=3);"
        "[w.device(f'{sys.argv[2]}{n}', XY_STAGE) for n in range(10)]"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(world.path), name], cwd=ROOT)
        for name in ("a", "b", "c")
    ]

    assert [process.wait(60) for process in running] == [0, 0, 0]
    devices = world.devices()
    assert len(devices) == 30
    assert sorted(d.ordinal for d in devices.values()) == list(range(30))


def test_a_device_publishes_only_what_its_kind_does(world: World) -> None:
    with pytest.raises(DeviceError, match="xy_stage 'stage' publishes no 'z_um'"):
        world.device("stage", XY_STAGE).write(z_um=1.0)
    with pytest.raises(DeviceError, match="is a xy_stage"):
        world.device("stage", LIGHT_SOURCE)
    with pytest.raises(DeviceError, match="'pump' is no kind of device"):
        world.device("p", "pump")


def test_a_note_names_the_devices_it_acts_on(world: World) -> None:
    light = world.device("laser", LIGHT_SOURCE)
    assert light.note == ()

    light.note = ("a", "b_2")

    assert World.open(world.path).devices()["laser"].note == ("a", "b_2")
    with pytest.raises(DeviceError, match="more devices than can be noted"):
        light.note = tuple("long" * 9 for _ in range(9))


def test_a_full_world_refuses_one_more(world: World) -> None:
    for n in range(layout.DEVICES):
        world.device(f"d{n}", XY_STAGE)

    with pytest.raises(DeviceError, match="has room for 64 devices"):
        world.device("late", XY_STAGE)


def test_a_state_is_taken_as_it_is_by_a_world_of_the_same_parameters(
    world: World,
) -> None:
    world.device("stage", XY_STAGE).write(x_um=4.0)

    again = World.create(world.path, seed=3)

    assert again.device("stage", XY_STAGE)["x_um"] == 4.0
    with pytest.raises(ParameterError, match="another world, with seed=3: expected"):
        World.create(world.path, seed=4)
    with pytest.raises(ParameterError, match=r"with bleaching=1\.0, seed=3"):
        World.create(world.path, seed=4, bleaching=2.0)


def test_a_file_that_is_something_else_is_refused_and_left_alone(
    tmp_path: Path,
) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("Buffer: PBS, 10 mM MEA\n")

    with pytest.raises(DeviceError, match="is not the state of a simulated world"):
        World.create(path)

    assert path.read_text() == "Buffer: PBS, 10 mM MEA\n"
    with pytest.raises(DeviceError, match="cannot be used"):
        World.open(tmp_path / "absent")
    with pytest.raises(DeviceError, match="cannot be made"):
        World.create(tmp_path / "absent" / "w.state")
    damaged = tmp_path / "damaged"
    damaged.write_bytes(layout.MAGIC + b"{" + bytes(layout.SIZE))
    with pytest.raises(DeviceError, match="is damaged"):
        World.open(damaged)


def test_a_kill_while_a_state_is_made_leaves_one_that_can_be_made_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / "w.state"
    path.write_bytes(layout.MAGIC + b'{"se')

    assert World.create(path, seed=9).seed == 9


def test_every_block_of_a_state_is_there_before_it_is_used(world: World) -> None:
    """A hole that is written to through a mapping on a full disk ends the process."""
    blocks = getattr(world.path.stat(), "st_blocks", None)

    assert world.path.stat().st_size == layout.SIZE
    assert blocks is None or blocks * 512 >= layout.SIZE


def test_a_lock_ends_with_the_process_that_held_it(world: World) -> None:
    code = (
        "import sys, os; from pathlib import Path;"
        "from modules.simulation.world.file_lock import locked;"
        "locked(Path(sys.argv[1])).__enter__(); os._exit(0)"
    )
    elsewhere(code, world.path)

    with locked(world.path):
        pass


def test_a_lock_that_is_held_too_long_is_reported(world: World) -> None:
    class Impatient:
        """A clock on which every look takes a second."""

        now_s = 0.0

        def monotonic_s(self) -> float:
            self.now_s += 1.0
            return self.now_s

        def wait(self, event: threading.Event, timeout_s: float) -> bool:
            return event.wait(0.0)

        wall_s = monotonic_s

    held = pytest.raises(DeviceError, match="is held by another process")
    with locked(world.path), held:
        locked(world.path, Impatient()).__enter__()


def test_chance_depends_on_its_arguments_alone(world: World) -> None:
    same = World.open(world.path)

    def drawn(*arguments: object) -> float:
        return float(world.random(*arguments).random())  # type: ignore[arg-type]

    first = drawn("noise", 1, 2)
    drawn("other", 5, 6)

    assert drawn("noise", 1, 2) == first == same.random("noise", 1, 2).random()
    others = [("noise", 2, 1), ("noise", 1, 3), ("noise", 1, -2), ("moves", 1, 2)]
    assert len({first, *(drawn(*other) for other in others[:2] + others[3:])}) == 4
    other = World.create(world.path.with_name("other"), seed=4)
    assert other.random("noise", 1, 2).random() != first
