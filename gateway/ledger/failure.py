"""What a failure of the database is: unreachable, refused, full ..., where, and what to do.

The driver's own text is never passed on: it quotes statements and addresses as it likes. What is told is the server as
it stands in the configuration, without its password, and the code by which the database calls the failure.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Mapping
from typing import Final

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from gateway.errors import (
    LedgerBusy,
    LedgerDamaged,
    LedgerFull,
    LedgerMissing,
    LedgerReadOnly,
    LedgerRefused,
    LedgerUnavailable,
    LedgerUnreachable,
)

__all__ = ["failure", "failure_of_system", "name_of_server", "sqlstate"]

_Kind = type[LedgerUnavailable]

#: SQLSTATE (PostgreSQL, appendix A), or its class of two characters -> what it is.
_OF_SQLSTATE: Final[Mapping[str, _Kind]] = {
    "08": LedgerUnreachable,  # connection exception
    "57P01": LedgerUnreachable,  # admin shutdown
    "57P02": LedgerUnreachable,  # crash shutdown
    "57P03": LedgerUnreachable,  # cannot connect now: it starts, stops or recovers
    "28": LedgerRefused,  # invalid authorization: user, password, pg_hba.conf
    "42501": LedgerRefused,  # insufficient privilege
    "3D000": LedgerMissing,  # no such database
    "3F000": LedgerMissing,  # no such schema
    "53100": LedgerFull,  # disk full
    "53300": LedgerBusy,  # too many connections
    "53400": LedgerBusy,  # a configured limit
    "55000": LedgerRefused,  # the database takes no connections at all
    "55006": LedgerBusy,  # object in use
    "55P03": LedgerBusy,  # lock not available
    "40": LedgerBusy,  # lost races, as often as they are repeated
    "57014": LedgerBusy,  # statement time-out
    "25006": LedgerReadOnly,  # a standby, or default_transaction_read_only
    "XX001": LedgerDamaged,  # data corrupted
    "XX002": LedgerDamaged,  # index corrupted
}

#: Primary result code of SQLite -> what it is.
_OF_SQLITE: Final[Mapping[int, _Kind]] = {
    sqlite3.SQLITE_BUSY: LedgerBusy,
    sqlite3.SQLITE_LOCKED: LedgerBusy,
    sqlite3.SQLITE_FULL: LedgerFull,
    sqlite3.SQLITE_READONLY: LedgerReadOnly,
    sqlite3.SQLITE_PERM: LedgerRefused,
    sqlite3.SQLITE_AUTH: LedgerRefused,
    sqlite3.SQLITE_CANTOPEN: LedgerRefused,
    sqlite3.SQLITE_CORRUPT: LedgerDamaged,
    sqlite3.SQLITE_NOTADB: LedgerDamaged,
}

_OF_ERRNO: Final[Mapping[int, _Kind]] = {
    errno.ENOSPC: LedgerFull,
    errno.EDQUOT: LedgerFull,
    errno.EROFS: LedgerReadOnly,
    errno.EACCES: LedgerRefused,
    errno.EPERM: LedgerRefused,
    errno.ENOTDIR: LedgerRefused,
    errno.EEXIST: LedgerRefused,
}

#: A server that refuses a connection says why with its SQLSTATE, but libpq passes on the text alone. These are the
#: texts, and the SQLSTATE that each stands for; in another language than English the last line decides.
_OF_TEXT: Final[tuple[tuple[str, str], ...]] = (
    ("password authentication failed", "28P01"),
    ("no password supplied", "28P01"),
    ("authentication failed", "28000"),
    ("pg_hba.conf", "28000"),
    ("is not permitted to log in", "28000"),
    ("permission denied for database", "42501"),
    ("the database system is", "57P03"),
    ("too many clients", "53300"),
    ("too many connections", "53300"),
    ("remaining connection slots", "53300"),
    ("is not currently accepting connections", "55000"),
)
_REFUSAL: Final = "FATAL:"


def failure(operation: str, told: SQLAlchemyError, *, url: URL) -> LedgerUnavailable:
    """What a failure is.

    Parameters
    ----------
    operation
        What was to be done, after "cannot".
    told
        By SQLAlchemy.
    url
        Of the database.
    """
    kind, state = _kind_of(told)
    server = name_of_server(url)
    return kind(operation=operation, server=server, state=state, reason=f"{server}: {state}")


def failure_of_system(operation: str, error: OSError, *, url: URL) -> LedgerUnavailable:
    """The same of what the operating system does not allow with the database's file."""
    state = error.strerror or "the file system refuses"
    server = name_of_server(url)
    kind = _OF_ERRNO.get(error.errno or 0, LedgerUnavailable)
    return kind(operation=operation, server=server, state=state, reason=f"{server}: {state}")


