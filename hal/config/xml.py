"""XML read safely, with the line of every element.

Expat from the standard library does the parsing. What XML has beyond elements,
attributes, text and comments (DTDs, entities, processing instructions) is refused: a
configuration needs none of it, and all known attacks do.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from xml.parsers import expat

import msgspec

from hal.base import BadInput, did_you_mean
from hal.config.place import Place

MAX_BYTES = 16 * 1024 * 1024
"""Largest file that is read; ten thousand modules take about three million bytes."""
MAX_DEPTH = 32
"""Deepest nesting that is read; a configuration needs three."""

_EOF_INSIDE = (
    expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS],
    expat.errors.codes[expat.errors.XML_ERROR_UNCLOSED_TOKEN],
)
_MISMATCH = expat.errors.codes[expat.errors.XML_ERROR_TAG_MISMATCH]
_TWICE = expat.errors.codes[expat.errors.XML_ERROR_DUPLICATE_ATTRIBUTE]
_UNDEFINED = expat.errors.codes[expat.errors.XML_ERROR_UNDEFINED_ENTITY]
_BAD_TOKEN = expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN]

_NAME = re.compile(rb"[^\s=<>&;/]+")


class Element(msgspec.Struct, frozen=True):
    """One element of a file."""

    tag: str
    place: Place
    attributes: dict[str, str]
    children: tuple[Element, ...]
    text: str
    """All text directly inside, as written."""
    text_place: Place
    """Where the first text that is not blank stands."""


def read_xml(path: str | Path) -> Element:
    """Return the root element of the file at `path`.

    Raises:
        ConfigError: The file cannot be read, is not well-formed XML, or uses what is
            refused; says where.
    """
    file = os.fspath(path)
    return _Reader(file).read(_read_bytes(file))


def _read_bytes(file: str) -> bytes:
    whole = Place(file)
    try:
        # Asked first, because opening a pipe or a device could wait for ever.
        mode = os.stat(file).st_mode
        if stat.S_ISDIR(mode):
            raise whole.refuse("is a folder: expected an XML file")
        if not stat.S_ISREG(mode):
            raise whole.refuse("is not a regular file: expected an XML file")
        with open(file, "rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise whole.refuse("no such file" + _nearest_file(file)) from None
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        raise whole.refuse(f"cannot be read: {reason}") from exc
    if len(data) > MAX_BYTES:
        limit = MAX_BYTES // (1024 * 1024)
        raise whole.refuse(f"is too large: expected an XML file of at most {limit} MiB")
    if not data.strip():
        raise whole.refuse("is empty: expected an XML file")
    return data


def _nearest_file(file: str) -> str:
    folder, name = os.path.split(file)
    try:
        return did_you_mean(name, os.listdir(folder or "."))
    except OSError:
        return f": the folder {folder!r} does not exist or cannot be listed"


class _Open:
    """An element whose end has not been seen yet."""

    def __init__(self, tag: str, place: Place, attributes: dict[str, str]) -> None:
        self.tag = tag
        self.place = place
        self.attributes = attributes
        self.children: list[Element] = []
        self.text: list[str] = []
        self.text_place = place
        self.has_text = False

    def closed(self) -> Element:
        return Element(
            self.tag,
            self.place,
            self.attributes,
            tuple(self.children),
            "".join(self.text),
            self.text_place,
        )


class _Reader:
    """Builds the tree of one file from what expat tells, without recursion."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._open: list[_Open] = []
        self._root: Element | None = None
        self._encoding: str | None = None
        self._parser = expat.ParserCreate()
        self._parser.XmlDeclHandler = self._on_declaration
        self._parser.StartElementHandler = self._on_start
        self._parser.EndElementHandler = self._on_end
        self._parser.CharacterDataHandler = self._on_text
        self._parser.StartDoctypeDeclHandler = self._on_doctype
        self._parser.ProcessingInstructionHandler = self._on_instruction

    def read(self, data: bytes) -> Element:
        try:
            self._parser.Parse(data, True)
        except expat.ExpatError as exc:
            raise self._malformed(exc, data) from exc
        except (LookupError, ValueError) as exc:
            # Python's own answer when expat asks it for the declared encoding.
            raise self._here().refuse(
                f"encoding {self._encoding!r} cannot be read ({exc}): expected UTF-8"
            ) from exc
        if self._root is None:
            raise Place(self._file).refuse("no element found: expected an XML file")
        return self._root

    def _here(self) -> Place:
        return Place(self._file, self._parser.CurrentLineNumber)

    def _on_declaration(
        self, _version: str, encoding: str | None, _standalone: int
    ) -> None:
        self._encoding = encoding

    def _on_start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise self._here().refuse(
                f"<{tag}> is nested too deeply: expected at most {MAX_DEPTH} levels"
            )
        self._open.append(_Open(tag, self._here(), attributes))

    def _on_end(self, _tag: str) -> None:
        element = self._open.pop().closed()
        if self._open:
            self._open[-1].children.append(element)
        else:
            self._root = element

    def _on_text(self, text: str) -> None:
        parent = self._open[-1]
        if not parent.has_text and text.strip():
            parent.has_text = True
            parent.text_place = self._here()
        parent.text.append(text)

    def _on_doctype(
        self, name: str, _system: str | None, _public: str | None, _internal: int
    ) -> None:
        raise self._here().refuse(
            f"<!DOCTYPE {name}>: document types and entities are not allowed; "
            "expected elements, attributes and comments only"
        )

    def _on_instruction(self, target: str, _data: str) -> None:
        raise self._here().refuse(
            f"<?{target} ...?>: processing instructions are not allowed; "
            "expected elements, attributes and comments only"
        )

    def _malformed(self, exc: expat.ExpatError, data: bytes) -> BadInput:
        place = Place(self._file, exc.lineno)
        inside = self._open[-1] if self._open else None
        at_error = _NAME.match(data, max(0, self._parser.ErrorByteIndex))
        word = at_error.group().decode("ascii", "replace") if at_error else ""
        text = f"not well-formed XML: {expat.ErrorString(exc.code)}"
        if exc.code == _TWICE and word:
            return place.refuse(f"attribute '{word}' is given twice in one element")
        if exc.code == _UNDEFINED:
            return place.refuse(
                "entities are not allowed: write the character itself; "
                "only &amp; &lt; &gt; &quot; &apos; are known"
            )
        if exc.code == _MISMATCH and inside:
            text += f": expected </{inside.tag}>, to end <{inside.tag}> of line "
            text += str(inside.place.line)
        elif exc.code in _EOF_INSIDE and inside:
            text += f": the file ends inside <{inside.tag}> of line {inside.place.line}"
        elif exc.code == _BAD_TOKEN and not self._encoding and not _is_utf8(data):
            text += "; it has bytes that are not UTF-8: save the file as UTF-8"
        return place.refuse(text)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
