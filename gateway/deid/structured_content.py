"""Clean Structured Content (PS3.15 E.3.4): content items keep their structure, and lose what identifies.

Every item of the tree is treated by its concept and value type (``gateway.deid.content_items``). Containers, value
types, relationships, templates, numbers and codes stay, so that the document stays a valid one; references by content
item identifier follow their targets when items before them go (PS3.3 C.17.3.2.5), and an item that something refers to
becomes a dummy instead of going.

Acquisition Context and Specimen Preparation are lists of content items (PS3.3 C.7.6.14, C.7.6.22), Waveform Annotation
Sequence is a list of texts and codes (PS3.3 C.10.10).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import pack, unpack
from typing import Final, TypeAlias

from gateway.deid.ages import AGE_GOES, treat_age
from gateway.deid.coded import code_of, raw_of, text_of
from gateway.deid.content_items import Fate, Treatment, treatment
from gateway.deid.dummies import dummy_value
from gateway.deid.host import Host
from gateway.deid.level import sets_of
from gateway.deid.numerics import OTHER_FORMS, is_identifier
from gateway.deid.values import encode_value
from gateway.dicom import encode
from gateway.dicom.charset import CharacterSets
from gateway.dicom.encoded import Buffer, Element, Item, find

__all__ = ["content_items", "content_tree", "specimen_preparation", "waveform_annotations"]

CONTENT_SEQUENCE: Final = 0x0040A730
_RELATIONSHIP: Final = 0x0040A010
_VALUE_TYPE: Final = 0x0040A040
_CONCEPT_NAME: Final = 0x0040A043
_TARGET: Final = 0x0040DB73
_TEXT_VALUE: Final = 0x0040A160
_MEASURED_VALUE: Final = 0x0040A300
_NUMERIC_VALUE: Final = 0x0040A30A
_CONCEPT_CODE: Final = 0x0040A168
_UID: Final = 0x0040A124
_STEP_CONTENT: Final = 0x00400612
_UNFORMATTED_TEXT: Final = 0x00700006
_CODE_VALUE, _DESIGNATOR, _CODE_MEANING = 0x00080100, 0x00080102, 0x00080104
#: Value type -> the attribute that holds the value (PS3.3 Table C.18.1-1 and following), and its VR.
_VALUES: Final = {
    "TEXT": (_TEXT_VALUE, b"UT"),
    "PNAME": (0x0040A123, b"PN"),
    "DATE": (0x0040A121, b"DA"),
    "TIME": (0x0040A122, b"TM"),
    "DATETIME": (0x0040A120, b"DT"),
    "UIDREF": (_UID, b"UI"),
    "NUM": (_MEASURED_VALUE, b"SQ"),
    "CODE": (_CONCEPT_CODE, b"SQ"),
    "NUMERIC": (_NUMERIC_VALUE, b"DS"),
}
_NUMBERS: Final = frozenset(("NUM", "NUMERIC"))
#: An item by reference has one; a coordinate is meaningless without what it is drawn on (PS3.3 C.17.3.2.4).
_NEEDED: Final = "SELECTED FROM"
#: What a waveform annotation can say beside text (PS3.3 C.10.10).
_SAID_OTHERWISE: Final = (_CONCEPT_NAME, _CONCEPT_CODE, _MEASURED_VALUE, 0x0040A30A)
_DUMMY_CODE: Final = "DUMMY"
_DUMMY_SCHEME: Final = "99DEID"
_IDENTIFIER_LENGTH: Final = 16

Position: TypeAlias = tuple[int, ...]


@dataclass(slots=True)
class _Node:
    """A content item and what becomes of it."""

    item: Item
    sets: CharacterSets
    position: Position
    value_type: str
    relationship: str
    treatment: Treatment
    fate: Fate
    text: str = ""
    #: What takes the place of elements of an age.
    age: dict[int, bytes] = field(default_factory=dict)
    target: Position = ()
    children: list[_Node] = field(default_factory=list)


def content_tree(
    host: Host, element: Element, *, path: tuple[int, ...], sets: CharacterSets, implicit: bool
) -> bytes | None:
    """Content Sequence (0040,A730) of a document, with everything below it.

    Parameters
    ----------
    host
        the engine
    element
        the sequence as indexed
    path
        tags of the sequences around it
    sets
        the character sets that hold around it
    implicit
        how it is encoded

    Returns
    -------
    The encoded sequence; None if nothing is left.

    Raises
    ------
    InstanceError
        a rule cannot be applied
    """
    nodes = _children(host, element, sets, (1,))
    _keep_targets(nodes)
    numbers: dict[Position, Position] = {(1,): (1,)}
    _renumber(nodes, (1,), numbers)
    items = [_emitted(host, node, (*path, element[0]), sets, numbers) for node in _staying(nodes)]
    return encode.sequence(element[0], items, implicit=implicit) if items else None


def content_items(
    host: Host, element: Element, *, path: tuple[int, ...], sets: CharacterSets, implicit: bool
) -> bytes | None:
    """A list of content items, such as Acquisition Context Sequence (0040,0555). As ``content_tree``."""
    return content_tree(host, element, path=path, sets=sets, implicit=implicit)


def specimen_preparation(
    host: Host, element: Element, *, path: tuple[int, ...], sets: CharacterSets, implicit: bool
) -> bytes | None:
    """Specimen Preparation Sequence (0040,0610): steps that are lists of content items. As ``content_tree``.

    A step of which no content item is left goes.
    """
    below = (*path, element[0])
    items: list[bytes] = []
    for item in element[5] or []:
        steps = find(item[4], _STEP_CONTENT)
        overrides: dict[int, bytes] = {}
        if steps is not None and steps[5] is not None:
            inner = sets_of(host.buffer, item[4], sets)
            rewritten = content_items(host, steps, path=below, sets=inner, implicit=item[3])
            if rewritten is None:
                continue
            overrides[_STEP_CONTENT] = rewritten
        items.append(host.content(item, below, sets, overrides))
    return encode.sequence(element[0], items, implicit=implicit) if items else None


def waveform_annotations(
    host: Host, element: Element, *, path: tuple[int, ...], sets: CharacterSets, implicit: bool
) -> bytes | None:
    """Waveform Annotation Sequence (0040,B020): texts are cleaned, codes and measurements stay. As ``content_tree``.

    An annotation that was a text of which nothing is left goes.
    """
    below = (*path, element[0])
    items: list[bytes] = []
    for item in element[5] or []:
        inner = sets_of(host.buffer, item[4], sets)
        if is_identifier(host, item[4], inner, value_type=""):
            continue
        text = text_of(host.buffer, item[4], _UNFORMATTED_TEXT, inner)
        overrides: dict[int, bytes] = {}
        if text:
            cleaned = host.cleaner.text(_UNFORMATTED_TEXT, b"ST", text)
            if cleaned is None and all(find(item[4], tag) is None for tag in _SAID_OTHERWISE):
                continue
            overrides[_UNFORMATTED_TEXT] = b""
            if cleaned is not None:
                received = raw_of(host.buffer, item[4], _UNFORMATTED_TEXT)
                value = encode_value(_UNFORMATTED_TEXT, b"ST", cleaned, inner, part_of=received)
                overrides[_UNFORMATTED_TEXT] = encode.element(_UNFORMATTED_TEXT, b"ST", value, implicit=item[3])
        items.append(host.content(item, below, sets, overrides))
    return encode.sequence(element[0], items, implicit=implicit) if items else None


def _children(host: Host, element: Element | None, sets: CharacterSets, position: Position) -> list[_Node]:
    if element is None or element[5] is None:
        return []
    return [_node(host, item, sets, (*position, number)) for number, item in enumerate(element[5], start=1)]


def _node(host: Host, item: Item, outer: CharacterSets, position: Position) -> _Node:
    buffer, elements = host.buffer, item[4]
    sets = sets_of(buffer, elements, outer)
    value_type = text_of(buffer, elements, _VALUE_TYPE, sets)
    concept = find(elements, _CONCEPT_NAME)
    scheme, code = code_of(buffer, concept[5][0][4], sets) if concept is not None and concept[5] else ("", "")
    treated = treatment((option.value for option in host.program.codes), scheme, code, value_type)
    fate, text = treated.fate, ""
    if fate is Fate.CLEAN:
        received = text_of(buffer, elements, _TEXT_VALUE, sets)
        cleaned = host.cleaner.text(_TEXT_VALUE, b"UT", received)
        if cleaned is None:
            fate = treated.otherwise
        else:
            text = cleaned
    if (
        fate is not Fate.REMOVE
        and value_type in _NUMBERS
        and is_identifier(host, elements, sets, value_type=value_type)
    ):
        fate = treated.otherwise
    age = treat_age(host.program, buffer, item, sets, value_type=value_type)
    if age is AGE_GOES:
        fate = Fate.REMOVE
    return _Node(
        item=item,
        sets=sets,
        position=position,
        value_type=value_type,
        relationship=text_of(buffer, elements, _RELATIONSHIP, sets),
        treatment=treated,
        fate=fate,
        text=text,
        age=age or {},
        target=_target(buffer, elements),
        children=_children(host, find(elements, CONTENT_SEQUENCE), sets, position),
    )


def _target(buffer: Buffer, elements: list[Element]) -> Position:
    """Referenced Content Item Identifier (0040,DB73): the numbers of the items from the root to the target."""
    identifier = find(elements, _TARGET)
    if identifier is None or identifier[5] is not None:
        return ()
    raw = bytes(buffer[identifier[3] : identifier[4]])
    return unpack(f"<{len(raw) // 4}I", raw[: len(raw) // 4 * 4])


def _keep_targets(nodes: list[_Node]) -> None:
    """Make dummies of what would go although an item that stays needs it; take away references that lead nowhere."""
    every = {node.position: node for node in _walk(nodes)}
    for node in every.values():
        if node.target and node.target != (1,) and node.target not in every:
            node.fate = Fate.REMOVE
        elif node.fate is Fate.REMOVE and node.relationship == _NEEDED:
            node.fate = Fate.DUMMY
    for node in every.values():
        # What stands below an item that goes goes with it, unless it is needed.
        if node.fate is Fate.REMOVE:
            for below in _walk(node.children):
                below.fate = Fate.REMOVE
    waiting = [node.target for node in every.values() if node.target and node.fate is not Fate.REMOVE]
    while waiting:
        position = waiting.pop()
        for length in range(2, len(position) + 1):
            needed = every[position[:length]]
            if needed.fate is Fate.REMOVE:
                needed.fate = Fate.DUMMY
                if needed.target:
                    waiting.append(needed.target)


def _walk(nodes: list[_Node]) -> Iterator[_Node]:
    for node in nodes:
        yield node
        yield from _walk(node.children)


def _staying(nodes: list[_Node]) -> list[_Node]:
    return [node for node in nodes if node.fate is not Fate.REMOVE]


def _renumber(nodes: list[_Node], position: Position, numbers: dict[Position, Position]) -> None:
    for number, node in enumerate(_staying(nodes), start=1):
        numbers[node.position] = (*position, number)
        _renumber(node.children, numbers[node.position], numbers)


def _emitted(
    host: Host, node: _Node, path: tuple[int, ...], outer: CharacterSets, numbers: dict[Position, Position]
) -> bytes:
    """The content of the item as it leaves."""
    elements, implicit = node.item[4], node.item[3]
    overrides: dict[int, bytes] = {}
    if find(elements, CONTENT_SEQUENCE) is not None:
        below = [
            _emitted(host, child, (*path, CONTENT_SEQUENCE), node.sets, numbers) for child in _staying(node.children)
        ]
        overrides[CONTENT_SEQUENCE] = encode.sequence(CONTENT_SEQUENCE, below, implicit=implicit) if below else b""
    if node.target:
        target = numbers[node.target]
        overrides[_TARGET] = encode.element(_TARGET, b"UL", pack(f"<{len(target)}I", *target), implicit=implicit)
    value = _VALUES.get(node.value_type)
    element = None if value is None else find(elements, value[0])
    if value is not None and element is not None:
        tag, vr = value
        match node.fate:
            case Fate.KEEP:
                overrides[tag] = bytes(host.buffer[element[2] : element[4]])
            case Fate.CLEAN:
                received = bytes(host.buffer[element[3] : element[4]])
                text = encode_value(tag, vr, node.text, node.sets, part_of=received)
                overrides[tag] = encode.element(tag, vr, text, implicit=implicit)
            case Fate.DUMMY:
                overrides[tag] = _dummy(host, node, element, vr)
                overrides.update({other: b"" for other in OTHER_FORMS if find(elements, other) is not None})
    if node.fate is not Fate.DUMMY:
        overrides.update(node.age)
    return host.content(node.item, path, outer, overrides)


def _dummy(host: Host, node: _Node, element: Element, vr: bytes) -> bytes:
    """A value that is valid for the value type and tells nothing."""
    tag, implicit = element[0], node.item[3]
    if tag == _MEASURED_VALUE:
        return encode.sequence(tag, [], implicit=implicit)
    if tag == _CONCEPT_CODE:
        entry = b"".join(
            encode.element(one, kind, text, implicit=implicit)
            for one, kind, text in (
                (_CODE_VALUE, b"SH", _DUMMY_CODE.encode()),
                (_DESIGNATOR, b"SH", _DUMMY_SCHEME.encode()),
                (_CODE_MEANING, b"LO", dummy_value(_CODE_MEANING, b"LO", b"", host.key)),
            )
        )
        return encode.sequence(tag, [entry], implicit=implicit)
    raw = bytes(host.buffer[element[3] : element[4]])
    if node.treatment.identifies:
        text = text_of(host.buffer, node.item[4], tag, node.sets)
        dummy = base64.b32encode(host.key.digest("content item", text))[:_IDENTIFIER_LENGTH]
    else:
        dummy = dummy_value(tag, vr, raw, host.key)
    return encode.element(tag, vr, dummy, implicit=implicit)
