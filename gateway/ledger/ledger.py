"""The ledger: one object for all that the tables know."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final, Self

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from gateway.ledger.account import Accounts
from gateway.ledger.archived_history import Archives
from gateway.ledger.audit_trail import AuditTrail
from gateway.ledger.crosswalk import Crosswalk
from gateway.ledger.database import Database, Synchronous
from gateway.ledger.deliveries import Deliveries
from gateway.ledger.departure import Departures
from gateway.ledger.destination_labels import Labels
from gateway.ledger.faces import Faces
from gateway.ledger.figures import Figures
from gateway.ledger.history import Histories
from gateway.ledger.holds import Holds
from gateway.ledger.instances import Instances
from gateway.ledger.keys import Keys
from gateway.ledger.migrate import migrate
from gateway.ledger.notices import Notices
from gateway.ledger.occurrences import Occurrences
from gateway.ledger.pseudonym_numbers import Numbers
from gateway.ledger.pulse import Pulse
from gateway.ledger.receipts import Receipts
from gateway.ledger.redo import Corrections
from gateway.ledger.retention import Retention
from gateway.ledger.reviews import Reviews
from gateway.ledger.sampled_series import Sampling
from gateway.ledger.seals import Seals
from gateway.ledger.snapshot import Snapshots
from gateway.ledger.sole_use import SoleUse
from gateway.ledger.studies import Studies
from gateway.ledger.vocabulary import Vocabulary

#: A second or so to read.
_LARGE: Final = 512 << 20


class Ledger:
    """The database of every instance, delivery and decision, by what it keeps.

    Methods may be called from several threads at once; every one is a transaction of its own. A process opens its
    own ledger, after a fork and not before.
    """

    def __init__(self, database: Database) -> None:
        self._database: Final = database
        #: What the workers claim, and what became of it.
        self.instances: Final = Instances(database)
        self.deliveries: Final = Deliveries(database)
        #: What waits for a person, what persons decided, and what they sent on its way once more.
        self.holds: Final = Holds(database)
        self.reviews: Final = Reviews(database)
        self.corrections: Final = Corrections(database)
        #: Series that are looked at whole: for a face, or for text in a sample of slices.
        self.faces: Final = Faces(database)
        self.sampling: Final = Sampling(database)
        #: Answers: of one instance, of studies, of all.
        self.history: Final = Histories(database)
        self.studies: Final = Studies(database)
        self.figures: Final = Figures(database)
        self.accounts: Final = Accounts(database)
        #: What is proven, and by what.
        self.audit: Final = AuditTrail(database)
        self.receipts: Final = Receipts(database)
        self.seals: Final = Seals(database)
        self.keys: Final = Keys(database)
        #: What was given out once and stays given.
        self.numbers: Final = Numbers(database)
        self.labels: Final = Labels(database)
        self.vocabulary: Final = Vocabulary(database)
        self.crosswalk: Final = Crosswalk(database)
        #: What leaves the ledger, and where it went.
        self.retention: Final = Retention(database)
        self.archives: Final = Archives(database)
        self.departures: Final = Departures(database)
        self.snapshots: Final = Snapshots(database)
        #: What people are told, and whether rows can be written.
        self.occurrences: Final = Occurrences(database)
        self.notices: Final = Notices(database)
        self.pulse: Final = Pulse(database)

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
        """Where its file is, and not a link to it; None of a ledger that is on a server."""
        url = self._database.engine.url
        return Path(url.database or "").resolve().parent if self._database.dialect == "sqlite" else None

    def ping(self) -> None:
        """Ask the database for nothing.

        Raises
        ------
        LedgerUnavailable
            It does not answer.
        """
        self._database.read("answer", lambda connection: connection.execute(sa.select(sa.literal(1))).scalar_one())

    @property
    def is_large(self) -> bool:
        """Whether to look for damage in its file takes longer than a start should."""
        return self._database.file_bytes > _LARGE

    def check(self) -> None:
        """Look for damage in an SQLite ledger's file; reads it whole, a second or so per gigabyte.

        Raises
        ------
        LedgerDamaged
            There is some.
        LedgerUnavailable
            The ledger cannot be read.
        """
        self._database.check()

    def close(self) -> None:
        """Close all connections; leases stay until they are released or expire."""
        self._database.close()

    def __enter__(self) -> Self:
        """Use the ledger as a context manager that closes it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close all connections."""
        self.close()
