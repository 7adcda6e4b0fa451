"""Which module cleans which sequence (PS3.15 E.3.3 to E.3.5)."""

from __future__ import annotations

from typing import Final, Protocol

from gateway.deid import graphics, structured_content
from gateway.deid.host import Host
from gateway.dicom import encode
from gateway.dicom.charset import CharacterSets
from gateway.dicom.encoded import Element
from gateway.profile import Program

__all__ = ["also_cleaned", "clean_sequence"]


class _Rewriter(Protocol):
    def __call__(
        self, host: Host, element: Element, *, path: tuple[int, ...], sets: CharacterSets, implicit: bool
    ) -> bytes | None: ...


_REWRITERS: Final[dict[int, _Rewriter]] = {
    0x00400555: structured_content.content_items,
    0x00400610: structured_content.specimen_preparation,
    0x0040A730: structured_content.content_tree,
    0x0040B020: structured_content.waveform_annotations,
    0x00700001: graphics.graphic_annotations,
    0x00700060: graphics.layers,
    0x00700234: graphics.layers,
}
#: Graphic Layer Sequence and Graphic Group Sequence: Table E.1-1 does not list them.
_DRAWN: Final = frozenset((0x00700060, 0x00700234))
_CLEAN_GRAPHICS: Final = "113103"


def also_cleaned(program: Program) -> frozenset[int]:
    """Sequences that are cleaned where the rules keep them."""
    return _DRAWN if any(code.value == _CLEAN_GRAPHICS for code in program.codes) else frozenset()


def clean_sequence(
    host: Host, element: Element, *, path: tuple[int, ...], sets: CharacterSets, implicit: bool
) -> bytes | None:
    """What takes the place of a sequence that is cleaned.

    Content items and graphics have modules of their own; any other sequence stays, with the rules applied inside.

    Parameters
    ----------
    host
        the engine
    element
        the sequence as indexed
    path
        tags of the sequences around it, outermost first
    sets
        the character sets that hold around it
    implicit
        how it is encoded

    Returns
    -------
    The encoded element; None if nothing is left.

    Raises
    ------
    InstanceError
        a rule cannot be applied
    """
    rewrite = _REWRITERS.get(element[0])
    if rewrite is not None:
        return rewrite(host, element, path=path, sets=sets, implicit=implicit)
    items = [host.content(item, (*path, element[0]), sets, {}) for item in element[5] or []]
    return encode.sequence(element[0], items, implicit=implicit) if items else None
