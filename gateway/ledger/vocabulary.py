"""The words of sites in the ledger: for how many patients they were seen, and what a person said of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.audit import AuditEntry
from gateway.ledger.audit_trail import append as append_audit
from gateway.ledger.database import OnDatabase, insert
from gateway.ledger.schema import site_words, word_sightings
from gateway.ledger.site_words import SiteWord, WordSighting, WordState


class Vocabulary(OnDatabase):
    """The ledger's words of sites."""

    def words(self, project: str) -> list[SiteWord]:
        """The words that were proposed for a project, the newest first.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        query = (
            sa.select(
                site_words.c.word.label("token"),
                site_words.c.sealed,
                site_words.c.text,
                site_words.c.state,
                site_words.c.patients,
                site_words.c.proposed_at,
            )
            .where(site_words.c.project == project)
            .order_by(site_words.c.proposed_at.desc(), site_words.c.word)
        )
        rows = self._database.read("read the vocabulary", lambda connection: connection.execute(query).all())
        return [
            SiteWord(
                token=row.token,
                sealed=row.sealed,
                text=row.text,
                state=WordState(row.state),
                patients=row.patients,
                proposed_at=row.proposed_at,
            )
            for row in rows
        ]

    def accepted(self) -> Mapping[str, frozenset[str]]:
        """Project -> the words that persons have accepted.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        query = sa.select(site_words.c.project, site_words.c.text).where(site_words.c.state == WordState.ACCEPTED)
        rows = self._database.read("read the vocabulary", lambda connection: connection.execute(query).all())
        by_project: dict[str, set[str]] = {}
        for project, text in rows:
            by_project.setdefault(project, set()).add(text)
        return {project: frozenset(words) for project, words in by_project.items()}

    def decide(
        self, project: str, words: Mapping[str, str], state: WordState, entry: AuditEntry, *, at: datetime
    ) -> int:
        """Accept or reject proposed words, on the record.

        Parameters
        ----------
        project
            Name of the project.
        words
            Token of each word -> the word.
        state
            What was said of them. A word that is not accepted is not kept in clear.
        entry
            Written in the same transaction.
        at
            The moment, timezone-aware.

        Returns
        -------
        int
            How many of them there are.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full; nothing was decided.
        """

        def work(connection: Connection) -> int:
            changed = 0
            for token, text in words.items():
                changed += connection.execute(
                    sa.update(site_words)
                    .where(site_words.c.project == project, site_words.c.word == token)
                    .values(
                        state=state,
                        text=text if state is WordState.ACCEPTED else None,
                        decided_at=at,
                        decided_by=entry.actor,
                    )
                ).rowcount
            append_audit(connection, entry, at=at)
            return changed

        return self._database.write("decide on words", work)


def insert_sightings(connection: Connection, sightings: Iterable[WordSighting], *, at: datetime) -> None:
    """Count words in the transaction that finishes their instances; propose those that enough patients have.

    Parameters
    ----------
    connection
        In that transaction.
    sightings
        Any number, of any projects. Words that were proposed already are not counted any more.
    at
        The moment, timezone-aware.
    """
    # In one order, as the crosswalk's rows: nobody waits in a circle.
    wanted = {(one.project, one.word, one.patient): one for one in sightings}
    if not wanted:
        return
    words = {(one.project, one.word): one for one in wanted.values()}
    known = _present(connection, words)
    rows = [
        {"project": project, "word": word, "patient": patient, "seen_at": at}
        for project, word, patient in sorted(wanted)
        if (project, word) not in known
    ]
    if not rows:
        return
    connection.execute(insert(connection, word_sightings).on_conflict_do_nothing(), rows)
    proposed: list[dict[str, object]] = []
    for project, word in sorted(words.keys() - known):
        one = words[project, word]
        count = sa.select(sa.func.count()).where(word_sightings.c.project == project, word_sightings.c.word == word)
        patients = connection.execute(count).scalar_one()
        if patients >= one.least:
            values = {"project": project, "word": word, "sealed": one.sealed, "state": WordState.PROPOSED}
            proposed.append({**values, "patients": patients, "proposed_at": at})
    if proposed:
        connection.execute(insert(connection, site_words).on_conflict_do_nothing(), proposed)
        for row in proposed:
            connection.execute(
                sa.delete(word_sightings).where(
                    word_sightings.c.project == row["project"], word_sightings.c.word == row["word"]
                )
            )


def _present(connection: Connection, words: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of the words that were proposed already."""
    present: set[tuple[str, str]] = set()
    by_project: dict[str, list[str]] = {}
    for project, word in words:
        by_project.setdefault(project, []).append(word)
    for project, tokens in by_project.items():
        query = sa.select(site_words.c.word).where(site_words.c.project == project, site_words.c.word.in_(tokens))
        present.update((project, word) for word in connection.execute(query).scalars())
    return present
