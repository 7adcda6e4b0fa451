"""The words of a site: counted where instances are treated, decided on by a person, kept by the project's cleaner."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from gateway.audit import AuditAction, AuditEntry
from gateway.custody.secret import project_secrets
from gateway.custody.vocabulary_key import VocabularyKey, word_of
from gateway.deid.people import is_name
from gateway.deid.words import fold
from gateway.errors import ConfigurationError
from gateway.ledger import Ledger
from gateway.ledger.site_words import SiteWord, WordSighting, WordState
from gateway.remembering import BoundedMapping
from gateway.settings.configuration import Settings

__all__ = ["ProposedWord", "Sightings", "decide", "proposed_words"]

#: Words of a patient that a worker has told already; forgetting them costs a query.
_MOST_TOLD: Final = 100_000
#: A word is told for so many instances at most.
_MOST_WORDS: Final = 50
_SHORTEST, _LONGEST = 3, 40


class Sightings:
    """What a worker tells the ledger of words that cleaners did not know.

    Parameters
    ----------
    settings
        the configuration; a project whose ``propose_words`` is 0 has none
    """

    def __init__(self, settings: Settings) -> None:
        self._least = {name: project.propose_words for name, project in settings.projects.items()}
        self._keys = {
            name: VocabularyKey(project_secrets(settings, name)[0], name)
            for name, least in self._least.items()
            if least
        }
        self._told: BoundedMapping[tuple[str, str, str], None] = BoundedMapping(_MOST_TOLD)

    def of(self, project: str, words: Iterable[str], patient: str) -> tuple[WordSighting, ...]:
        """The sightings of one instance that were not told before.

        Parameters
        ----------
        project
            its project
        words
            folded words that its cleaner did not know
        patient
            its pseudonym; without one nobody is counted
        """
        key = self._keys.get(project)
        if key is None or not patient:
            return ()
        sightings = []
        for word in sorted(words):
            if (project, word, patient) in self._told:
                continue
            self._told[project, word, patient] = None
            if _SHORTEST <= len(word) <= _LONGEST and word.isalpha() and not is_name(word):
                sightings.append(key.sighting(word, patient, least=self._least[project]))
        return tuple(sightings[:_MOST_WORDS])


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedWord:
    """A word of a site, as a person sees it.

    Attributes
    ----------
    text
        the word; None if it was sealed with a secret that is gone
    word
        as the ledger has it
    """

    text: str | None
    word: SiteWord


def proposed_words(settings: Settings, ledger: Ledger, project: str) -> list[ProposedWord]:
    """The words that were proposed for a project, opened with its secrets.

    Raises
    ------
    ConfigurationError
        there is no such project, or its secret cannot be read
    LedgerUnavailable
        the ledger cannot be read
    """
    keys = _keys(settings, project)
    return [ProposedWord(text=one.text or word_of(keys, one), word=one) for one in ledger.vocabulary.words(project)]


def decide(
    settings: Settings,
    ledger: Ledger,
    project: str,
    words: Sequence[str],
    *,
    state: WordState,
    actor: str,
    because: str,
) -> int:
    """Accept or reject words that were proposed; how many. The audit trail names those that are accepted.

    Raises
    ------
    ConfigurationError
        there is no such project, or a word was not proposed for it; nothing is decided
    LedgerUnavailable
        the ledger cannot be read or written; nothing is decided
    """
    known: Mapping[str, SiteWord] = {
        one.text: one.word for one in proposed_words(settings, ledger, project) if one.text is not None
    }
    wanted: dict[str, str] = {}
    for number, word in enumerate(words, start=1):
        folded = fold(word)
        if folded not in known:
            raise ConfigurationError(
                place=f"projects.{project}",
                # What somebody types here may be a name.
                problem=f"word {number} was not proposed: what the site knows belongs in its profile's vocabulary",
            )
        wanted[known[folded].token] = folded
    accepted = state is WordState.ACCEPTED
    entry = AuditEntry(
        actor=actor,
        action=AuditAction.WORDS_ACCEPTED if accepted else AuditAction.WORDS_REJECTED,
        subject=project,
        because=because,
        facts={"words": len(wanted), **({"accepted": " ".join(sorted(wanted.values()))} if accepted else {})},
    )
    return ledger.vocabulary.decide(project, wanted, state, entry, at=datetime.now(UTC))


def _keys(settings: Settings, project: str) -> list[VocabularyKey]:
    if project not in settings.projects:
        raise ConfigurationError(place="--project", problem=f"there is no project {project}")
    return [VocabularyKey(secret, project) for secret in project_secrets(settings, project)]
