"""What manufacturers say of their private elements: pydicom's private dictionary, by creator as creators compare."""

from __future__ import annotations

from functools import cache

from pydicom._private_dict import private_dictionaries

__all__ = ["private_vr"]


def private_vr(tag: int, creator: str) -> bytes:
    """The VR of a private element as two bytes; ``UN`` if the dictionary does not know it.

    Parameters
    ----------
    tag
        the element; its block does not matter (PS3.5 7.8.1)
    creator
        its private creator, trimmed and in capital letters
    """
    group, offset = f"{tag >> 16:04X}", f"{tag & 0xFF:02X}"
    for elements in _elements().get(creator, ()):
        vr = elements.get(f"{group}xx{offset}") or elements.get(f"{tag:08X}")
        if vr is not None:
            return vr
    return b"UN"


@cache
def _elements() -> dict[str, list[dict[str, bytes]]]:
    """Creator in capital letters -> number -> VR; creators that differ in case alone have a table each."""
    tables: dict[str, list[dict[str, bytes]]] = {}
    for creator, rows in private_dictionaries.items():
        vrs = {number: row[0].encode("ascii") for number, row in rows.items() if len(row[0]) == 2}
        tables.setdefault(creator.strip().upper(), []).append(vrs)
    return tables
