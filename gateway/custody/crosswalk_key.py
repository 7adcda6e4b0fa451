"""What seals the crosswalk: a key for each project, which the ledger does not have.

Rows are sealed (``gateway.custody.project_cipher``), bound to their project, kind and tokens. A row is found by keyed
tokens of the values on both sides, so that a look-up opens only what it asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from cryptography.exceptions import InvalidTag

from gateway.custody.project_cipher import ProjectCipher
from gateway.errors import CrosswalkUnreadable
from gateway.ledger.crosswalk_row import CrosswalkRow

__all__ = ["Correspondence", "CrosswalkKey", "CrosswalkKind", "opened"]

_LABEL: Final = b"deid-gateway crosswalk 1\0"


class CrosswalkKind(StrEnum):
    """What a row is about."""

    PATIENT = "patient"
    STUDY = "study"
    SERIES = "series"
    INSTANCE = "instance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Correspondence:
    """An original and what replaced it.

    Attributes
    ----------
    kind
        what it is about
    original
        keyword -> value as received, the first of them the one to look up by
    replacement
        Patient ID or UID in the outputs
    """

    kind: CrosswalkKind
    original: Mapping[str, str] = field(repr=False)
    replacement: str

    @property
    def name(self) -> str:
        """The original value by which it is found: the first that is not empty."""
        return next(filter(None, self.original.values()), "")


class CrosswalkKey:
    """The key of one project's crosswalk.

    Parameters
    ----------
    secret
        the project's secret, at least 32 bytes
    project
        its name
    """

    def __init__(self, secret: bytes, project: str) -> None:
        self._cipher = ProjectCipher(_LABEL, secret, project)
        self._project = project
        #: Tells keys apart and nothing else.
        self.id: Final = self._token("key")

    def __repr__(self) -> str:
        return "CrosswalkKey(...)"

    def original_token(self, value: str) -> str:
        """What stands for an original value."""
        return self._token("original", value)

    def replacement_token(self, value: str) -> str:
        """What stands for a value in the outputs."""
        return self._token("replacement", value)

    def seal(self, correspondence: Correspondence) -> CrosswalkRow:
        """The row that keeps ``correspondence``."""
        # In the order given: the first value that is not empty is the one to look up by.
        content = json.dumps(
            {"original": dict(correspondence.original), "replacement": correspondence.replacement},
            separators=(",", ":"),
            ensure_ascii=True,
        )
        kind = correspondence.kind.value
        entry = self._token("entry", kind, content)
        original = self.original_token(correspondence.name)
        replacement = self.replacement_token(correspondence.replacement)
        sealed = self._cipher.seal(content.encode("ascii"), self._bound(kind, entry, original, replacement))
        return CrosswalkRow(
            project=self._project,
            kind=kind,
            entry=entry,
            original=original,
            replacement=replacement,
            key_id=self.id,
            sealed=sealed,
        )

    def open(self, row: CrosswalkRow) -> Correspondence:
        """What ``row`` keeps.

        Raises
        ------
        CrosswalkUnreadable
            another key sealed it, it belongs to another place, or it was changed
        """
        if row.key_id != self.id:
            raise CrosswalkUnreadable(project=self._project, reason="another key than the project's sealed it")
        bound = self._bound(row.kind, row.entry, row.original, row.replacement)
        try:
            content = json.loads(self._cipher.open(row.sealed, bound))
        except (InvalidTag, ValueError):
            raise CrosswalkUnreadable(project=self._project, reason="it was changed or moved") from None
        return Correspondence(
            kind=CrosswalkKind(row.kind), original=content["original"], replacement=content["replacement"]
        )

    def _bound(self, *parts: str) -> bytes:
        return _joined(self._project, *parts)

    def _token(self, purpose: str, *parts: str) -> str:
        return self._cipher.token(_joined(purpose, *parts))


def opened(keys: Sequence[CrosswalkKey], row: CrosswalkRow) -> Correspondence:
    """What ``row`` keeps, with that of ``keys`` which sealed it.

    Raises
    ------
    CrosswalkUnreadable
        none of them did, or the row was changed
    """
    for key in keys:
        if key.id == row.key_id:
            return key.open(row)
    raise CrosswalkUnreadable(project=row.project, reason="none of the project's keys sealed it")


def _joined(*parts: str) -> bytes:
    """``parts`` with their lengths, so that no two lists of parts are the same bytes."""
    encoded = (part.encode("utf-8", "surrogateescape") for part in parts)
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)