def name_of_server(url: URL) -> str:
    """The database as people know it, without its password: ``PostgreSQL database gateway at db.example:5432``."""
    if url.get_backend_name() == "sqlite":
        return f"SQLite file {url.database}"
    asked = url.query.get("host", ())
    hosts = [asked] if isinstance(asked, str) else list(asked)
    host = url.host or ",".join(hosts) or "localhost"
    port = "" if host.startswith("/") else f":{url.port or 5432}"
    user = f" as {url.username}" if url.username else ""
    return f"PostgreSQL database {url.database or url.username or 'postgres'} at {host}{port}{user}"


def sqlstate(error: SQLAlchemyError) -> str | None:
    """The SQLSTATE of a failure; None if the database gave none."""
    state = getattr(error.orig, "sqlstate", None) if isinstance(error, DBAPIError) else None
    return state if isinstance(state, str) else None


def _kind_of(error: SQLAlchemyError) -> tuple[_Kind, str]:
    """The kind of a failure, and what the database calls it."""
    if isinstance(error, PoolTimeout):
        return LedgerBusy, "no connection is free"
    if not isinstance(error, DBAPIError):
        return LedgerUnavailable, type(error).__name__
    original = error.orig
    number = getattr(original, "sqlite_errorcode", None)
    if isinstance(number, int):
        # The lower byte is the primary code; the others tell where.
        return _OF_SQLITE.get(number & 0xFF, LedgerUnavailable), str(getattr(original, "sqlite_errorname", number))
    state = sqlstate(error)
    if state is None:
        return _without_state(original)
    kind = _OF_SQLSTATE.get(state) or _OF_SQLSTATE.get(state[:2], LedgerUnavailable)
    return kind, f"SQLSTATE {state}"


def _without_state(original: BaseException | None) -> tuple[_Kind, str]:
    """The kind of a failure to connect, or of a connection that is gone."""
    text = str(original)
    name = type(original).__name__
    if "does not exist" in text and _REFUSAL in text:
        is_database = 'database "' in text.rpartition(_REFUSAL)[2]
        return (LedgerMissing, "SQLSTATE 3D000") if is_database else (LedgerRefused, "SQLSTATE 28000")
    for part, state in _OF_TEXT:
        if part in text:
            kind = _OF_SQLSTATE.get(state) or _OF_SQLSTATE.get(state[:2], LedgerUnavailable)
            return kind, f"SQLSTATE {state}"
    if _REFUSAL in text and getattr(getattr(original, "pgconn", None), "used_password", False):
        # It has taken a password and then refused: whatever its language.
        return LedgerRefused, f"{name} after the password"
    if name in {"OperationalError", "ConnectionTimeout", "InterfaceError"}:
        return LedgerUnreachable, _network(text, name)
    return LedgerUnavailable, name


def _network(text: str, name: str) -> str:
    """Why there is no connection, in a word that holds nothing of what the driver wrote."""
    known = (
        ("Connection refused", "connection refused"),
        ("No such file or directory", "no such socket"),
        ("could not translate host name", "no such host"),
        ("failed to resolve host", "no such host"),
        ("timeout expired", "time-out"),
        ("timed out", "time-out"),
        ("No route to host", "no route to host"),
        ("Network is unreachable", "network unreachable"),
        ("certificate", "its certificate is not trusted"),
        ("SSL", "TLS"),
        ("server closed the connection", "the connection was closed"),
        ("is closed", "the connection was closed"),
    )
    return next(
        (word for part, word in known if part in text), "ConnectionTimeout" if "Timeout" in name else "no answer"
    )
