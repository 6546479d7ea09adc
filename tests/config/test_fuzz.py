from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hal.base import BadInput, StartError
from hal.config import load, resolve, start_order

VALID = """<?xml version="1.0" encoding="UTF-8"?>
<hal name="Scope é" directory="~/films">
  <!-- a lamp -->
  <module name="lamp1" class="lab_parts.LampModule" deadline_s="5" patience_s="2">
    <driver class="lab_parts.Lamp" power_mw="2" colour="red" inverted="no"/>
  </module>
  <module name="plain" class="lab_parts.PlainModule" requires="lamp1" isolation="none"
          retries="3"/>
</hal>
""".encode()

# Delete `count` bytes at `at`, and put `put` in their place.
edits = st.tuples(
    st.integers(0, len(VALID)),
    st.integers(0, 40),
    st.one_of(
        st.binary(max_size=4),
        st.sampled_from(
            [b"<", b">", b"/>", b'"', b"&", b"&#10;", b"\n", b"<!--", b"<?a?>"]
        ),
        st.slices(len(VALID)).map(lambda part: VALID[part]),
    ),
)
names = (f"fuzz{i}.xml" for i in itertools.count())


@pytest.fixture
def plain_names(parts, registered):
    """Let classes be found by their paths, and nothing else be registered."""


def test_the_file_that_is_changed_below_is_valid(plain_names, tmp_path):
    path = tmp_path / "scope.xml"
    path.write_bytes(VALID)

    assert len(resolve(load(path))) == 2


@settings(
    max_examples=500,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(edits, min_size=1, max_size=3))
def test_no_change_of_a_file_does_worse_than_an_error_with_its_place(
    plain_names, tmp_path, changes
):
    data = VALID
    for at, count, put in changes:
        data = data[:at] + put + data[at + count :]
    path = tmp_path / next(names)
    path.write_bytes(data)

    try:
        spec = load(path)
        start_order(spec)
        resolve(spec)
    except (BadInput, StartError) as exc:
        text = str(exc)
    else:
        return
    finally:
        path.unlink()
    assert text.startswith(f"{path}:")
    assert text.isprintable()
    assert data.strip() == b"" or text[len(str(path)) + 1].isdigit()


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.text(), st.sampled_from(["", "lamp1.", "lamp1.power_mw", "lamp1.port="]))
def test_no_text_of_set_does_worse_than_an_error_that_names_it(
    plain_names, tmp_path, text, begin
):
    path = tmp_path / "scope.xml"
    path.write_bytes(VALID)
    spec = load(path)

    try:
        resolve(spec, [begin + text])
    except (BadInput, StartError) as exc:
        told = str(exc)
    else:
        return
    assert told.startswith("--set ")
    assert told.isprintable()
