"""Where a rule comes from."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Origin"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an action comes from.

    Attributes
    ----------
    layer
        name of the profile that holds the rule
    clause
        clause of the standard that the rule follows, empty if it follows none
    file
        the file as it was found, empty for what the standard itself fixes
    line
        line of the rule in that file, from 1; 0 without a file
    """

    layer: str
    clause: str
    file: str
    line: int
