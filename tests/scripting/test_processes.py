"""Scripts as users run them: processes that end well, badly, or are interrupted."""

from __future__ import annotations

import re
import textwrap

import tifffile

from tests.scripting.conftest import write
from tests.scripting.scripts import ROOT, end, start

GUIDE = (ROOT / "docs" / "scripting.rst").read_text("utf-8")
NO_QT = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("PyQt5", "PyQt6", "PySide2", "PySide6", "qtpy"):
            raise ModuleNotFoundError(f"blocked: {name}", name=name)

sys.meta_path.insert(0, Blocked())
import hal
assert not {"hal.app", "hal.kernel", "numpy"} & set(sys.modules), "hal is not light"
"""


def test_the_guide_does_what_it_says_without_qt(tmp_path):
    blocks = re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", GUIDE)
    script = NO_QT + "\n".join(textwrap.dedent(block) for block in blocks)

    code, out, err = end(start(tmp_path, script), tmp_path)

    assert code == 0, err
    assert len(blocks) > 8
    assert "camera1: 20 of 20 frames stored, 20 verified" in err
    assert "control.ome.tiff" not in out
    assert "<camera1: cameras.camera, started, simulated>" in out
    assert "stage: x=1e+09 um: expected -40000 to 40000 um" in out
    # Not as a line: the slot of `statusChanged` prints on another thread meanwhile.
    assert "cancelled" in out
    assert out.splitlines()[-1] == "8 done"
    assert "Exception" not in err
    assert len(list((tmp_path / "hal-data").glob("*.tiff"))) == 4
    assert (tmp_path / "hal-data" / "control.dax").exists()


def test_a_script_that_forgets_to_close_stops_hal_in_order(tmp_path):
    """Also where Python starts no threads any more at exit, as 3.12 does."""
    config = tmp_path / "small.xml"
    write(config, tmp_path / "films", recorder="process")
    script = f"""
        import atexit, threading
        import hal

        scope = hal.open({str(config)!r}, name="night")
        run = scope.film(None)
        while run.status.n_events_consumed < 5:
            run.wait(0.05, progress=False)

        def no_more(_thread):
            raise RuntimeError("can't create new thread at interpreter shutdown")

        atexit.register(setattr, threading.Thread, "start", no_more)
        run.statusChanged.connect(lambda status: print(status.state, flush=True))
    """
    code, out, err = end(start(tmp_path, script), tmp_path)

    assert code == 0, err
    assert "small.xml was not closed: stopped now, at exit" in err
    assert "Traceback" not in err
    assert "while stopping" not in err
    assert out.splitlines()[-1] == "cancelled"
    (film,) = (tmp_path / "films").glob("*.tiff")
    assert len(tifffile.TiffFile(film).pages) >= 5
    (trace,) = (tmp_path / "films" / "logs").glob("trace_*.jsonl")
    assert '"state":"stopped"' in trace.read_text("utf-8").replace(" ", "")
