"""A row of the crosswalk as the ledger keeps it: sealed with a key that the ledger lacks."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "CrosswalkRow",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrosswalkRow:
    """A correspondence as the ledger keeps it; all of it is keyed or sealed.

    Attributes
    ----------
    project, kind
        in clear
    entry
        token of the whole content: the same content is kept once
    original, replacement
        tokens of the values by which it is found
    key_id
        which key sealed it
    sealed
        nonce and sealed content
    """

    project: str
    kind: str
    entry: str
    original: str
    replacement: str
    key_id: str
    sealed: bytes
