"""Reading what a STOW-RS server says of each instance: the Store Instances Response Module (PS3.18 10.5.3, Annex I).

The answer comes from outside: it is read as data from a hostile peer. Nothing of it but numbers and the UIDs that were
asked for leaves this module.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Final, Literal, TypeAlias, cast
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

Decision: TypeAlias = Literal["retry", "duplicate", "refuse"]

_WARNING_REASON: Final = "00081196"
_FAILURE_REASON: Final = "00081197"
_FAILED_SOP_SEQUENCE: Final = "00081198"
_REFERENCED_SOP_SEQUENCE: Final = "00081199"
_OTHER_FAILURES_SEQUENCE: Final = "0008119A"
_REFERENCED_SOP_INSTANCE_UID: Final = "00081155"
#: Nesting of a real answer is below ten.
_DEPTH: Final = 64


@dataclass(frozen=True, slots=True)
class StoreResponse:
    """What the destination says.

    Attributes
    ----------
    stored
        SOP Instance UID -> Warning Reason (0008,1196) or None, of each item of Referenced SOP Sequence (0008,1199)
    failed
        SOP Instance UID -> Failure Reason (0008,1197) or None, of each item of Failed SOP Sequence (0008,1198)
    other
        Failure Reason or None of each item of Other Failures Sequence (0008,119A), which names no instance
    """

    stored: dict[str, int | None] = field(default_factory=dict)
    failed: dict[str, int | None] = field(default_factory=dict)
    other: list[int | None] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reason:
    """A row of ``data/failure-reasons.csv``: what a Failure Reason means and what is done about it."""

    value: int
    mask: int
    decision: Decision
    meaning: str


def _reasons() -> tuple[Reason, ...]:
    text = (files("gateway.deliver") / "data" / "failure-reasons.csv").read_text(encoding="utf-8")
    rows = [
        Reason(int(row["value"], 16), int(row["mask"], 16), cast(Decision, row["decision"]), row["meaning"])
        for row in csv.DictReader(text.splitlines())
    ]
    return tuple(sorted(rows, key=lambda reason: -reason.mask))


_REASONS: Final = _reasons()
_UNNAMED: Final = Reason(0, 0, "retry", "no reason known to the gateway")


def reason_of(number: int | None) -> Reason:
    """What a Failure Reason means; unknown and absent ones are worth another try."""
    if number is None:
        return _UNNAMED
    return next((reason for reason in _REASONS if number & reason.mask == reason.value), _UNNAMED)


def read_store_response(body: bytes) -> StoreResponse | None:
    """Read an answer in DICOM JSON (PS3.18 Annex F) or as Native DICOM Model XML (PS3.19 Annex A).

    Which of the two it is, is told from its first byte: servers are careless with Content-Type. A JSON array of data
    sets, as XNAT answers for several studies, is read as their union.

    Parameters
    ----------
    body
        the whole answer; whoever reads it from the network bounds its size

    Returns
    -------
    What it says, or None if it is no such answer.
    """
    try:
        text = body.removeprefix(b"\xef\xbb\xbf").lstrip()
        content: object = _data_set_of_xml(text) if text[:1] == b"<" else json.loads(text)
    except (ValueError, RecursionError, expat.ExpatError):
        return None
    answers = content if isinstance(content, list) else [content]
    data_sets = [answer for answer in answers if isinstance(answer, dict)]
    if not data_sets or len(data_sets) != len(answers):
        return None
    response = StoreResponse()
    for data_set in data_sets:
        for uid, item in _references(data_set, _REFERENCED_SOP_SEQUENCE):
            response.stored[uid] = _number(item, _WARNING_REASON)
        for uid, item in _references(data_set, _FAILED_SOP_SEQUENCE):
            response.failed[uid] = _number(item, _FAILURE_REASON)
        response.other.extend(_number(item, _FAILURE_REASON) for item in _items(data_set, _OTHER_FAILURES_SEQUENCE))
    return response


def _values(data_set: Mapping[str, object], tag: str) -> list[object]:
    attribute = data_set.get(tag)
    values = attribute.get("Value") if isinstance(attribute, dict) else None
    return values if isinstance(values, list) else []


def _items(data_set: Mapping[str, object], tag: str) -> list[dict[str, object]]:
    return [item for item in _values(data_set, tag) if isinstance(item, dict)]


def _references(data_set: Mapping[str, object], tag: str) -> list[tuple[str, dict[str, object]]]:
    references = []
    for item in _items(data_set, tag):
        uid = next(iter(_values(item, _REFERENCED_SOP_INSTANCE_UID)), None)
        if isinstance(uid, str):
            references.append((uid.strip(" \0"), item))
    return references


def _number(item: Mapping[str, object], tag: str) -> int | None:
    value = next(iter(_values(item, tag)), None)
    if isinstance(value, str) and value.strip().isdecimal() and len(value) <= 8:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 0xFFFF:
        return value
    return None


def _data_set_of_xml(body: bytes) -> dict[str, object]:
    """The same mappings that DICOM JSON has, of a Native DICOM Model."""
    root = _parse(body)
    if root.tag != "NativeDicomModel":
        raise ValueError("not a Native DICOM Model")
    return _mapping(root)


def _parse(body: bytes) -> Element:
    # Expat itself, because a document type declaration must end the parse: without one there are no entities.
    builder, depth = TreeBuilder(), 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEPTH:
            raise ValueError("nested too deeply")
        builder.start(tag.rpartition("}")[2], attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag.rpartition("}")[2])

    def declaration(*_: object) -> None:
        raise ValueError("a document type declaration")

    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = declaration
    parser.Parse(body, True)
    return builder.close()


def _mapping(parent: Element) -> dict[str, object]:
    attributes: dict[str, object] = {}
    for attribute in parent.iterfind("DicomAttribute"):
        values: list[object] = [
            _mapping(child) if child.tag == "Item" else (child.text or "")
            for child in attribute
            if child.tag in ("Item", "Value")
        ]
        attributes[attribute.get("tag", "").upper()] = {"Value": values}
    return attributes
