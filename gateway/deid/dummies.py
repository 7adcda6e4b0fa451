"""Dummy values: valid for their VR, not identifying (PS3.15 E.1.1, action D).

The values themselves are in ``data/dummies.yaml``.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Final, TypeAlias

import yaml
from pydantic import BaseModel, ConfigDict, Field

from gateway.deid.project_key import ProjectKey
from gateway.dicom import encode
from gateway.dicom.dictionary import tag_of, vr_of
from gateway.dicom.tag import show
from gateway.errors import RuleFailed
from gateway.profile import Verb

#: Binary numbers: one zero of the VR's width, in bytes.
_WIDTH: Final = {
    b"AT": 4, b"FL": 4, b"FD": 8, b"SL": 4, b"SS": 2, b"SV": 8, b"UL": 4, b"US": 2, b"UV": 8,
    b"OB": 2, b"OD": 8, b"OF": 4, b"OL": 4, b"OV": 8, b"OW": 2, b"UN": 2,
}  # fmt: skip
_PACK: Final = {b"US": "<H", b"SS": "<h", b"UL": "<I", b"SL": "<i", b"FL": "<f", b"FD": "<d"}
#: Tells the verb for an element inside sequences, which are given outermost first.
VerbAt: TypeAlias = Callable[[tuple[int, ...], int], Verb]
#: Verbs after which no value of the original may stand in the element.
_NOT_WHAT_WAS_THERE: Final = frozenset((Verb.DUMMY, Verb.PSEUDONYMISE, Verb.MAP, Verb.REGEX))
#: Characters of a keyed dummy: fits SH, the shortest text VR.
_IDENTIFIER_LENGTH: Final = 16


class _Dummies(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    vr: Mapping[str, str]
    elements: Mapping[str, str]
    identifiers: frozenset[str]
    sequences: Mapping[str, Annotated[dict[str, Any], Field(min_length=1)]]
    documents: Mapping[str, str]


@cache
def _dummies() -> _Dummies:
    return _Dummies.model_validate(
        yaml.safe_load((files("gateway.deid") / "data" / "dummies.yaml").read_text(encoding="utf-8"))
    )


@cache
def _tables() -> tuple[dict[bytes, bytes], dict[int, bytes], frozenset[int], dict[int, dict[str, Any]]]:
    data = _dummies()
    by_vr = {vr.encode(): value.encode() for vr, value in data.vr.items()}
    by_vr.update({vr: bytes(width) for vr, width in _WIDTH.items()})
    return (
        by_vr,
        {_tag(keyword): value.encode() for keyword, value in data.elements.items()},
        frozenset(_tag(keyword) for keyword in data.identifiers),
        {_tag(keyword): item for keyword, item in data.sequences.items()},
    )


def dummy_value(tag: int, vr: bytes, original: bytes, key: ProjectKey) -> bytes:
    """The dummy for one element that is not a sequence, unpadded.

    Parameters
    ----------
    tag, vr
        the element; ``vr`` decides the form
    original
        the encoded value that is replaced; only identifiers depend on it, through ``key``

    Raises
    ------
    RuleFailed
        the VR has no dummy
    """
    by_vr, by_tag, identifiers, _ = _tables()
    if vr == b"UI":
        return key.uid(original.strip(b"\0 ").decode("latin-1")).encode()
    if tag in identifiers:
        text = original.strip(b"\0 ").decode("latin-1")
        return base64.b32encode(key.digest("dummy", show(tag), text))[:_IDENTIFIER_LENGTH]
    value = by_tag.get(tag) or by_vr.get(vr)
    if value is None:
        raise RuleFailed(where=show(tag), reason=f"VR {vr.decode('latin-1')} has no dummy value")
    return value


def dummy_document(media_type: str) -> bytes:
    """An empty document of this media type for (0042,0011) Encapsulated Document; two zero bytes for others."""
    return _dummies().documents.get(media_type, "\0\0").encode()


def dummy_sequence(tag: int, *, implicit: bool, path: tuple[int, ...] = (), verb_at: VerbAt | None = None) -> bytes:
    """The encoded sequence ``tag`` with one dummy item; an item without elements where none is known better.

    Parameters
    ----------
    tag
        the sequence
    implicit
        the encoding to write
    path
        the sequences around it, outermost first
    verb_at
        tells what the profile does to an element inside the sequences ``path``: a dummy is no exception from it
    """
    item = _tables()[3].get(tag, {})
    return encode.sequence(tag, [_encode_item(item, (*path, tag), verb_at, implicit=implicit)], implicit=implicit)


def _encode_item(item: Mapping[str, Any], path: tuple[int, ...], verb_at: VerbAt | None, *, implicit: bool) -> bytes:
    encoded, by_vr = [], _tables()[0]
    for tag, value in sorted((_tag(keyword), value) for keyword, value in item.items()):
        verb = Verb.KEEP if verb_at is None else verb_at(path, tag)
        if verb is Verb.EMPTY:
            encoded.append(encode.element(tag, vr_of(tag), b"", implicit=implicit))
        elif verb is not Verb.REMOVE and vr_of(tag) == b"SQ":
            items = [_encode_item(one, (*path, tag), verb_at, implicit=implicit) for one in value]
            encoded.append(encode.sequence(tag, items, implicit=implicit))
        elif verb is not Verb.REMOVE:
            # What is written for a code may by chance be what was there.
            plain = by_vr.get(vr_of(tag)) if verb in _NOT_WHAT_WAS_THERE else None
            encoded.append(_encode(tag, value if plain is None else plain, implicit=implicit))
    return b"".join(encoded)


def _encode(tag: int, value: Any, *, implicit: bool) -> bytes:
    vr = vr_of(tag)
    if vr in _PACK:
        values = value if isinstance(value, Sequence) else [value]
        data = b"".join(struct.pack(_PACK[vr], number) for number in values)
    else:
        data = value if isinstance(value, bytes) else str(value).encode("ascii")
    return encode.element(tag, vr, data, implicit=implicit)


def _tag(keyword: str) -> int:
    tag = tag_of(keyword)
    if tag is None:
        raise RuleFailed(where=keyword, reason="the list of dummies names an unknown keyword")
    return tag
