"""A statement for many rows: what it writes is what SQLAlchemy writes."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.errors import LedgerUnavailable
from gateway.ledger.columns import Choice, Moment, Words
from gateway.ledger.database import Database, ForEach


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


TABLE = sa.Table(
    "things",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", Words(8)),
    sa.Column("colour", Choice(Colour)),
    sa.Column("at", Moment),
    sa.Column("facts", sa.JSON(none_as_null=True)),
)
ROWS: list[dict[str, Any]] = [
    {"name": "plain", "colour": Colour.RED, "at": datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), "facts": {"keep": 3}},
    {"name": "longer than it may be", "colour": Colour.GREEN, "at": None, "facts": {}},
    {"name": "a\x00b\ud800%s?", "colour": None, "at": None, "facts": None},
]


@pytest.fixture
def database(tmp_path: Path) -> Database:
    found = Database(f"sqlite:///{tmp_path}/ledger.sqlite3")
    found.write("create", TABLE.metadata.create_all)
    return found


def written(database: Database) -> list[tuple[Any, ...]]:
    columns = "id, name, colour, at, facts"
    rows = database.read("read", lambda connection: connection.exec_driver_sql(f"SELECT {columns} FROM things").all())
    return [tuple(row) for row in rows]


def test_rows_are_written_as_sqlalchemy_writes_them(database: Database) -> None:
    rows = [{"id": number, **row} for number, row in enumerate(ROWS)]
    insert = ForEach(sa.insert(TABLE), TABLE.c.keys())
    database.write("insert", lambda connection: insert.execute(connection, [{**row, "more": 1} for row in rows]))
    ours = written(database)
    database.write("empty", lambda connection: connection.execute(sa.delete(TABLE)))
    database.write("insert", lambda connection: connection.execute(sa.insert(TABLE), rows))
    assert ours == written(database)
    assert len(ours) == len(ROWS)


def test_rows_are_changed_in_any_order_of_parameters(database: Database) -> None:
    blank = [{"id": number, "name": "-", "colour": None, "at": None, "facts": None} for number in range(len(ROWS))]
    change = ForEach(
        sa.update(TABLE)
        .where(TABLE.c.id == sa.bindparam("row_id"))
        .values({name: sa.bindparam(name) for name in ("colour", "name")} | {"facts": sa.null()}),
        ("row_id", "name", "colour"),
    )
    rows = [{"row_id": number, **row} for number, row in enumerate(ROWS)]

    def work(connection: sa.Connection) -> None:
        connection.execute(sa.insert(TABLE), blank)
        change.execute(connection, rows)
        change.execute(connection, [])

    database.write("change", work)
    assert [row[:3] for row in written(database)] == [
        (0, "plain", "red"),
        (1, "longer t", "green"),
        (2, "a\ufffdb\ufffd%s?", None),
    ]


def test_a_row_that_is_refused_leaves_nothing(database: Database) -> None:
    insert = ForEach(sa.insert(TABLE), TABLE.c.keys())
    rows = [{"id": 1, **ROWS[0]}, {"id": 1, **ROWS[1]}]
    with pytest.raises(LedgerUnavailable):
        database.write("insert", lambda connection: insert.execute(connection, rows))
    assert written(database) == []
