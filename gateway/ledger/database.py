"""The connection to SQLite or PostgreSQL, and everything in which the two differ.

The rest of the ledger is written once. What it relies on:

- a write transaction of SQLite begins IMMEDIATE and excludes every other; a read transaction sees one snapshot.
- PostgreSQL works at READ COMMITTED: who changes a row locks it first (``FOR UPDATE``), who looks for work skips what
  others have locked (``SKIP LOCKED``). SQLite ignores both clauses and needs neither.
- a transaction that lost a race (deadlock, serialization, unique key, busy) is repeated from its beginning.

Statements that are sent for every batch are built once, when their module is loaded: to build one anew costs several
times what the database needs to execute it. For the same reason they take any number of ids as one parameter
(``each_of``), and change at once all rows that change alike.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeAlias, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Connection, Dialect, Engine, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from gateway.errors import ConfigurationError, LedgerDamaged, LedgerUnavailable
from gateway.ledger.columns import Several
from gateway.ledger.failure import failure, failure_of_system, name_of_server, sqlstate
from gateway.remembering import BoundedMapping

T = TypeVar("T")
S = TypeVar("S", bound=sa.Insert)

#: What begins an INSERT that can say ON CONFLICT.
InsertInto: TypeAlias = Callable[[sa.Table], postgresql.Insert]

#: How SQLite flushes: ``normal`` never loses consistency but may lose the last transactions at power loss, which the
#: spool's start-up scan rebuilds; ``full`` flushes every transaction.
Synchronous: TypeAlias = Literal["normal", "full"]

#: What one statement may carry: PostgreSQL allows 65,535 parameters, SQLite 32,766.
CHUNK: Final = 1000

_PLACE: Final = "storage.ledger"
_BUSY_SECONDS: Final = 30.0
_TRIES: Final = 8
#: Of PostgreSQL: serialization, deadlock, a key that is there, and a row that is referred to and has just left.
_RACES: Final = {"40001", "40P01", "23505", "23503"}
_WRITES: Final = "ledger_writes"
#: Rows of what instances are known by, by their fingerprints.
_MOST_ORIGINALS: Final = 1024
#: Execution option of connections: the events that somebody wants to be told of.
WANTED: Final = "ledger_wanted"


class Database:
    """One database, reached by as many connections as threads use it at a time.

    A process opens its own: connections do not survive a fork.
    """

    def __init__(
        self,
        url: str,
        *,
        synchronous: Synchronous = "normal",
        wanted: Collection[str] = frozenset(),
        failed: Callable[[], object] | None = None,
    ) -> None:
        """Prepare the connection; nothing is read yet.

        Parameters
        ----------
        url
            ``sqlite:////absolute/path`` or ``postgresql://user@host/database``.
        synchronous
            For SQLite only.
        wanted
            Events that somebody wants to be told of: ``gateway.ledger.occurrences``.
        failed
            Is called whenever the database has failed, before its caller is told.

        Raises
        ------
        ConfigurationError
            The URL is not of a database that the ledger works on.
        LedgerUnavailable
            The SQLite file cannot be created.
        """
        self._process = os.getpid()
        self._wanted = frozenset(wanted)
        self._failed = failed
        self.engine: Final = _engine(url, synchronous)
        #: Fingerprint of what instances are known by -> its row, which is committed and never leaves. Of SQLite only:
        #: a server that takes over from another may lack rows that the other had committed.
        self.originals: Final[BoundedMapping[str, int]] = BoundedMapping(_MOST_ORIGINALS)

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self.engine.dialect.name

    @property
    def server(self) -> str:
        """The database as people know it, without its password."""
        return name_of_server(self.engine.url)

    def failure(self, operation: str, error: SQLAlchemyError) -> LedgerUnavailable:
        """What a failure of this database is: its class, where, and what to do."""
        if self._failed is not None:
            self._failed()
        return failure(operation, error, url=self.engine.url)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def read(self, operation: str, work: Callable[[Connection], T]) -> T:
        """Call ``work`` in a transaction that only reads.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full.
        """
        return self._transact(operation, work, writes=False)

    def write(self, operation: str, work: Callable[[Connection], T]) -> T:
        """Call ``work`` in a transaction and commit it; ``work`` is called again when the transaction lost a race.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full; nothing was changed.
        """
        return self._transact(operation, work, writes=True)

    def _transact(self, operation: str, work: Callable[[Connection], T], *, writes: bool) -> T:
        if os.getpid() != self._process:
            raise LedgerUnavailable(operation=operation, reason="it was opened by another process")
        options = self._options(writes=writes)
        for attempt in range(_TRIES):
            try:
                with self.engine.connect() as connection, connection.execution_options(**options).begin():
                    return work(connection)
            except SQLAlchemyError as error:
                if attempt + 1 == _TRIES or not _lost_race(error):
                    raise self.failure(operation, error) from error
                time.sleep(0.01 * 2**attempt)
        raise AssertionError("the loop returns or raises")

    def _options(self, *, writes: bool) -> dict[str, Any]:
        if self.dialect == "postgresql" and not writes:
            # Several questions about one moment, as the accounting asks, need one snapshot.
            return {_WRITES: False, "isolation_level": "REPEATABLE READ"}
        return {_WRITES: writes, WANTED: self._wanted}

    @property
    def file_bytes(self) -> int:
        """Size of an SQLite database's file; 0 for another database."""
        path = self.engine.url.database
        if self.dialect != "sqlite" or path is None:
            return 0
        try:
            return Path(path).stat().st_size
        except OSError:
            return 0

    def check(self) -> None:
        """Look for damage in the database's file; reads it whole. PostgreSQL looks after its own.

        Raises
        ------
        LedgerDamaged
            There is some.
        LedgerUnavailable
            The database is locked or unreachable.
        """
        if self.dialect != "sqlite":
            return
        operation = "be trusted"
        answer = self.read(operation, lambda connection: connection.exec_driver_sql("PRAGMA quick_check(1)").scalar())
        if answer != "ok":
            state = "quick_check found an error"
            raise LedgerDamaged(operation=operation, server=self.server, state=state, reason=f"{self.server}: {state}")

    def migration_lock(self, connection: Connection) -> None:
        """Keep every other process from migrating until the write transaction of ``connection`` ends."""
        if self.dialect == "postgresql":
            # The number is "gateway" in ASCII: any constant that nothing else in the database locks.
            self.exclude(connection, 0x67617465776179)

    def exclude(self, connection: Connection, key: int) -> None:
        """Keep every other transaction that asks with the same ``key``, a signed 64-bit number, waiting until the
        write transaction of ``connection`` ends. SQLite's write transactions exclude each other anyway.
        """
        if self.dialect == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))

    def exclude_all(self, connection: Connection, keys: Iterable[int]) -> None:
        """As ``exclude``, for several keys; all transactions ask in the same order."""
        if self.dialect != "postgresql":
            return
        if wanted := sorted(set(keys)):
            numbers = (
                sa.func.unnest(sa.cast(wanted, postgresql.ARRAY(sa.BigInteger))).table_valued("key").render_derived()
            )
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(numbers.c.key))).all()


