"""The look-up table of PALETTE COLOR images (PS3.3 C.7.6.3.1.5, C.7.6.3.1.6, C.7.9)."""

from __future__ import annotations

from dataclasses import dataclass
from struct import unpack_from
from typing import Final

from gateway.dicom.encoded import Element, find
from gateway.dicom.instance import Instance

_DESCRIPTORS: Final = (0x00281101, 0x00281102, 0x00281103)
_DATA: Final = (0x00281201, 0x00281202, 0x00281203)
_SEGMENTED: Final = (0x00281221, 0x00281222, 0x00281223)
#: Kinds of segment (PS3.3 C.7.9.2).
_DISCRETE: Final = 0
_LINEAR: Final = 1
_INDIRECT: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """A colour for every stored value; values below the first have the first colour, values above the last the last.

    Attributes
    ----------
    first
        the stored value that has the first colour
    bits
        8 or 16, bits of an entry
    red, green, blue
        the entries, equally many
    """

    first: int
    bits: int
    red: tuple[int, ...]
    green: tuple[int, ...]
    blue: tuple[int, ...]

    def darkest(self) -> int:
        """The stored value of the darkest colour, the first of several."""
        entries = zip(self.red, self.green, self.blue, strict=True)
        lightness = [3 * red + 6 * green + blue for red, green, blue in entries]
        return self.first + lightness.index(min(lightness))


def read_palette(instance: Instance) -> Palette | None:
    """The look-up table of the top level, segments expanded; None if it is missing or not as its descriptor says."""
    channels: list[tuple[int, ...]] = []
    shapes = set()
    for descriptor_tag, *data_tags in zip(_DESCRIPTORS, _DATA, _SEGMENTED, strict=True):
        descriptor = find(instance.elements, descriptor_tag)
        if descriptor is None or descriptor[4] - descriptor[3] != 6:
            return None
        signed = descriptor[1] == b"SS"
        count, first, bits = unpack_from("<HhH" if signed else "<HHH", instance.buffer, descriptor[3])
        count = count or 0x10000
        plain, segmented = (find(instance.elements, tag) for tag in data_tags)
        entries = None
        if bits in (8, 16) and plain is not None:
            entries = _plain(instance, plain, count)
        elif bits in (8, 16) and segmented is not None:
            entries = _expanded(instance, segmented, count, bits)
        if entries is None:
            return None
        channels.append(entries)
        shapes.add((first, bits, count))
    if len(shapes) != 1:
        return None
    first, bits, _ = shapes.pop()
    return Palette(first=first, bits=bits, red=channels[0], green=channels[1], blue=channels[2])


def _plain(instance: Instance, data: Element, count: int) -> tuple[int, ...] | None:
    """Entries one by one; those of 8 bits lie in bytes, though some writers give each a word of its own."""
    length = data[4] - data[3]
    if length == count * 2:
        return unpack_from(f"<{count}H", instance.buffer, data[3])
    if length == count + (count & 1):
        return unpack_from(f"<{count}B", instance.buffer, data[3])
    return None


def _expanded(instance: Instance, data: Element, count: int, bits: int) -> tuple[int, ...] | None:
    """The entries that segments stand for: values, straight lines between values, and segments used again."""
    length = data[4] - data[3]
    # Each number is as wide as an entry; the value of odd length has a byte of padding.
    words = unpack_from(f"<{length // (bits // 8)}{'B' if bits == 8 else 'H'}", instance.buffer, data[3])
    entries: list[int] = []
    at = 0
    try:
        while at < len(words) and len(entries) < count:
            if words[at] == _INDIRECT:
                at = _repeat(words, at, entries, count, bits)
            else:
                at = _segment(words, at, entries, count)
    except (IndexError, ValueError):
        return None
    return tuple(entries) if len(entries) == count else None


def _segment(words: tuple[int, ...], at: int, entries: list[int], count: int) -> int:
    """Append what one discrete or linear segment stands for; returns where the next begins."""
    kind, length = words[at], words[at + 1]
    if not length or length > count - len(entries) or kind not in (_DISCRETE, _LINEAR):
        raise ValueError
    if kind == _DISCRETE:
        values = words[at + 2 : at + 2 + length]
        if len(values) != length:
            raise IndexError
        entries.extend(values)
        return at + 2 + length
    begin, end = entries[-1], words[at + 2]
    entries.extend(round(begin + (end - begin) * step / length) for step in range(1, length + 1))
    return at + 3


def _repeat(words: tuple[int, ...], at: int, entries: list[int], count: int, bits: int) -> int:
    """Append what the segments that an indirect segment names stand for; those may not be indirect themselves."""
    number, width = words[at + 1], 32 // bits
    offset = sum(words[at + 2 + place] << (bits * place) for place in range(width))
    source = offset // (bits // 8)
    for _ in range(number):
        source = _segment(words, source, entries, count)
    return at + 2 + width
