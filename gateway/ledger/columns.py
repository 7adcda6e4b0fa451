"""Column types: what Python values the tables hold and how they are stored."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
#: Control characters and lone surrogates: PostgreSQL stores neither NUL nor surrogates, terminals obey the others.
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

_S = TypeVar("_S", bound=StrEnum)


def printable(text: str) -> str:
    """``text`` with U+FFFD for every control character and lone surrogate."""
    # Nearly all are printable, and then nothing in them is unsafe.
    return text if text.isprintable() else _UNSAFE.sub("\ufffd", text)


def utc_now() -> datetime:
    """The present moment, timezone-aware."""
    return datetime.now(UTC)


#: Row ids: 64 bits; SQLite's own row id must be declared INTEGER.
RowId: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


class Moment(sa.types.TypeDecorator[datetime]):
    """A timezone-aware datetime, stored as integer microseconds since 1970-01-01 UTC."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Convert to microseconds; a naive datetime raises TypeError."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Convert to a datetime in UTC."""
        return None if value is None else _EPOCH + value * _MICROSECOND


class Choice(sa.types.TypeDecorator[_S]):
    """A member of a string enumeration, stored as its value."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, members: type[_S]) -> None:
        super().__init__()
        self.members = members

    def process_bind_param(self, value: _S | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Convert to the stored text; anything but a member's value raises ValueError."""
        return None if value is None else self.members(value).value

    def process_literal_param(self, value: _S | None, dialect: Dialect) -> str:  # noqa: ARG002
        """Convert to the text that SQLAlchemy quotes as a literal."""
        return "" if value is None else self.members(value).value

    def process_result_value(self, value: str | None, dialect: Dialect) -> _S | None:  # noqa: ARG002
        """Convert to the member."""
        return None if value is None else self.members(value)


class Words(sa.types.TypeDecorator[str]):
    """Text that a peer or a rule chose: made storable and printable, and cut to a length.

    Control characters and lone surrogates become U+FFFD: what a peer puts into an AE title or a UID must not make
    the ledger refuse the row (promise P7).
    """

    impl = sa.Text
    cache_ok = True

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Make the text storable."""
        return None if value is None else printable(value[: self.limit])


class Several(sa.types.TypeDecorator[Sequence[Any]]):
    """Any number of integers or texts in one parameter: an array for PostgreSQL, a JSON array for SQLite."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, item: sa.types.TypeEngine[Any]) -> None:
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[Any]:
        """The type of the parameter."""
        return dialect.type_descriptor(postgresql.ARRAY(self.item) if dialect.name == "postgresql" else sa.Text())

    def process_bind_param(self, value: Sequence[Any] | None, dialect: Dialect) -> list[Any] | str | None:
        """Convert to what the driver takes."""
        if value is None:
            return None
        return list(value) if dialect.name == "postgresql" else json.dumps(list(value))