class OnDatabase:
    """What works on a database."""

    def __init__(self, database: Database) -> None:
        self._database: Final = database


#: The two classes offer the same methods; the checker needs one of them.
_INSERTS: Final[Mapping[str, InsertInto]] = {
    "sqlite": sqlite.insert,  # type: ignore[dict-item]
    "postgresql": postgresql.insert,
}


def insert(connection: Connection, table: sa.Table) -> postgresql.Insert:
    """An INSERT that can say ON CONFLICT, which both databases spell alike."""
    return _INSERTS[connection.dialect.name](table)


def spelt(build: Callable[[InsertInto], S]) -> Mapping[str, S]:
    """A statement that says ON CONFLICT, by dialect: what ``build`` makes of a function that is as ``insert``."""
    return {dialect: build(insert_into) for dialect, insert_into in _INSERTS.items()}


_ID: Final = sa.BigInteger()


class _Elements(FunctionElement[Any]):
    """The function that makes rows of the elements of a ``Several``."""

    name = "elements"
    inherit_cache = True


@compiles(_Elements)
def _unnest(element: _Elements, compiler: SQLCompiler, **options: Any) -> str:
    return f"unnest({compiler.process(element.clauses, **options)})"


@compiles(_Elements, "sqlite")
def _json_each(element: _Elements, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


def each_of(name: str, item: sa.types.TypeEngine[Any] = _ID) -> sa.Select[tuple[Any]]:
    """A query for the elements of a list parameter; to be used as ``column.in_(each_of("ids"))``.

    However many there are, the text of the statement is the same, and the database need not parse it again.

    Parameters
    ----------
    name
        Of the parameter.
    item
        The type of an element, an integer's or a text's.
    """
    return sa.select(_Elements(sa.bindparam(name, type_=Several(item))).column_valued("value"))


class ForEach:
    """A statement that is carried out once for each of many rows.

    SQLAlchemy makes ready for every row what any statement might need, which takes longer than the rest of writing it;
    here the statement is spelt once, and of a row only the values are converted, by the types of their parameters.

    Parameters
    ----------
    statement
        An INSERT or UPDATE.
    names
        Its parameters. A row has all of them and may have more.
    """

    def __init__(self, statement: sa.Insert | sa.Update, names: Sequence[str]) -> None:
        self._statement = statement
        self._names = list(names)
        self._spelt: dict[str, _Spelt] = {}

    def execute(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Carry it out for ``rows``, in their order."""
        if not rows:
            return
        spelt_out = self._spelt.get(connection.dialect.name)
        if spelt_out is None:
            spelt_out = self._spelt[connection.dialect.name] = self._spell(connection.dialect)
        convert = spelt_out.parameters
        values = [[row[name] if to is None else to(row[name]) for name, to in convert] for row in rows]
        if spelt_out.positional:
            connection.exec_driver_sql(spelt_out.text, [tuple(one) for one in values])
        else:
            names = [name for name, _ in convert]
            connection.exec_driver_sql(spelt_out.text, [dict(zip(names, one, strict=True)) for one in values])

    def _spell(self, dialect: Dialect) -> _Spelt:
        compiled = self._statement.compile(dialect=dialect, column_keys=self._names)
        names = compiled.positiontup if compiled.positional else list(compiled.binds)
        types = {name: compiled.binds[name].type.dialect_impl(dialect) for name in names or ()}
        parameters = tuple((name, kind.bind_processor(dialect)) for name, kind in types.items())
        return _Spelt(str(compiled), parameters, bool(compiled.positional))


class _Spelt(NamedTuple):
    """A statement in one dialect: its text, its parameters with what converts their values, and how they are given."""

    text: str
    parameters: tuple[tuple[str, Callable[[Any], Any] | None], ...]
    positional: bool


def lock(connection: Connection, query: sa.Select[Any], parameters: Mapping[str, Any]) -> None:
    """Lock the rows that a query ``FOR UPDATE`` finds, in its order.

    SQLite is not asked: its write transactions exclude each other anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(query, parameters).all()


def records(kind: Callable[..., T], result: sa.Result[Any]) -> list[T]:
    """The rows of a result, each made by calling ``kind`` with the columns by their names."""
    names = tuple(result.keys())
    return [kind(**dict(zip(names, row, strict=True))) for row in result]


def chunks(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """``rows`` in pieces that one statement can carry."""
    for start in range(0, len(rows), CHUNK):
        yield rows[start : start + CHUNK]


def _engine(text: str, synchronous: Synchronous) -> Engine:
    try:
        url = make_url(text)
    except ArgumentError:
        # Without its cause: the URL may hold a password.
        raise ConfigurationError(place=_PLACE, problem="is not a database URL") from None
    backend = url.get_backend_name()
    if backend == "sqlite":
        return _sqlite_engine(url, synchronous)
    if backend in {"postgresql", "postgres"}:
        return _postgresql_engine(url)
    raise ConfigurationError(place=_PLACE, problem="is neither a sqlite: nor a postgresql: URL")


def _sqlite_engine(url: URL, synchronous: Synchronous) -> Engine:
    if not url.database or url.database == ":memory:" or url.query:
        raise ConfigurationError(place=_PLACE, problem="must name a file: sqlite:////directory/file")
    _create_private(url)
    engine = sa.create_engine(
        url.set(drivername="sqlite+pysqlite"),
        connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False},
        poolclass=sa.QueuePool,
        pool_size=8,
        max_overflow=-1,
        hide_parameters=True,
    )

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        # SQLAlchemy begins transactions below; the driver must not begin its own.
        connection.isolation_level = None
        cursor = connection.cursor()
        _use_write_ahead_log(cursor)
        cursor.execute(f"PRAGMA synchronous = {synchronous}")
        cursor.execute("PRAGMA foreign_keys = on")
        cursor.execute("PRAGMA cache_size = -16000")
        cursor.execute("PRAGMA journal_size_limit = 67108864")
        # Each checkpoint waits for the disk, and a page that many instances change is written once for all of them.
        cursor.execute("PRAGMA wal_autocheckpoint = 4000")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES, True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _create_private(url: URL) -> None:
    """Create the file readable by its owner alone; SQLite gives its log files the same mode (promise P9)."""
    # A link may have been laid before there was a ledger.
    path = Path(os.path.realpath(url.database or ""))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            # By name: to open and close the file would drop the locks that this process may hold on it.
            path.chmod(0o600)
    except OSError as error:
        raise failure_of_system("be opened", error, url=url) from error


def _use_write_ahead_log(cursor: DBAPICursor) -> None:
    """Switch to WAL; several processes that switch a new file at once are not made to wait by SQLite itself."""
    give_up = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = wal")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
            continue
        if cursor.fetchall() != [("wal",)]:
            raise ConfigurationError(place=_PLACE, problem="lies on a file system without shared memory, as WAL needs")
        return


def _postgresql_engine(url: URL) -> Engine:
    try:
        engine = sa.create_engine(
            url.set(drivername="postgresql+psycopg"),
            connect_args={} if "connect_timeout" in url.query else {"connect_timeout": 10},
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,
            pool_size=8,
            max_overflow=-1,
            hide_parameters=True,
        )
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            place=_PLACE, problem="names PostgreSQL without its driver: pip install 'deid-gateway[postgresql]'"
        ) from error

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute(f"SET lock_timeout = {round(_BUSY_SECONDS * 1000)}")
        cursor.close()
        connection.commit()

    return engine


def _lost_race(error: SQLAlchemyError) -> bool:
    return sqlstate(error) in _RACES
