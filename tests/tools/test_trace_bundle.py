"""`bundle`: the command line; what a bundle holds is tested with HAL's own."""

from __future__ import annotations

import zipfile

import pytest

SIDECAR = """\
<settings><acquisition><run_id type="string">{run}</run_id>
<state type="string">{state}</state></acquisition></settings>
"""


@pytest.fixture
def run(new_trace, tmp_path):
    """Two films beside their trace: one is done, the other is not."""
    file = new_trace()
    file.move("main#1", 0.1, run="01RUNDONE")
    file.move("main#2", 50.0, run="01RUNCUT")
    for name, run_id, state in [
        ("a", "01RUNCUT", "running"),
        ("b", "01RUNDONE", "done"),
    ]:
        path = tmp_path / f"{name}.xml"
        path.write_text(SIDECAR.format(run=run_id, state=state))
    (tmp_path / "scope.xml").write_text("<hal/>")
    return file


@pytest.mark.parametrize(
    ("where", "options", "film", "move"),
    [
        ("", [], "film/a.xml", "main#2"),
        ("b.xml", [], "film/b.xml", "main#1"),
        ("", ["--run", "RUNDONE"], None, "main#1"),
        ("elsewhere", ["--logs", "."], None, "main#2"),
    ],
)
def test_the_run_that_is_meant_is_found(
    hal_trace, run, tmp_path, monkeypatch, where, options, film, move
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    out = tmp_path / "out.zip"

    code, said, _ = hal_trace("bundle", tmp_path / where, out, *options)

    assert code == 0
    assert said.splitlines()[-1] == str(out)
    with zipfile.ZipFile(out) as archive:
        films = [name for name in archive.namelist() if name.startswith("film/")]
        (trace,) = [n for n in archive.namelist() if n.startswith("trace/")]
        assert films == ([film] if film else [])
        assert f'"{move}"'.encode() in archive.read(trace)


@pytest.mark.parametrize(
    ("footer", "said"), [(True, "HAL ended in order"), (False, "HAL was killed, or")]
)
def test_a_session_without_a_run_is_told_as_a_whole(
    hal_trace, new_trace, tmp_path, footer, said
):
    file = new_trace()
    file.move("main#1", 0.1)
    file.move("main#2", 500.0)
    if footer:
        file.event("footer", 501.0)

    code, out, _ = hal_trace("bundle", tmp_path, tmp_path / "out.zip")

    assert code == 0
    assert out.splitlines()[0] == "session 01JD3NABCDEFGHJKMNPQRSTVWX: no run in it"
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        (trace,) = [n for n in archive.namelist() if n.startswith("trace/")]
        assert archive.read(trace).count(b'"delivery"') == 2
        assert said in archive.read("README.txt").decode()


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["missing"], "there is no such file or folder"),
        (["scope.txt"], "expected a folder, or the .xml beside a film"),
        ([".", "--run", "01NOBODY"], "no trace of run 01NOBODY"),
        (["empty"], "no trace of any session"),
    ],
)
def test_what_holds_no_run_is_bad_input(
    hal_trace, run, tmp_path, monkeypatch, argv, complaint
):
    (tmp_path / "deep" / "empty").mkdir(parents=True)
    (tmp_path / "scope.txt").write_text("hello")
    where = tmp_path / "deep" / "empty" if argv[0] == "empty" else tmp_path / argv[0]

    code, out, err = hal_trace("bundle", where, tmp_path / "out.zip", *argv[1:])

    assert (code, out) == (2, "")
    assert complaint in err
    assert not (tmp_path / "out.zip").exists()
