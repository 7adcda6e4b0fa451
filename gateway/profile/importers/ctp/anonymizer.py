"""Script files of CTP's DicomAnonymizer: the XML form and the older properties form.

Both hold parameters, one rule per element, groups to keep and kinds of elements to remove. A rule that is switched off
(``en="F"``, or a ``#`` before the line) is as if it were not there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from xml.parsers import expat

from gateway.errors import ProfileError
from gateway.profile.importers.ctp.ctp_names import PrivateName, UnknownElement, parse_name
from gateway.profile.importers.ctp.properties import read_properties
from gateway.profile.importers.ctp.rsna_anonymizer import in_ctp, is_dialect
from gateway.sections.yamlfile import suggestion

#: What ``r`` elements and ``remove.`` keys switch off.
REMOVALS: Final = ("privategroups", "unspecifiedelements", "curves", "overlays")
_XML: Final = re.compile(r"\s*<")
_PREFIXES: Final = ("param.", "set.", "keep.", "remove.")


@dataclass(frozen=True, slots=True)
class ElementRule:
    """The rule of one element.

    Attributes
    ----------
    line
        where it stands, from 1
    element
        the element, or None if its name is none
    name
        the element as the script writes it
    script
        what becomes of it
    """

    line: int
    element: int | PrivateName | None
    name: str
    script: str


@dataclass(slots=True)
class AnonymizerFile:
    """What a script file says.

    Attributes
    ----------
    file
        its name, for messages
    parameters
        name -> value
    elements
        the rules in the order of the file
    keep_groups
        line and group number of every group to keep
    keep_safe
        line of the switch that keeps safe private elements, or 0
    removals
        kind of ``REMOVALS`` -> line of its switch
    dialect
        whether it is a script of RSNA Anonymizer, whose rules are given as CTP writes them
    """

    file: str
    parameters: dict[str, str] = field(default_factory=dict)
    elements: list[ElementRule] = field(default_factory=list)
    keep_groups: list[tuple[int, int]] = field(default_factory=list)
    keep_safe: int = 0
    removals: dict[str, int] = field(default_factory=dict)
    dialect: bool = False

    def place(self, line: int) -> str:
        """A line of the file, for messages."""
        return f"{self.file}:{line}"

    def add_element(self, line: int, name: str, label: str, script: str) -> None:
        """Add the rule of the element ``name`` (tag or private creator) that people call ``label``."""
        try:
            element: int | PrivateName | None = parse_name(name)
        except UnknownElement:
            element = None
        known = next((rule for rule in self.elements if element is not None and rule.element == element), None)
        if known is not None and known.script == script:
            return
        if known is not None:
            problem = f"the element {name} has another rule in line {known.line}: CTP takes either of them"
            raise ProfileError(place=self.place(line), problem=problem)
        self.elements.append(ElementRule(line, element, f"{name} {label}".strip(), script))

    def add_keep(self, line: int, what: str) -> None:
        """Add a ``k`` element or a ``keep.`` key: a group number or the safe private elements."""
        group = what.removeprefix("group").strip()
        if what.startswith("safe"):
            self.keep_safe = line
        elif re.fullmatch(r"[0-9a-fA-F]{1,4}", group):
            self.keep_groups.append((line, int(group, 16)))
        else:
            raise ProfileError(place=self.place(line), problem=f'"{what}" is no group to keep')

    def add_removal(self, line: int, what: str) -> None:
        """Add an ``r`` element or a ``remove.`` key."""
        if what not in REMOVALS:
            problem = f'"{what}" is nothing that CTP removes{suggestion(what, REMOVALS)}'
            raise ProfileError(place=self.place(line), problem=problem)
        self.removals[what] = line


def read_anonymizer(text: str, *, file: str) -> AnonymizerFile:
    """Read a script file of either form.

    Parameters
    ----------
    text
        its content
    file
        its name, for errors

    Raises
    ------
    ProfileError
        it is no such script; the error names file and line
    """
    script = _read_xml(text, file) if _XML.match(text) else _read_properties(text, file)
    if not script.elements and not script.removals:
        raise ProfileError(place=file, problem="the script has no rules: CTP would pass every instance on as it is")
    if is_dialect(rule.script for rule in script.elements):
        script.dialect = True
        script.elements = [replace(rule, script=in_ctp(rule.script)) for rule in script.elements]
        script.removals.setdefault("unspecifiedelements", 1)
    return script


def _read_properties(text: str, file: str) -> AnonymizerFile:
    script = AnonymizerFile(file)
    for entry in read_properties(text, file=file):
        prefix = next((known for known in _PREFIXES if entry.key.startswith(known)), None)
        rest = entry.key[len(prefix or "") :]
        if prefix == "param.":
            script.parameters[rest.strip()] = entry.value
        elif prefix == "set.":
            end = _closing(rest)
            if not rest.startswith("[") or end < 0:
                raise ProfileError(place=script.place(entry.line), problem='"set." is followed by [gggg,eeee]')
            script.add_element(entry.line, rest[1:end].strip(), rest[end + 1 :].strip(), entry.value.strip())
        elif prefix == "keep.":
            script.add_keep(entry.line, rest.strip())
        elif prefix == "remove.":
            script.add_removal(entry.line, rest.strip())
        else:
            problem = "the key begins with none of param., set., keep., remove."
            raise ProfileError(place=script.place(entry.line), problem=problem)
    return script


def _closing(text: str) -> int:
    """The bracket that closes the first one of ``text``, or -1."""
    depth = 0
    for position, character in enumerate(text):
        depth += (character == "[") - (character == "]")
        if not depth:
            return position
    return -1


class _XmlReader:
    """Reads the XML form; document types and entities, which could read files or fill the memory, are refused."""

    def __init__(self, file: str) -> None:
        self.script = AnonymizerFile(file)
        self._open: list[tuple[str, Mapping[str, str], int]] = []
        self._text: list[str] = []
        self._parser: Any = expat.ParserCreate("UTF-8")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text.append
        self._parser.StartDoctypeDeclHandler = self._refuse

    def read(self, text: str) -> AnonymizerFile:
        try:
            # The text is decoded already: a declaration of another encoding does not count.
            self._parser.Parse(text.encode(), True)
        except expat.ExpatError as failed:
            place = self.script.place(failed.lineno)
            raise ProfileError(place=place, problem=f"this is no XML: {expat.ErrorString(failed.code)}") from None
        return self.script

    def _refuse(self, *_: object) -> None:
        problem = "a document type declaration has no place in a script"
        raise ProfileError(place=self.script.place(self._parser.CurrentLineNumber), problem=problem)

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        line = self._parser.CurrentLineNumber
        problem = ""
        if not self._open and name != "script":
            problem = f"the root element is script, not {name}"
        elif len(self._open) == 1 and name not in ("p", "e", "k", "r"):
            problem = f'a script has the elements p, e, k and r, not "{name}"'
        elif len(self._open) > 1:
            problem = f'"{name}" stands inside another rule'
        elif self._open and not attributes.get("t", "").strip():
            problem = f'the attribute "t" of {name} is missing'
        if problem:
            raise ProfileError(place=self.script.place(line), problem=problem)
        self._open.append((name, attributes, line))
        self._text.clear()

    def _end(self, name: str) -> None:
        _, attributes, line = self._open.pop()
        content, what = "".join(self._text), attributes.get("t", "").strip()
        self._text.clear()
        enabled = attributes.get("en") == "T"
        if name == "p":
            self.script.parameters[what] = content
        elif name == "e" and enabled:
            self.script.add_element(line, what, attributes.get("n", "").strip(), content.strip())
        elif name == "k" and enabled:
            self.script.add_keep(line, what)
        elif name == "r" and enabled:
            self.script.add_removal(line, what)


def _read_xml(text: str, file: str) -> AnonymizerFile:
    return _XmlReader(file).read(text)
