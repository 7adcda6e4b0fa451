"""The Type of an attribute in the IOD of an instance (PS3.3; PS3.5 7.4).

``data/iod-types.txt``, written by ``scripts/generate-iod-types``, lists for every composite IOD the sets of attributes
of its modules. A *level* is one such set: the attributes of a module, or of a sequence's items.
"""

from __future__ import annotations

from functools import cache, lru_cache
from importlib.resources import files
from typing import Final, Literal, NamedTuple, TypeAlias, cast

from gateway.dicom.encoded import Element, find

ElementType: TypeAlias = Literal["1", "1C", "2", "2C", "3"]

#: From the strictest to the mildest.
_ORDER: Final = ("1", "1C", "2", "2C", "3")

_Level: TypeAlias = dict[int, tuple[str, int | None]]


class _Iod(NamedTuple):
    modules: tuple[int, ...]
    complete: bool


class _Table(NamedTuple):
    iod_of: dict[str, str]
    iods: dict[str, _Iod]
    levels: list[str]


#: Referenced Series Sequence, Studies Containing Other Referenced Instances Sequence.
_REFERENCE_LISTS: Final = (0x00081115, 0x00081200)


@cache
def _table() -> _Table:
    table = _Table({}, {}, [])
    for line in (files("gateway.dicom") / "data" / "iod-types.txt").read_text(encoding="ascii").splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "level":
            table.levels.append(rest)
            continue
        name, *words = rest.split()
        if kind == "class":
            table.iod_of[name] = words[0]
        else:
            table.iods[name] = _Iod(tuple(int(word) for word in words if word != "?"), "?" not in words)
    return table


@cache
def _level(number: int) -> _Level:
    """Tag -> (Type, level of the items), read from the line when it is first needed."""
    level: _Level = {}
    for word in _table().levels[number].split():
        tag, _, rest = word.partition(":")
        element_type, _, items = rest.partition(">")
        level[int(tag, 16)] = (element_type, int(items) if items else None)
    return level


@lru_cache(maxsize=4096)
def _items_of(iod: str, sequence: int) -> tuple[int, ...]:
    """The levels of the items of ``sequence``, wherever it stands in the IOD."""
    levels: dict[int, None] = {}
    seen: set[int] = set()
    waiting = list(_table().iods[iod].modules)
    while waiting:
        number = waiting.pop()
        if number in seen:
            continue
        seen.add(number)
        for tag, (_, items) in _level(number).items():
            if items is not None:
                waiting.append(items)
                if tag == sequence:
                    levels[items] = None
    return tuple(sorted(levels))


# Bounded: paths and tags come from peers (promise P8).
@lru_cache(maxsize=4096)
def _levels_at(iod: str, path: tuple[int, ...]) -> tuple[int, ...]:
    """The levels of the items at ``path``; none if the IOD knows nothing of its last sequence."""
    levels = _table().iods[iod].modules
    for sequence in path:
        inner = (_level(number).get(sequence, ("", None))[1] for number in levels)
        levels = tuple(dict.fromkeys(number for number in inner if number is not None))
    if levels or not path:
        return levels
    # A tree of content items (PS3.3 C.17.3) nests without end, and extended SOP classes put standard sequences in
    # other places: there the sequence means what it means elsewhere in the IOD.
    return _items_of(iod, path[-1])


def is_known_sop_class(sop_class_uid: str) -> bool:
    """Whether the IOD of the SOP class is known."""
    return sop_class_uid in _table().iod_of


def lists_references(elements: list[Element]) -> bool:
    """Whether the instance has a Common Instance Reference Module (PS3.3 C.12.2).

    That module lists what other attributes of the instance refer to, and contradicts an instance without references.
    """
    return any(find(elements, tag) is not None for tag in _REFERENCE_LISTS)


@lru_cache(maxsize=16_384)
def element_type(sop_class_uid: str, path: tuple[int, ...], tag: int) -> ElementType | None:
    """The Type of an attribute that is present in an instance.

    Parameters
    ----------
    sop_class_uid
        SOP class of the instance
    path
        tags of the sequences around the attribute, outermost first; empty at the top level
    tag
        the attribute

    Returns
    -------
    The strictest Type that any module of the IOD gives the attribute at this place, whatever the module's usage: an
    attribute that is present shows that its module is. ``3`` if the IOD does not have the attribute there (PS3.2
    7.3: a Standard Extended SOP Class adds Type 3 attributes); None if the IOD is not known, or not known wholly.
    """
    table = _table()
    iod = table.iod_of.get(sop_class_uid)
    if iod is None:
        return None
    types = [type_ for number in _levels_at(iod, path) if (type_ := _level(number).get(tag, ("", None))[0])]
    if types:
        return cast("ElementType", min(types, key=_ORDER.index))
    return "3" if table.iods[iod].complete else None
