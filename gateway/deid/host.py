"""What the engine offers to the modules that rewrite whole sequences: coded entries, content items, graphics.

They decide what becomes of a few elements of an item and leave all others to the engine's rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from gateway.deid.clean import Cleaner
from gateway.deid.project_key import ProjectKey
from gateway.dicom.charset import CharacterSets
from gateway.dicom.encoded import Buffer, Item
from gateway.profile import Program

__all__ = ["Host"]


class Host(Protocol):
    """One instance on its way through the engine."""

    @property
    def buffer(self) -> Buffer:
        """The bytes that positions of elements count in."""

    @property
    def program(self) -> Program:
        """The program that is applied, its conditions decided."""

    @property
    def key(self) -> ProjectKey:
        """The project's key."""

    @property
    def cleaner(self) -> Cleaner:
        """The cleaner of free text, with the context of this instance."""

    def content(self, item: Item, path: tuple[int, ...], sets: CharacterSets, overrides: Mapping[int, bytes]) -> bytes:
        """The content of ``item`` with the program's rules applied, without the item's header and delimiter.

        Parameters
        ----------
        item
            the item as indexed
        path
            tags of the sequences around its elements, outermost first, its own sequence last
        sets
            the character sets outside the item, which may declare its own
        overrides
            tag -> the whole encoded element that takes the place of the received one, in the item's encoding;
            empty for none. A tag that the item does not have is added.

        Raises
        ------
        InstanceError
            a rule cannot be applied
        """
