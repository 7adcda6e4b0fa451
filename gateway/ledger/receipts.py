"""Receipts: the proof of each delivery, chained by project so that removal and change are detectable.

Every receipt names its number and the digest of the receipt before it; a row of its own keeps the end of the chain.
Whoever keeps an exported copy, or only its last digest, can tell later that nothing before it was touched, even by
somebody who can write to the database.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.ledger.chain import digest_of, link_document
from gateway.ledger.database import OnDatabase, each_of, spelt
from gateway.ledger.records import Receipt, ReceiptChain
from gateway.ledger.schema import deliveries, instances, receipt_chains, receipts

_AT_ONCE: Final = 1000

_BEGIN: Final = spelt(lambda insert: insert(receipt_chains).on_conflict_do_nothing())
_END: Final = (
    sa.select(receipt_chains.c.number, receipt_chains.c.digest)
    .where(receipt_chains.c.project == sa.bindparam("project"))
    .with_for_update()
)
_WRITE: Final = sa.insert(receipts)
_MOVE_END: Final = (
    sa.update(receipt_chains)
    .where(receipt_chains.c.project == sa.bindparam("of_project"))
    .values(number=sa.bindparam("number"), digest=sa.bindparam("digest"))
)
_PROJECTS_OF: Final = (
    sa.select(instances.c.project, sa.func.count())
    .join_from(deliveries, instances, deliveries.c.instance_id == instances.c.id)
    .where(deliveries.c.id.in_(each_of("ids")), instances.c.project.is_not(None))
    .group_by(instances.c.project)
    .order_by(instances.c.project)
)
_COUNT_UNPROVEN: Final = (
    sa.update(receipt_chains)
    .where(receipt_chains.c.project == sa.bindparam("of_project"))
    .values(unproven=receipt_chains.c.unproven + sa.bindparam("more"))
)


class Receipts(OnDatabase):
    """The ledger's receipts."""

    def read(
        self, *, project: str | None = None, instance_id: int | None = None, delivery_id: int | None = None
    ) -> Iterator[Receipt]:
        """Receipts by project and number; read in pages, so that a long walk keeps no transaction open.

        Parameters
        ----------
        project, instance_id, delivery_id
            Only those of this project, instance, delivery.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        columns = receipts.c
        query = sa.select(columns.project, columns.number, columns.delivery_id, columns.digest, columns.document)
        if delivery_id is not None:
            query = query.where(columns.delivery_id == delivery_id)
        if instance_id is not None:
            query = query.join(deliveries, columns.delivery_id == deliveries.c.id)
            query = query.where(deliveries.c.instance_id == instance_id)
        names = [project] if project is not None else self._receipt_projects()
        for name in names:
            last = 0
            while True:
                page = (
                    query.where(columns.project == name, columns.number > last).order_by(columns.number).limit(_AT_ONCE)
                )
                rows = self._database.read("read receipts", lambda c, page=page: c.execute(page).all())  # type: ignore[misc]
                yield from (Receipt(**row._mapping) for row in rows)  # noqa: SLF001
                if len(rows) < _AT_ONCE:
                    break
                last = rows[-1].number

    def chains(self) -> list[ReceiptChain]:
        """The ends of the chains, by project.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        columns = receipt_chains.c
        query = sa.select(columns.project, columns.number, columns.digest).order_by(receipt_chains.c.project)
        rows = self._database.read("read the receipt chains", lambda connection: connection.execute(query).all())
        return [ReceiptChain(**row._mapping) for row in rows]  # noqa: SLF001

    def _receipt_projects(self) -> list[str]:
        """Projects with receipts, those included whose chain has lost its end."""
        query = sa.select(receipts.c.project).union(sa.select(receipt_chains.c.project))
        rows = self._database.read("read receipts", lambda connection: connection.scalars(query).all())
        return sorted(rows)


def append(
    connection: Connection, proofs: Sequence[tuple[int, Mapping[str, object]]], unproven: Sequence[int] = ()
) -> None:
    """Write receipts in the transaction that confirms their deliveries.

    Parameters
    ----------
    connection
        In that transaction.
    proofs
        Delivery and what its receipt says; ``project`` is among it and decides the chain.
    unproven
        Deliveries that are confirmed without another receipt, which the account must know of.
    """
    by_project: dict[str, list[tuple[int, Mapping[str, object]]]] = {}
    for delivery_id, facts in proofs:
        by_project.setdefault(str(facts["project"]), []).append((delivery_id, facts))
    for project, links in sorted(by_project.items()):
        number, digest = _end(connection, project)
        rows = []
        for delivery_id, facts in links:
            number += 1
            document = link_document(facts, number=number, previous=digest)
            digest = digest_of(document)
            rows.append(
                {
                    "project": project,
                    "number": number,
                    "delivery_id": delivery_id,
                    "digest": digest,
                    "document": document,
                }
            )
        connection.execute(_WRITE, rows)
        connection.execute(_MOVE_END, {"of_project": project, "number": number, "digest": digest})
    if unproven:
        for project, count in connection.execute(_PROJECTS_OF, {"ids": list(unproven)}).all():
            _end(connection, project)
            connection.execute(_COUNT_UNPROVEN, {"of_project": project, "more": count})


def _end(connection: Connection, project: str) -> tuple[int, str]:
    """The number and digest of the last receipt, locked: who confirms for this project at the same time waits here."""
    end = connection.execute(_END, {"project": project}).one_or_none()
    if end is None:
        connection.execute(
            _BEGIN[connection.dialect.name], {"project": project, "number": 0, "digest": "", "unproven": 0}
        )
        # Another may have been quicker.
        end = connection.execute(_END, {"project": project}).one()
    return end.number, end.digest
