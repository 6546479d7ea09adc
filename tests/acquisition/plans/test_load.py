from __future__ import annotations

import builtins
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from hal.acquisition.plans import (
    AfterFailure,
    FailurePolicy,
    WaitEvent,
    from_useq,
    load_plan,
)
from hal.base import PlanError, StartError
from tests.acquisition.plans import sequences as said

ROOT = Path(__file__).resolve().parents[3]


def written(folder: Path, text: str, name: str = "plan.yaml") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def refused(path: Path) -> str:
    """Return why a file is no plan; the error names the file first."""
    with pytest.raises(PlanError) as caught:
        load_plan(path)
    text = str(caught.value)
    assert caught.value.file == str(path)
    assert text.startswith(f"{path}:")
    return text.removeprefix(f"{path}:").strip()


@pytest.mark.parametrize("name", said.EXAMPLES)
def test_what_useq_writes_is_read(name, tmp_path):
    sequence = said.sequence(name)
    as_json = written(tmp_path, sequence.model_dump_json(exclude_unset=True), "a.json")
    if name != "a setup":  # whose action useq writes without its kind
        assert list(load_plan(as_json)) == list(from_useq(said.sequence(name)))
    whole = written(tmp_path, sequence.model_dump_json(), "b.json")
    assert list(load_plan(whole)) == list(from_useq(said.sequence(name)))


@pytest.mark.parametrize("name", said.EXAMPLES)
def test_json_and_yaml_say_the_same(name, tmp_path):
    text = json.dumps(said.EXAMPLES[name], indent=1)

    as_json = load_plan(written(tmp_path, text, "plan.json"))
    as_yaml = load_plan(written(tmp_path, text, "plan.yml"))

    assert list(as_json) == list(as_yaml) == list(from_useq(said.sequence(name)))
    assert as_json.source.endswith("plan.json")


def test_phases_and_waits_follow_each_other(tmp_path):
    path = written(
        tmp_path,
        """
phases:
  - phase_id: base
    phase_name: Before the drug
    channels: [DAPI]
    time_plan: {interval: 10, loops: 3}
  - wait_s: 10
    phase_id: soak
  - channels: [DAPI]
    time_plan: {interval: 10, loops: 3}
on_failure: {retries: 2, then: skip}
deadline_s: 600
""",
    )

    plan = load_plan(path)

    assert [e.min_start_time_s for e in plan if e.makes_image] == [
        *(0, 10, 20),
        *(30, 40, 50),
    ]
    assert [e.phase for e in plan] == ["base"] * 3 + ["soak"] + [""] * 3
    assert [(p.id, p.name) for p in plan.phases] == [
        ("base", "Before the drug"),
        ("soak", ""),
    ]
    assert plan.on_failure == FailurePolicy(2, AfterFailure.SKIP)
    assert plan.deadline_s == 600


def test_a_list_is_phases_too(tmp_path):
    text = '[{"wait_s": 10}, {"time_plan": {"interval": 5, "loops": 2}}]'

    first, *rest = load_plan(written(tmp_path, text, "plan.json"))

    assert isinstance(first, WaitEvent)
    assert [event.min_start_time_s for event in rest] == [10, 15]


