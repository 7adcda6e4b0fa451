"""What the engine did with every element of an instance, for those who explain or test a profile.

A trace holds the values of the original: it stays on the terminal of the person who has the file.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.dicom.tag import show
from gateway.profile import Action

__all__ = ["Trace", "TraceEntry"]


@dataclass(frozen=True, slots=True)
class TraceEntry:
    """One element and what became of it.

    Attributes
    ----------
    path
        the sequences around it, outermost first
    items
        the number of the item in each of them, from 0
    tag
        the element
    vr
        its VR as received; for what only the output has, as written
    before
        the encoded value as received, with its padding, up to its first 64 KiB; empty for a sequence, and where
        nothing was received
    after
        the encoded value in the output; empty for a sequence; None if the element is not there
    action
        the rule that decided; a compound verb is named as the rule has it
    is_sequence
        whether it is a sequence; the elements of its items have entries of their own, if it stays
    is_new
        whether the instance as received does not have the element
    """

    path: tuple[int, ...]
    items: tuple[int, ...]
    tag: int
    vr: bytes
    before: bytes
    after: bytes | None
    action: Action
    is_sequence: bool = False
    is_new: bool = False

    @property
    def place(self) -> str:
        """The element with the sequences and items around it: ``(0008,1115)[0]/(0020,000E)``."""
        steps = (f"{show(tag)}[{number}]/" for tag, number in zip(self.path, self.items, strict=True))
        return "".join(steps) + show(self.tag)


class Trace:
    """Collects entries as the engine meets the elements: those of an item before the entry of their sequence."""

    def __init__(self) -> None:
        self.entries: list[TraceEntry] = []

    def add(self, entry: TraceEntry) -> None:
        """Add one entry."""
        self.entries.append(entry)

    def __repr__(self) -> str:
        return f"Trace({len(self.entries)} entries)"
