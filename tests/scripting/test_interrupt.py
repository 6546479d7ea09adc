"""Ctrl-C in a script, as a terminal sends it."""

from __future__ import annotations

import signal

import tifffile

from hal.testing import wait_until
from tests.scripting.scripts import PATIENCE_S, end, start


def test_ctrl_c_in_a_script_closes_the_film_and_ends_it(config, tmp_path):
    script = f"""
        import signal
        import hal

        # What started the tests may have it ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with hal.open({str(config)!r}) as scope:
            run = scope.film(None)
            @run.statusChanged.connect
            def tell(status):
                if status.n_events_consumed > 4:
                    print(status, flush=True)
            run.wait()
    """
    process = start(tmp_path, script)
    try:
        wait_until(
            lambda: (
                "n_events_consumed=" in (tmp_path / "out.txt").read_text()
                or process.poll() is not None
            ),
            PATIENCE_S,
        )
        process.send_signal(signal.SIGINT)
    finally:
        code, out, err = end(process, tmp_path)

    assert code == -signal.SIGINT, err
    assert "is cancelled: the microscope is being closed" in err
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert "RunState.CANCELLED" in out.splitlines()[-1]
    (film,) = (tmp_path / "films").glob("*.tiff")
    assert tifffile.TiffFile(film).pages
