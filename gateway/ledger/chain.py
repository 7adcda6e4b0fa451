"""Chains of documents: each names its number and the digest of the one before it.

Whoever keeps a copy, or only the last digest, can tell later that nothing before it was changed, inserted or removed,
even by somebody who can write to the database.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol


class Link(Protocol):
    """A document of a chain; numbers begin at 1, ``digest`` is that of ``document``."""

    @property
    def number(self) -> int:
        """Its place in the chain."""

    @property
    def digest(self) -> str:
        """What the next one names."""

    @property
    def document(self) -> str:
        """Canonical JSON."""


class End(Protocol):
    """The last number of a chain and the digest of its document."""

    @property
    def number(self) -> int:
        """How many documents there are."""

    @property
    def digest(self) -> str:
        """The last one's."""


@dataclass(frozen=True, slots=True)
class ChainFlaw:
    """Something that a chain should not show, in words."""

    number: int
    problem: str


def digest_of(document: str) -> str:
    """SHA-256 of a document in UTF-8, in hexadecimal."""
    return hashlib.sha256(document.encode("utf-8")).hexdigest()


def link_document(facts: Mapping[str, object], *, number: int, previous: str) -> str:
    """The document that says ``facts``: canonical JSON, keys sorted, no blanks.

    Parameters
    ----------
    facts
        JSON values.
    number
        Its place in the chain.
    previous
        Digest of the document before it; empty for the first.
    """
    whole = {**facts, "number": number, "previous": previous}
    return json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def facts_of(document: str) -> Mapping[str, object] | None:
    """The content of a document; None if it is not a JSON object."""
    try:
        facts = json.loads(document)
    except (ValueError, RecursionError):
        return None
    return facts if isinstance(facts, dict) else None


class ChainCheck:
    """Follows one chain from its beginning.

    Parameters
    ----------
    one, several
        What its documents are called: ``receipt``, ``receipts``.
    """

    def __init__(self, one: str, several: str) -> None:
        self._one = one
        self._several = several
        self.number = 0
        self.digest = ""

    def follow(
        self, link: Link, *, belongs: Callable[[Mapping[str, object]], bool] = lambda _: True
    ) -> Iterator[ChainFlaw]:
        """Compare the next document with its digest and with the one before it.

        Parameters
        ----------
        link
            The document with the next number that there is.
        belongs
            Whether what it says fits the chain in which it stands.
        """
        number, digest = self.number, self.digest
        self.number, self.digest = link.number, link.digest

        def flaw(problem: str) -> ChainFlaw:
            return ChainFlaw(link.number, problem)

        if link.number != number + 1:
            yield flaw(f"follows {self._one} {number}: those between are missing")
        if digest_of(link.document) != link.digest:
            yield flaw("was changed: its digest is another")
        facts = facts_of(link.document)
        if facts is None:
            yield flaw("is no JSON object")
            return
        if facts.get("number") != link.number or not belongs(facts):
            yield flaw("stands in another place than it says")
        if link.number == number + 1 and facts.get("previous") != digest:
            yield flaw(f"names another {self._one} before it than is there")

    def finish(self, end: End | None) -> Iterator[ChainFlaw]:
        """Compare the last document with the end that the ledger keeps; None if that is missing."""
        if end is None:
            yield ChainFlaw(self.number, "the end of the chain is missing")
        elif self.number < end.number:
            missing = end.number - self.number
            yield ChainFlaw(end.number, f"{missing} {self._several} are missing at the end of the chain")
        elif self.number > end.number:
            yield ChainFlaw(self.number, f"there are more {self._several} than the end of the chain knows of")
        elif self.digest != end.digest:
            yield ChainFlaw(self.number, f"is not the {self._one} that the end of the chain names")
