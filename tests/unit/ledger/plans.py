"""The query plans of the statements that the ledger really sends."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from gateway.ledger import Ledger
from tests.unit.ledger.build import (
    START,
    at,
    claim,
    deidentified,
    finish,
    held,
    outcome,
    received,
    rejected,
    take,
)

Statement: TypeAlias = tuple[str, Any]

#: Indexes that hold only what is in progress or waits: to walk one costs by the queue, not by the ledger.
SMALL: Final = {
    "instances_waiting",
    "instances_leased",
    "instances_held",
    "instances_purgeable",
    "deliveries_open",
    "deliveries_leased",
    "deliveries_unconfirmed",
    # One row for an instance that was ever held, looked up for those that are; on so few rows PostgreSQL merges both.
    "holds_pkey",
}


def engine_of(ledger: Ledger) -> Engine:
    return ledger._database.engine


@contextmanager
def statements(ledger: Ledger) -> Iterator[dict[str, Any]]:
    """Collect the statements that go to the database: text -> the parameters of one execution."""
    seen: dict[str, Any] = {}

    def listen(_connection: Connection, _cursor: Any, text: str, parameters: Any, _context: Any, many: bool) -> None:
        if text.startswith("INSERT") and " SELECT " in text:
            # Only what it inserts: whatever refers to the table is in the plan too, but walked to mend violations only.
            text = text[text.index("SELECT ") :]
        if text.startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
            seen.setdefault(text, parameters[0] if many else parameters)

    sa.event.listen(engine_of(ledger), "before_cursor_execute", listen)
    try:
        yield seen
    finally:
        sa.event.remove(engine_of(ledger), "before_cursor_execute", listen)


def fill(ledger: Ledger, done: int) -> None:
    """Thousands of instances that arrived long ago, and some of every other kind."""
    for first in range(0, done, 1000):
        ledger.instances.record([received(10_000 + number) for number in range(first, first + 1000)], now=START)
        finish(
            ledger, *(deidentified(each.instance_id, study=f"2.25.{each.instance_id // 50}") for each in claim(ledger))
        )
    while taken := take(ledger, seconds=1, max_count=1000):
        ledger.deliveries.record("deliverer", [outcome(each.delivery_id) for each in taken], now=at(1))
    ledger.retention.purge(at(9), done, now=at(2))
    ledger.instances.record([received(number) for number in range(100, 400)], now=START)
    results = [
        (deidentified, held, rejected)[number % 3](each.instance_id) for number, each in enumerate(claim(ledger))
    ]
    finish(ledger, *results)
    ledger.instances.record([received(number) for number in range(500, 600)], now=START)


def analyze(ledger: Ledger) -> None:
    """Let the database count, as PostgreSQL does by itself and SQLite never does."""
    with engine_of(ledger).begin() as connection:
        connection.execute(sa.text("ANALYZE"))


def hot(ledger: Ledger) -> None:
    """Do once whatever is done for every instance, every batch or every scrape."""
    ledger.instances.record([received(number) for number in range(590, 610)], now=START)
    first, *others = claim(ledger, limit=20)
    ledger.instances.renew("worker", [each.instance_id for each in others], 60, now=START)
    ids = [each.instance_id for each in others]
    finish(ledger, deidentified(first.instance_id, sop_key="a"), held(ids[0], sop_key="b", content_key="c"),
           rejected(ids[1]), deidentified(ids[2], sop_key="a"))  # fmt: skip
    finish(ledger, deidentified(ids[3], sop_key="a", content_key="d"))
    ledger.deliveries.release("worker", now=START)
    taken = take(ledger, seconds=9, max_count=10)
    assert taken
    ledger.deliveries.renew("deliverer", [each.delivery_id for each in taken], 60, now=at(9))
    ledger.deliveries.record("deliverer", [outcome(taken[0].delivery_id), outcome(taken[1].delivery_id, "failed")])
    ledger.deliveries.record("deliverer", [outcome(taken[2].delivery_id, "dead")])
    ledger.deliveries.release("deliverer", now=at(9))
    ledger.deliveries.retry(destination="archive", now=at(9))
    assert (given_up := ledger.retention.purge(at(99), 10))
    assert ledger.retention.purged_of([one.spool_name for one in given_up])
    ledger.history.of(first.instance_id)
    ledger.holds.instances()
    ledger.holds.instances(project="lungs")
    ledger.deliveries.entries(instance_id=first.instance_id)
    ledger.figures.queues()


def full_scans_sqlite(ledger: Ledger, seen: dict[str, Any]) -> list[str]:
    """The statements that walk a table or an index that grows for ever."""
    found = []
    with engine_of(ledger).connect() as connection:
        for text, parameters in seen.items():
            plan = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", parameters)]
            # What the statement makes itself: the rows of its WITH, and its list parameters, the only virtual tables.
            own = {step.split()[1] for step in plan if step.startswith(("CO-ROUTINE", "MATERIALIZE"))}
            own |= {step.split()[1] for step in plan if " VIRTUAL TABLE " in step}
            for step in plan:
                scan = re.match(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?", step)
                if scan and scan[1] not in own and scan[2] not in SMALL:
                    found.append(f"{step}: {text}")
    return found


def full_scans_postgresql(ledger: Ledger, seen: dict[str, Any]) -> list[str]:
    """The statements that must walk a table or an index that grows for ever."""
    found = []
    with engine_of(ledger).connect() as connection:
        # The table of a test is small enough to be walked; what counts is that nothing must.
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        for text, parameters in seen.items():
            (answer,) = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {text}", parameters).scalars()
            plan = answer if isinstance(answer, list) else json.loads(answer)
            found += [f"{words}: {text}" for words in _walk(plan[0]["Plan"])]
    return found


def _walk(node: dict[str, Any]) -> Iterator[str]:
    if node["Node Type"] == "Seq Scan":
        yield f"Seq Scan on {node['Relation Name']}"
    if node["Node Type"].startswith(("Index", "Bitmap Index")):
        unbound = "Index Cond" not in node and node["Index Name"] not in SMALL
        if unbound:
            yield f"{node['Node Type']} of all of {node['Index Name']}"
    for child in node.get("Plans", ()):
        yield from _walk(child)
