"""What seals the words of a site that its descriptors lose: a key for each project, which the ledger does not have.

A word that the cleaner does not know may be a term of the house or the name of somebody. The ledger counts for how many
patients a word was seen, by keyed tokens of both. When a word was seen for enough patients it is proposed: sealed with
a key that the ledger does not have (``gateway.custody.project_cipher``), so that who may read the project's secret can
read the proposal. Only a word that a person accepts is kept in clear.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag

from gateway.custody.project_cipher import ProjectCipher
from gateway.ledger.site_words import SiteWord, WordSighting

__all__ = ["VocabularyKey", "word_of"]

_LABEL: Final = b"deid-gateway vocabulary 1\0"


class VocabularyKey:
    """The key of one project's words.

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

    def __repr__(self) -> str:
        return "VocabularyKey(...)"

    def token(self, word: str) -> str:
        """What stands for a folded word."""
        return self._cipher.token(b"word\0" + word.encode())

    def sighting(self, word: str, patient: str, *, least: int) -> WordSighting:
        """A word seen in the text of a patient, both as they must not be written down."""
        token = self.token(word)
        return WordSighting(
            project=self._project,
            word=token,
            patient=self._cipher.token(b"patient\0" + patient.encode()),
            sealed=self._cipher.seal(word.encode(), self._bound(token)),
            least=least,
        )

    def open(self, word: SiteWord) -> str | None:
        """The word that was sealed; None if another key sealed it, or if it was changed or moved."""
        try:
            return self._cipher.open(word.sealed, self._bound(word.token)).decode()
        except (InvalidTag, ValueError):
            return None

    def _bound(self, token: str) -> bytes:
        return f"{self._project}\0{token}".encode()


def word_of(keys: Sequence[VocabularyKey], word: SiteWord) -> str | None:
    """The word, by that of ``keys`` which sealed it; None if none did."""
    return next((text for key in keys if (text := key.open(word)) is not None), None)
