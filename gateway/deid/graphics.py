"""Clean Graphics (PS3.15 E.3.3): drawings stay, texts in them are cleaned.

Graphic Annotation Sequence keeps graphic objects, text objects of which something is left, and the images that they
are drawn on. Layers and groups keep their names as far as these are known words; an unknown name becomes a keyed one,
the same wherever it stands. Overlay bits are pictures: the treatment of pixels writes those that it has looked at, and
others go. Curves, which are retired, do not stay.
"""

from __future__ import annotations

import base64
from typing import Final

from gateway.deid.coded import raw_of, text_of
from gateway.deid.host import Host
from gateway.deid.level import sets_of
from gateway.deid.values import encode_value
from gateway.dicom import encode
from gateway.dicom.charset import CharacterSets
from gateway.dicom.encoded import Element, Item, find

__all__ = ["graphic_annotations", "layers"]

_GRAPHIC_LAYER: Final = 0x00700002
_TEXT_OBJECTS: Final = 0x00700008
_GRAPHIC_OBJECTS: Final = 0x00700009
_COMPOUND_GRAPHICS: Final = 0x00700209
_MAJOR_TICKS: Final = 0x00700287
_UNFORMATTED_TEXT: Final = 0x00700006
#: Texts of a layer, a group or a tick of a ruler, and their VRs: all of them may be absent.
_TEXTS: Final = {0x00700068: b"LO", 0x00700207: b"LO", 0x00700208: b"ST", 0x00700289: b"SH"}
#: A keyed name of a layer fits CS.
_LAYER_NAME_LENGTH: Final = 12


def graphic_annotations(
    host: Host, element: Element, *, path: tuple[int, ...], sets: CharacterSets, implicit: bool
) -> bytes | None:
    """Graphic Annotation Sequence (0070,0001) with its texts cleaned.

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
    The encoded sequence; None if no annotation is left.

    Raises
    ------
    InstanceError
        a rule cannot be applied
    """
    below = (*path, element[0])
    items: list[bytes] = []
    for item in element[5] or []:
        inner = sets_of(host.buffer, item[4], sets)
        overrides = _layer(host, item, inner)
        texts = find(item[4], _TEXT_OBJECTS)
        if texts is not None:
            cleaned = _text_objects(host, texts, below, inner, implicit=item[3])
            overrides[_TEXT_OBJECTS] = cleaned
            drawn = any(find(item[4], tag) is not None for tag in (_GRAPHIC_OBJECTS, _COMPOUND_GRAPHICS))
            if not cleaned and not drawn:
                continue
        compound = find(item[4], _COMPOUND_GRAPHICS)
        if compound is not None:
            overrides[_COMPOUND_GRAPHICS] = _described(host, compound, below, inner, implicit=item[3])
        items.append(host.content(item, below, sets, overrides))
    return encode.sequence(element[0], items, implicit=implicit) if items else None


def layers(host: Host, element: Element, *, path: tuple[int, ...], sets: CharacterSets, implicit: bool) -> bytes | None:
    """Graphic Layer Sequence (0070,0060) or Graphic Group Sequence (0070,0234) with its texts cleaned.

    As ``graphic_annotations``; never None unless the sequence was empty.
    """
    return _described(host, element, path, sets, implicit=implicit) if element[5] else None


def _text_objects(host: Host, element: Element, path: tuple[int, ...], sets: CharacterSets, *, implicit: bool) -> bytes:
    """Text Object Sequence (0070,0008); empty bytes if no text is left (PS3.3 C.10.5: one item at least)."""
    below = (*path, element[0])
    items: list[bytes] = []
    for item in element[5] or []:
        inner = sets_of(host.buffer, item[4], sets)
        cleaned = host.cleaner.text(_UNFORMATTED_TEXT, b"ST", text_of(host.buffer, item[4], _UNFORMATTED_TEXT, inner))
        if cleaned is not None:
            received = raw_of(host.buffer, item[4], _UNFORMATTED_TEXT)
            text = encode_value(_UNFORMATTED_TEXT, b"ST", cleaned, inner, part_of=received)
            overrides = {_UNFORMATTED_TEXT: encode.element(_UNFORMATTED_TEXT, b"ST", text, implicit=item[3])}
            items.append(host.content(item, below, sets, overrides))
    return encode.sequence(element[0], items, implicit=implicit) if items else b""


def _described(host: Host, element: Element, path: tuple[int, ...], sets: CharacterSets, *, implicit: bool) -> bytes:
    """A sequence whose items have names and descriptions; rulers have ticks with labels inside."""
    below = (*path, element[0])
    items: list[bytes] = []
    for item in element[5] or []:
        inner = sets_of(host.buffer, item[4], sets)
        overrides = _layer(host, item, inner)
        for tag, vr in _TEXTS.items():
            text = text_of(host.buffer, item[4], tag, inner)
            if text:
                cleaned = host.cleaner.text(tag, vr, text)
                received = raw_of(host.buffer, item[4], tag)
                value = b"" if cleaned is None else encode_value(tag, vr, cleaned, inner, part_of=received)
                overrides[tag] = encode.element(tag, vr, value, implicit=item[3])
        ticks = find(item[4], _MAJOR_TICKS)
        if ticks is not None:
            overrides[_MAJOR_TICKS] = _described(host, ticks, below, inner, implicit=item[3])
        items.append(host.content(item, below, sets, overrides))
    return encode.sequence(element[0], items, implicit=implicit)


def _layer(host: Host, item: Item, sets: CharacterSets) -> dict[int, bytes]:
    """The name of the layer, which annotations and layers share: kept if it is known words, keyed otherwise."""
    name = text_of(host.buffer, item[4], _GRAPHIC_LAYER, sets)
    if not name or host.cleaner.text(_GRAPHIC_LAYER, b"CS", name) is not None:
        return {}
    keyed = base64.b32encode(host.key.digest("graphic layer", name))[:_LAYER_NAME_LENGTH]
    return {_GRAPHIC_LAYER: encode.element(_GRAPHIC_LAYER, b"CS", b"L" + keyed, implicit=item[3])}
