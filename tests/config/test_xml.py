from __future__ import annotations

import contextlib
import encodings.aliases
import os
import time

import pytest

from hal.base import ConfigError
from hal.config import read_xml
from hal.config.xml import MAX_BYTES


def refusal(path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_xml(path)
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    assert text.startswith(str(path))
    return text[len(str(path)) :]


def test_elements_know_their_lines_and_keep_attributes_text_and_order(write):
    path = write('<a>\n  <b x="1"\n     y="2"/>\n  <!-- c -->\n  <c>\n two</c>\n</a>')

    root = read_xml(path)

    assert (root.tag, root.place.line) == ("a", 1)
    assert [(c.tag, c.place.line) for c in root.children] == [("b", 2), ("c", 5)]
    assert root.children[0].attributes == {"x": "1", "y": "2"}
    assert root.children[1].text == "\n two"
    assert root.children[1].text_place.line == 6


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        ("<a>\n<b>\n</a>", 3, "expected </b>, to end <b> of line 2"),
        ("<a>\n<b>\n", 3, "the file ends inside <b> of line 2"),
        ("<a>\n<b", 2, "the file ends inside <a> of line 1"),
        ('<a>\n<b x="1" x="2"/></a>', 2, "attribute 'x' is given twice"),
        ("<a>\n<b x=1/></a>", 2, "not well-formed"),
        ("<a/>\n<b/>", 2, "not well-formed"),
        ("hello", 1, "not well-formed"),
        ("<a>\n\0</a>", 2, "not well-formed"),
        ("<!-- only -->\n", 2, "no element found"),
        ("<a>\n&b;</a>", 2, "entities are not allowed"),
        ('<!DOCTYPE a SYSTEM "http://x/y.dtd">\n<a/>', 1, "document types"),
        ('<!DOCTYPE a [\n<!ENTITY b "c">]>\n<a>&b;</a>', 1, "document types"),
        ("<a>\n<?run me?></a>", 2, "processing instructions"),
        ('<?xml-stylesheet href="x"?>\n<a/>', 1, "processing instructions"),
        ('<?xml version="1.0" encoding="nonsense"?>\n<a/>', 1, "encoding 'nonsense'"),
        ('<?xml version="1.0" encoding="gb2312"?>\n<a/>', 1, "encoding"),
    ],
)
def test_what_is_not_plain_xml_is_refused_at_its_line(write, content, line, what):
    text = refusal(write(content))

    assert text.startswith(f":{line}: ")
    assert what in text


def test_an_external_entity_is_never_read(write, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("secret words")
    path = write(f'<!DOCTYPE a [<!ENTITY b SYSTEM "{secret.as_uri()}">]><a>&b;</a>')

    assert "secret words" not in refusal(path)


def test_bytes_that_are_not_utf8_are_explained(write):
    text = refusal(write(b'<a>\n<b name="caf\xe9"/></a>'))

    assert text.startswith(":2: ")
    assert "save the file as UTF-8" in text


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "iso-8859-1", "cp1252"])
def test_other_encodings_are_read(write, encoding):
    declared = (
        "" if "utf" in encoding else f'<?xml version="1.0" encoding="{encoding}"?>'
    )
    path = write(f'{declared}<a b="é"/>'.encode(encoding))

    assert read_xml(path).attributes == {"b": "é"}


@pytest.mark.parametrize(
    "name",
    sorted({*encodings.aliases.aliases.values(), "undefined", "idna", "punycode"}),
)
def test_no_declared_encoding_raises_anything_but_config_error(write, name):
    path = write(f'<?xml version="1.0" encoding="{name}"?><a b="1"/>'.encode())

    with contextlib.suppress(ConfigError):
        assert read_xml(path).tag == "a"


@pytest.mark.parametrize("content", ["", "  \n\n"])
def test_an_empty_file_is_refused(write, content):
    assert "is empty" in refusal(write(content))


def test_a_folder_is_refused(tmp_path):
    assert "is a folder" in refusal(tmp_path)


def test_a_missing_file_is_refused_with_the_nearest_name(write, tmp_path):
    write("<a/>", "microscope.xml")

    assert "did you mean 'microscope.xml'?" in refusal(tmp_path / "microscpe.xml")
    assert "does not exist" in refusal(tmp_path / "nowhere" / "microscope.xml")


def test_a_pipe_is_refused_without_waiting_for_its_other_end(tmp_path):
    if not hasattr(os, "mkfifo"):
        return  # this system has no pipes with names
    pipe = tmp_path / "pipe.xml"
    os.mkfifo(pipe)

    assert "not a regular file" in refusal(pipe)


def test_a_path_no_system_can_have_is_refused():
    with pytest.raises(ConfigError, match=r"scope\\x00\.xml: cannot be read"):
        read_xml("scope\0.xml")


def test_a_huge_file_is_refused(write):
    assert "too large" in refusal(write(b"<a>" + b" " * MAX_BYTES + b"</a>"))


def test_deep_nesting_is_refused_quickly(write):
    path = write("<a>\n" * 1_000_000)

    began = time.perf_counter()
    text = refusal(path)

    assert text.startswith(":33: ")
    assert "nested too deeply" in text
    assert time.perf_counter() - began < 2.0


def test_a_very_long_name_gives_a_short_text(write):
    text = refusal(write("<a>\n<" + "b" * 100_000 + "></c></a>"))

    assert len(text) < 1_000