def test_positions_may_be_due_one_after_the_other(tmp_path):
    path = written(
        tmp_path,
        """
stage_positions: [[0, 0], [10, 0, 5]]
time_plan: {interval: 10, loops: 2}
time_per_position_s: 3
""",
    )

    plan = load_plan(path)

    assert [e.min_start_time_s for e in plan] == [0, 3, 10, 13]
    assert [(e.x_um, e.y_um, e.z_um) for e in plan][:2] == [(0, 0, None), (10, 0, 5)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the plan is empty"),
        ("[]", "the plan is empty"),
        ("{}", "the plan is empty"),
        ("phases: []", "1: phases: the plan is empty"),
        ("[{wait_s: 3}]", "takes no image"),
        ("channels: []", "takes no image"),
        ("7", "expected a sequence, or a list"),
        ("channels: [a\nz_plan: 3", "2: no YAML: "),
        ("channels: [a]\n\tz_plan: 3", "2: no YAML: "),
        ("channels: [a]\nz_plan: &x [*x]", "nested too deeply"),
        ("a: \x07", "no YAML"),
        ("channels: [a]\nchannels: [b]", "2: channels: is there twice"),
        ("3: [a]", "key 3: expected text"),
        (
            "channels: [a]\n\nz_pln: {range: 4, step: 1}",
            "3: z_pln: unknown field: expected one of",
        ),
        ("chanels: [a]", "did you mean 'channels'?"),
        (
            "channels:\n  - config: a\n    exposre: 5",
            "3: channels[0].exposre: unknown field",
        ),
        ("channels:\n  - config: a\n    exposre: 5", "did you mean 'exposure'?"),
        ("channels:\n  - config: a\n    exposure: -5", "3: channels[0].exposure: -5: "),
        ("channels:\n  - config: a\n    exposure: .nan", "channels[0].exposure: nan"),
        ("channels:\n  - config: a\n    exposure: long", "exposure: 'long': "),
        ("channels:\n  - config: a\n    do_stack: maybe", "do_stack: 'maybe': "),
        ("channels:\n  - a\n  - 7", "3: channels[1]: 7: expected fields with names"),
        ("channels: DAPI", "1: channels: 'DAPI': expected a list"),
        ("channels: [{}]", "channels[0]: expected config"),
        ("z_plan:\n  range: 4", "z_plan: expected top and bottom and step; or "),
        ("z_plan:\n  range: 4\n  stp: 1", "3: z_plan.stp: unknown field"),
        ("z_plan:\n  range: 4\n  stp: 1", "did you mean 'step'?"),
        (
            "z_plan:\n  range: 4\n  step: 1\n  bottom: 3",
            "4: z_plan.bottom: unknown field with the others here",
        ),
        ("z_plan: {range: 4, step: -1}", "z_plan.step=-1: expected a number from 0"),
        ("z_plan: {range: wide, step: 1}", "z_plan.range: 'wide': "),
        ("time_plan:\n  interval: 5", "1: time_plan: expected interval and loops; or"),
        ("time_plan:\n  interval: -5\n  loops: 3", "2: time_plan.interval=-5"),
        ("time_plan:\n  interval: 5\n  loops: 0", "3: time_plan.loops: 0: "),
        ("time_plan: []", "time_plan: expected at least one phase"),
        (
            "time_plan:\n  - {interval: 5, loops: 2}\n  - {interval: 5, lops: 2}",
            "3: time_plan[1].lops: unknown field",
        ),
        (
            "time_plan:\n  phases:\n  - {interval: 5, lops: 2}",
            "3: time_plan.phases[0].lops: unknown field",
        ),
        ("grid_plan: {rows: 2, colums: 3}", "did you mean 'columns'?"),
        ("grid_plan: {rows: 2, columns: 0}", "grid_plan.columns: 0: "),
        ("stage_positions: 3", "stage_positions: 3: expected a list"),
        ("stage_positions: [3]", "stage_positions[0]: 3: expected fields"),
        ("stage_positions: [[]]", "stage_positions[0]: expected [x, y] or [x, y, z]"),
        ("stage_positions: [[1, 2, 3, 4]]", "expected [x, y] or [x, y, z]"),
        ("stage_positions: [[1, up]]", "stage_positions[0][1]: 'up': expected a num"),
        ("stage_positions: [[1, .inf]]", "stage_positions[0][1]: inf: expected a fin"),
        ("stage_positions:\n- x: 1\n  q: 2", "3: stage_positions[0].q: unknown field"),
        (
            "stage_positions:\n- x: 1\n  sequence:\n    z_plan: {range: 4, stp: 1}",
            "4: stage_positions[0].sequence.z_plan.stp: unknown field",
        ),
        (
            "stage_positions:\n- sequence:\n    z_plan: {range: 4, step: -1}",
            "3: stage_positions[0].sequence.z_plan.step=-1",
        ),
        (
            "stage_positions: {plate: 96, a1_center_xy: [0, 0], wells: 3}",
            "stage_positions.wells: unknown field",
        ),
        ("axis_order: tpq\nchannels: [a]", "1: axis_order: 'tpq': Can only iterate"),
        ("axis_order: 3\nchannels: [a]", "1: axis_order: 3: "),
        ("autofocus_plan: {axis: [p]}", "did you mean 'axes'?"),
        ("setup: {exposur: 5}\nchannels: [a]", "did you mean 'exposure'?"),
        (
            "stage_positions: [[1, 2]]\n"
            "grid_plan: {top: 1, bottom: 0, left: 0, right: 1}",
            "is ignored when using",
        ),
        (
            "axis_order: ct\ntime_plan: {interval: 1, loops: 4}\n"
            "channels: [{config: a, acquire_every: 2}]",
            "may not yield intended results",
        ),
        ("phases: 3", "1: phases: expected a list of sequences and waits"),
        ("phases: [3]", "phases[0]: expected a sequence, or"),
        (
            "phases:\n- channels: [a]\n  z_pln: 4",
            "3: phases[0].z_pln: unknown field",
        ),
        ("phases: [{wait_s: -3}]", "phases[0]: wait_s=-3: expected a number of sec"),
        ("phases: [{wait_s: soon}]", "wait_s='soon': expected a number of seconds"),
        ("phases: [{wait_s: .inf}]", "phases[0].wait_s: inf: expected a finite"),
        ("phases: [{wait: 3}]", "did you mean 'wait_s'?"),
        (
            "phases:\n- wait_s: 3\n  channels: [a]",
            "3: phases[0].channels: unknown field beside wait_s",
        ),
        ("phases: []\nz_plan: {}", "2: z_plan: unknown field beside phases"),
        ("phases: [{channels: [a]}]\ndeadline: 3", "did you mean 'deadline_s'?"),
        ("channels: [a]\ndeadline_s: 0", "2: deadline_s=0: expected"),
        ("channels: [a]\ndeadline_s: soon", "2: deadline_s='soon': expected"),
        ("channels: [a]\non_failure: skip", "2: on_failure: expected fields"),
        ("channels: [a]\non_failure: {than: skip}", "did you mean 'then'?"),
        ("channels: [a]\non_failure: {then: skipp}", "did you mean 'skip'?"),
        ("channels: [a]\non_failure: {retries: -1}", "retries: -1: expected a whole"),
        ("channels: [a]\non_failure: {retries: yes}", "retries: True: expected"),
        ("channels: [a]\nphase_name: Base", "2: phase_name='Base' has no phase_id"),
        (
            "phases:\n- channels: [a]\n  phase_name: Base",
            "3: phases[0]: phase_name='Base' has no phase_id",
        ),
        ("channels: [a]\nphase_id: 7", "2: phase_id=7: expected some text"),
        (
            "[{channels: [a], phase_id: a, phase_name: X}, "
            "{wait_s: 1, phase_id: a, phase_name: Y}]",
            "phase 'a' has two names",
        ),
        (
            "channels: [a]\ntime_plan: {interval: 5, loops: 2}\n"
            "stage_positions: [[0, 0], [1, 1]]\ntime_per_position_s: 5",
            "4: time_per_position_s=5: the last of 2",
        ),
    ],
)
def test_what_is_wrong_is_told_with_line_field_and_expectation(text, words, tmp_path):
    assert words in refused(written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"channels": ["a",]}', "1: no JSON: "),
        ('{\n"channels": ["a"]\n"z_plan": 3}', "3: no JSON: "),
        ('{"channels": ["a"],\n"channels": ["b"]}', "channels: is there twice"),
        ('{"channels": [{"config": "a",\n"exposure": NaN}]}', "exposure: nan"),
        ('{"channels": [{"config": "a",\n"exposure": 1e999}]}', "exposure: inf"),
        ('{"channels": [{"config": "a",\n"exposre": 1}]}', "2: channels[0].exposre"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_json_is_checked_the_same_way(text, words, tmp_path):
    assert words in refused(written(tmp_path, text, "plan.json"))


def test_a_few_lines_that_say_a_billion_values_are_refused(tmp_path):
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    for n in range(1, 10):
        lines.append(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]")

    text = refused(written(tmp_path, "\n".join(lines)))
    assert "more than 1000000 values" in text


def test_a_file_that_is_not_there_is_named(tmp_path):
    assert "cannot be read: No such file" in refused(tmp_path / "plan.json")


def test_a_file_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_bytes(b"channels: [\xff\xfe]")

    assert "expected UTF-8 text" in refused(path)


def test_a_file_of_another_kind_is_named(tmp_path):
    path = written(tmp_path, "", "plan.toml")

    with pytest.raises(PlanError, match=r"ends in \.json, \.yaml, \.yml or \.py"):
        load_plan(path)


def test_a_python_file_may_make_a_sequence_or_a_plan(tmp_path):
    sequence = written(
        tmp_path,
        "import useq\n"
        "sequence = useq.MDASequence(time_plan={'interval': 1, 'loops': 3})\n",
        "one.py",
    )
    plan = written(
        tmp_path,
        "from hal.acquisition.plans import combine, from_useq, wait\n"
        "import useq\n"
        "lapse = from_useq(useq.MDASequence(time_plan={'interval': 1, 'loops': 3}))\n"
        "plan = combine(lapse, wait(10), lapse)\n",
        "two.py",
    )

    assert load_plan(sequence).n_images == 3
    assert load_plan(plan).n_images == 6
    assert load_plan(plan).source == str(plan)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("plan = (", "1: no Python: "),
        ("\nplan = 1 / 0", "2: the plan file failed: ZeroDivisionError: division"),
        ("def f():\n    raise SystemExit(3)\nf()", "2: the plan file failed: System"),
        ("plans = 3", "neither `plan` and `sequence` found"),
        ("plan = sequence = 3", "both `plan` and `sequence` found"),
        ("plan = 3", "plan: expected a useq.MDASequence, got int"),
        ("from hal.acquisition.plans import wait\nplan = wait(3)", "takes no image"),
        ("import useq\nsequence = useq.MDASequence()", "sequence: the sequence takes"),
    ],
)
def test_what_is_wrong_with_a_python_file_is_told(text, words, tmp_path):
    assert words in refused(written(tmp_path, text, "plan.py"))


@pytest.mark.parametrize("package", ["useq", "yaml"])
def test_a_missing_package_is_named_with_how_to_get_it(package, tmp_path, monkeypatch):
    path = written(tmp_path, "channels: [a]")
    really = builtins.__import__

    def without(name, *args, **kwargs):
        if name == package:
            raise ImportError(name)
        return really(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(StartError, match=r"pip install 'halscope\[plans\]'"):
        load_plan(path)


def test_json_needs_no_yaml_only_its_lines_do(tmp_path, monkeypatch):
    path = written(tmp_path, '{"channels": ["a"],\n"z_pln": 3}', "plan.json")
    assert "2: z_pln" in refused(path)
    monkeypatch.setitem(sys.modules, "yaml", None)

    assert refused(path).startswith("z_pln: unknown field")


def test_hal_imports_without_useq_and_yaml():
    code = (
        "import sys; import hal.acquisition.plans;"
        "print({'useq', 'yaml', 'pydantic'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert done.stdout == "set()\n"


def test_the_version_of_useq_is_the_one_compared_with():
    assert metadata.version("useq-schema").startswith("0.9.")
