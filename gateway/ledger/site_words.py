"""Words of a site as the ledger keeps them: counted for patients by keyed tokens, in clear only when accepted."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

__all__ = [
    "SiteWord",
    "WordSighting",
    "WordState",
]


class WordState(StrEnum):
    """What a person has said of a word."""

    PROPOSED = "proposed"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class WordSighting:
    """A word that the cleaner did not know, in the text of a patient.

    Attributes
    ----------
    project
        in clear
    word, patient
        keyed tokens
    sealed
        nonce and sealed word
    least
        it is proposed when so many patients have it
    """

    project: str
    word: str
    patient: str
    sealed: bytes = field(repr=False)
    least: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteWord:
    """A word that was proposed for a project.

    Attributes
    ----------
    token
        keyed token of the word
    sealed
        nonce and sealed word
    text
        the word, once it is accepted
    state
        what a person has said
    patients
        for how many patients it was seen when it was proposed
    proposed_at
        when
    """

    token: str
    sealed: bytes = field(repr=False)
    text: str | None
    state: WordState
    patients: int
    proposed_at: datetime
