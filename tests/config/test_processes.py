"""Where modules live of which the file says nothing, and who has to live together."""

from __future__ import annotations

from pathlib import Path

import pytest

from hal.app import plan
from hal.base import BadInput, StartError

PUPPETS = "tests.isolation.puppets"
MM = "micromanager"


def module(name: str, kind: str, driver: str, more: str = "", where: str = "") -> str:
    said = f'isolation="{where}"' if where else ""
    return (
        f'<module name="{name}" class="{kind}" {said}>'
        f'<driver class="{driver}" {more}/></module>'
    )


def stage(name: str, driver: str, more: str = "", where: str = "") -> str:
    return module(name, "stages.xy_stage", f"{PUPPETS}.{driver}", more, where)


def mm_stage(where: str = "", config: str = "demo") -> str:
    driver, kind = f"{MM}.xy_stage", "stages.xy_stage"
    return module("stage", kind, driver, f'config="{config}"', where)


def mm_z(where: str = "", config: str = "demo") -> str:
    return module("z", "stages.z_stage", f"{MM}.z_stage", f'config="{config}"', where)


def processes(folder: Path, *modules: str, simulation: bool = False) -> dict[str, str]:
    """Return the processes of the modules that the file names."""
    path = folder / "config.xml"
    text = "\n".join(modules)
    path.write_text(f'<hal name="Test" directory="{folder}">\n{text}\n</hal>\n')
    built = plan(path, simulation=simulation).modules
    return {module.spec.name: module.process for module in built if module.spec.file}


def test_a_driver_may_ask_for_a_process_and_the_file_may_refuse(tmp_path: Path) -> None:
    assert processes(tmp_path, stage("s", "LoneStage")) == {"s": "s"}
    assert processes(tmp_path, stage("s", "LoneStage", where="none")) == {"s": ""}
    assert processes(tmp_path, stage("s", "LoneStage", where="process:a")) == {"s": "a"}
    plain = module("s", "stages.xy_stage", "simulation.xy_stage")
    assert processes(tmp_path, plain) == {"s": ""}


def test_drivers_of_one_sdk_share_a_process(tmp_path: Path) -> None:
    found = processes(
        tmp_path,
        stage("a", "SdkStage"),
        stage("b", "SdkStage"),
        stage("c", "SdkStage", where="none"),
        stage("d", "SdkStage", where="process:sdk"),
    )

    assert found == {"a": "sdk", "b": "sdk", "c": "", "d": "sdk"}


def test_each_shared_handle_has_a_process(tmp_path: Path) -> None:
    found = processes(
        tmp_path,
        stage("a", "SdkStage", 'unit="1"'),
        stage("b", "SdkStage", 'unit="2"'),
        stage("c", "SdkStage", 'unit="1"'),
    )

    assert found == {"a": "sdk", "b": "sdk_2", "c": "sdk"}


@pytest.mark.parametrize("unit", ["", "1"])
def test_one_that_has_to_stay_keeps_those_it_shares_with(
    tmp_path: Path, unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = f'unit="{unit}"'
    camera = module("c", "cameras.camera", f"{PUPPETS}.SdkCamera", more)
    monkeypatch.setattr(
        "modules.cameras.camera.CameraModule.stays_because", "it has to"
    )

    assert processes(tmp_path, stage("a", "SdkStage", more), camera) == {
        "a": "",
        "c": "",
    }

    monkeypatch.setattr("modules.cameras.camera.CameraModule.stays_because", "")
    assert processes(tmp_path, stage("a", "SdkStage", more), camera) == {
        "a": "sdk",
        "c": "sdk",
    }


def test_who_shares_a_handle_goes_where_the_file_puts_one_of_them(
    tmp_path: Path,
) -> None:
    def both(where: str) -> dict[str, str]:
        return processes(
            tmp_path,
            stage("a", "SdkStage", 'unit="1"'),
            stage("b", "SdkStage", 'unit="1"', where),
        )

    assert both("none") == {"a": "", "b": ""}
    assert both("process:mine") == {"a": "mine", "b": "mine"}


def test_a_file_cannot_separate_them(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="'a': expected isolation='none'") as refused:
        processes(
            tmp_path,
            stage("a", "SdkStage", 'unit="1"', "none"),
            stage("b", "SdkStage", 'unit="1"', "process"),
        )

    assert "config.xml:3: module 'b'" in str(refused.value)


def test_nor_from_one_that_has_to_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "modules.cameras.camera.CameraModule.stays_because", "it has to"
    )
    camera = module("c", "cameras.camera", f"{PUPPETS}.SdkCamera", 'unit="1"')

    with pytest.raises(BadInput, match="'c', which cannot be isolated: it has to"):
        processes(tmp_path, camera, stage("a", "SdkStage", 'unit="1"', "process"))


def test_the_limit_of_a_process_is_that_of_whoever_names_it(tmp_path: Path) -> None:
    limited = stage("a", "SdkStage", 'unit="1"', "process").replace(
        'isolation="process"', 'isolation="process" memory_mb="700"'
    )
    path = tmp_path / "config.xml"
    text = limited + stage("b", "SdkStage", 'unit="1"')
    path.write_text(f'<hal name="Test" directory="{tmp_path}">{text}</hal>')

    found = {m.spec.name: m for m in plan(path).modules}

    assert (found["a"].process, found["a"].memory_mb) == ("a", 700.0)
    assert (found["b"].process, found["b"].memory_mb) == ("a", 700.0)
    assert found["recorder"].memory_mb is None


def test_a_class_that_declares_nonsense_cannot_start(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="declares isolation='proces': expected none"):
        processes(tmp_path, stage("s", "OddStage"))


def test_micro_manager_is_isolated_one_process_for_each_configuration(
    tmp_path: Path,
) -> None:
    mine = tmp_path / "mine.cfg"

    assert processes(tmp_path, mm_stage(), mm_z()) == {"stage": MM, "z": MM}
    assert processes(tmp_path, mm_stage(), mm_z(config=str(mine))) == {
        "stage": MM,
        "z": f"{MM}_2",
    }
    assert processes(tmp_path, mm_stage(where="none"), mm_z()) == {"stage": "", "z": ""}
    with pytest.raises(BadInput, match="shares its instruments"):
        processes(tmp_path, mm_stage(where="process"), mm_z(where="process"))


def test_a_simulator_in_its_place_stays(tmp_path: Path) -> None:
    assert processes(tmp_path, mm_stage(), mm_z(), simulation=True) == {
        "stage": "",
        "z": "",
    }
