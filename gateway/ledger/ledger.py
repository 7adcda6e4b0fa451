"""The ledger: one object for all that the tables know."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Self

from sqlalchemy.exc import SQLAlchemyError

from gateway.ledger.account import Accounts
from gateway.ledger.archive import Archives
from gateway.ledger.audit import Audit
from gateway.ledger.crosswalk import Crosswalk
from gateway.ledger.database import Database, Synchronous
from gateway.ledger.deliveries import Deliveries
from gateway.ledger.departure import Departures
from gateway.ledger.faces import Faces
from gateway.ledger.figures import Figures
from gateway.ledger.finding import Finding
from gateway.ledger.history import Histories
from gateway.ledger.holds import Holds
from gateway.ledger.instances import Instances
from gateway.ledger.keys import Keys
from gateway.ledger.labels import Labels
from gateway.ledger.migrate import migrate
from gateway.ledger.notices import Notices
from gateway.ledger.numbers import Numbers
from gateway.ledger.occurrences import Occurrences
from gateway.ledger.pulse import Pulses
from gateway.ledger.receipts import Receipts
from gateway.ledger.redo import Redo
from gateway.ledger.retention import Retention
from gateway.ledger.reviews import Reviews
from gateway.ledger.sampling import Sampling
from gateway.ledger.seals import Seals
from gateway.ledger.snapshot import Snapshots
from gateway.ledger.sole_use import SoleUse
from gateway.ledger.vocabulary import Vocabulary


class Ledger(
    Instances,
    Holds,
    Deliveries,
    Histories,
    Faces,
    Figures,
    Finding,
    Accounts,
    Archives,
    Departures,
    Numbers,
    Receipts,
    Audit,
    Crosswalk,
    Reviews,
    Keys,
    Labels,
    Sampling,
    Seals,
    Snapshots,
    Redo,
    Retention,
    Vocabulary,
    Pulses,
    Occurrences,
    Notices,
):
    """The database of every instance, delivery and decision.

    Methods may be called from several threads at once; every one is a transaction of its own. A process opens its
    own ledger, after a fork and not before.
    """

    @classmethod
    def open(
        cls,
        url: str,
        *,
        synchronous: Synchronous = "normal",
        wanted: Collection[str] = frozenset(),
        failed: Callable[[], object] | None = None,
    ) -> Self:
        """Open the ledger and bring its schema to this program's version.

        Parameters
        ----------
        url
            ``sqlite:////absolute/path`` (created with mode 0600) or ``postgresql://user@host/database``.
        synchronous
            For SQLite: with ``normal`` a power loss may take back the last transactions, whose instances the spool's
            start-up scan records again; ``full`` flushes every transaction. Neither loses an instance (promise P1).
        wanted
            Events that somebody wants to be told of; nothing is written of others.
        failed
            Is called whenever the database has failed, before its caller is told; from any thread.

        Raises
        ------
        ConfigurationError
            The URL is not usable, or the schema is newer than this program.
        LedgerUnavailable
            The database is locked, unreachable or full.
        """
        database = Database(url, synchronous=synchronous, wanted=wanted, failed=failed)
        try:
            migrate(database)
        except BaseException:
            database.close()
            raise
        return cls(database)

    def sole_use(self, node: str) -> SoleUse:
        """The right to work with this ledger as the gateway ``node``; to be closed before the ledger.

        Raises
        ------
        LedgerInUse
            Another gateway has it.
        LedgerUnavailable
            The database does not answer.
        """
        try:
            return SoleUse(self._database, node)
        except SQLAlchemyError as error:
            raise self._database.failure("be locked", error) from None

    @property
    def directory(self) -> Path | None:
        """Where its file is; None of a ledger that is on a server."""
        url = self._database.engine.url
        return Path(url.database or "").parent if self._database.dialect == "sqlite" else None

    def close(self) -> None:
        """Close all connections; leases stay until they are released or expire."""
        self._database.close()

    def __enter__(self) -> Self:
        """Use the ledger as a context manager that closes it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close all connections."""
        self.close()
