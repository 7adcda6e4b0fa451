"""Studies as somebody looks for them: by keyed tokens of the original identifiers, or by what the gateway gave them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.ledger.database import ForEach, OnDatabase, chunks, each_of, spelt
from gateway.ledger.records import KnownBy
from gateway.ledger.schema import (
    HELD,
    IS_UNCONFIRMED,
    LEASED,
    WAITING,
    WITHOUT_TOKENS,
    aliases,
    archives,
    deliveries,
    departed,
    departed_deliveries,
    instances,
    originals,
    outputs,
)
from gateway.ledger.selection import Selection, condition, departed_condition
from gateway.ledger.states import DeliveryState, InstanceState
from gateway.remembering import BoundedMapping

__all__ = [
    "DeliveryGroup",
    "InstanceGroup",
    "Studies",
    "StudyFilter",
    "StudyReport",
    "Tokens",
    "original_ids",
]

#: Kind of identifier, as the columns of ``originals`` and ``instance`` are called -> its tokens, one for each key.
Tokens = Mapping[str, Sequence[str | int]]

_IDS_OF: Final = sa.select(originals.c.fingerprint, originals.c.id).where(
    originals.c.fingerprint.in_(each_of("fingerprints", sa.Text()))
)
_ADD: Final = spelt(lambda insert: insert(originals).on_conflict_do_nothing(index_elements=["fingerprint"]))
_ADD_ALIAS: Final = spelt(lambda insert: insert(aliases).on_conflict_do_nothing())
_TELL: Final = ForEach(
    sa.update(instances)
    .where(instances.c.id == sa.bindparam("row_id"))
    .values(original_id=sa.bindparam("original_id"), instance_token=sa.bindparam("instance_token")),
    ("row_id", "original_id", "instance_token"),
)
_KINDS: Final = ("patient", "accession", "study", "series")
#: Fingerprints that are remembered: the instances of a series come together.
_REMEMBERED: Final = 1024
#: The study that an instance is of; empty where that is not known.
_STUDY: Final = sa.func.coalesce(originals.c.study, "").label("study")
_INSTANCES: Final = sa.outerjoin(instances, originals, originals.c.id == instances.c.original_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFilter:
    """Which studies; what is None or False does not matter.

    Attributes
    ----------
    selection
        Only those with an instance that it names.
    association
        Only those of which this association brought an instance.
    unfinished
        Only those of which an instance waits, is held, or has not arrived everywhere.
    """

    selection: Selection = field(default_factory=Selection)
    association: int | None = None
    unfinished: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceGroup:
    """Instances of a study that have project, source, state and code in common.

    Attributes
    ----------
    first
        The lowest row id; 0 of instances whose rows have left.
    archive
        The last file that rows of them left for; empty of those that are in the ledger.
    """

    project: str | None
    source: str
    state: InstanceState
    code: str
    count: int
    first: int
    archive: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryGroup:
    """Deliveries of a study that have destination, state and code in common.

    Attributes
    ----------
    first
        The lowest row id; 0 of deliveries whose rows have left.
    changed_at
        When the last of them came into this state.
    due_at
        When the first of them is due, if they are open.
    """

    destination: str
    state: DeliveryState
    code: str
    count: int
    first: int
    changed_at: datetime
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyReport:
    """What became of a study.

    Attributes
    ----------
    number
        By which one speaks of it; 0 for instances of which no study is known.
    study_uids, patient_ids
        What the gateway gave it, one of each for every project that it went to; empty as long as nothing went out.
    associations
        The first and the last association that brought instances of it; empty if that is not known.
    first_received, last_received, last_event
        When its first and its last instance came, and when something last happened to it.
    instances, deliveries
        Where they stand.
    """

    number: int
    study_uids: tuple[str, ...]
    patient_ids: tuple[str, ...]
    associations: tuple[int, ...]
    first_received: datetime
    last_received: datetime
    last_event: datetime
    instances: tuple[InstanceGroup, ...]
    deliveries: tuple[DeliveryGroup, ...]

    @property
    def received(self) -> int:
        """How many instances were acknowledged."""
        return sum(group.count for group in self.instances)

    def count(self, *states: InstanceState) -> int:
        """How many instances are in one of ``states``."""
        return sum(group.count for group in self.instances if group.state in states)

    def codes(self, state: InstanceState) -> dict[str, int]:
        """Code -> how many instances are in ``state`` for it."""
        counts: defaultdict[str, int] = defaultdict(int)
        for group in self.instances:
            if group.state is state:
                counts[group.code] += group.count
        return dict(sorted(counts.items()))

    @property
    def left(self) -> dict[str, int]:
        """File -> how many instances have left the ledger whose last went there."""
        counts: defaultdict[str, int] = defaultdict(int)
        for group in self.instances:
            if group.archive:
                counts[group.archive] += group.count
        return dict(sorted(counts.items()))

    def arrived(self) -> dict[str, tuple[int, int]]:
        """Destination -> how many instances are confirmed there, and how many it is to have."""
        by_destination: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        for group in self.deliveries:
            if group.state in (DeliveryState.SUPERSEDED, DeliveryState.CANCELLED):
                continue
            by_destination[group.destination][1] += group.count
            if group.state is DeliveryState.CONFIRMED:
                by_destination[group.destination][0] += group.count
        return {name: (counts[0], counts[1]) for name, counts in sorted(by_destination.items())}


class Studies(OnDatabase):
    """The ledger's answers to who looks for a study."""

    def find(self, tokens: Tokens) -> tuple[dict[str, int], list[StudyReport]]:
        """What is known of the instances that have one of ``tokens``.

        Returns
        -------
        tuple[dict[str, int], list[StudyReport]]
            Kind -> how many rows have such a token, for those that have any; and the studies, the newest first. Of a
            study of which only a series or an instance was asked for, the report tells of that alone.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        return self._database.read("find a study", lambda connection: _find(connection, tokens))

    def reports(self, which: StudyFilter, *, limit: int, before: int | None = None) -> list[StudyReport]:
        """Studies with all their instances, those that were received last first.

        Parameters
        ----------
        which
            Which.
        limit
            How many at most.
        before
            Only those with a lower number than this: the last one's of the page before.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        return self._database.read("list studies", lambda connection: _page(connection, which, limit, before))

    def report_on(self, selection: Selection, *, association: int | None = None) -> list[StudyReport]:
        """Studies with those of their instances alone that ``selection`` names, the newest first.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        wanted = condition(selection)
        if association is not None:
            wanted = sa.and_(wanted, instances.c.association == association)
        gone = None if association is not None else departed_condition(selection)
        return self._database.read("find a study", lambda connection: _reports(connection, wanted, gone=gone))

    def without_tokens(self, *, after: int, limit: int) -> list[tuple[int, str]]:
        """Instances that no tokens were made of and whose bytes are kept, by row id: row id and spool name.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        query = (
            sa.select(instances.c.id, instances.c.spool_name)
            .where(WITHOUT_TOKENS, instances.c.id > after)
            .order_by(instances.c.id)
            .limit(limit)
        )
        rows = self._database.read(
            "look for instances without tokens", lambda connection: connection.execute(query).all()
        )
        return [(row.id, row.spool_name) for row in rows]

    def count_without_tokens(self) -> int:
        """How many instances have no tokens although their bytes are kept.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        query = sa.select(sa.func.count()).select_from(instances).where(WITHOUT_TOKENS)
        return self._database.read("count instances without tokens", lambda connection: connection.scalar(query) or 0)

    def record_tokens(self, tokens: Mapping[int, KnownBy]) -> None:
        """Record the tokens of instances that had none.

        Parameters
        ----------
        tokens
            Row id -> its tokens.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full.
        """

        def work(connection: Connection) -> None:
            known = original_ids(connection, tokens.values(), self._database.originals)
            rows = [
                {"row_id": number, "original_id": known[fingerprint(one)], "instance_token": one.instance}
                for number, one in sorted(tokens.items())
            ]
            _TELL.execute(connection, rows)

        self._database.write("record tokens", work)


def fingerprint(known_by: KnownBy) -> str:
    """Stands for what instances have in common that are known by the same."""
    return _fingerprint((known_by.patient, known_by.accession, known_by.study, known_by.series), known_by.also)


@lru_cache(_REMEMBERED)
def _fingerprint(parts: tuple[str, ...], also: tuple[tuple[str, str], ...]) -> str:
    further = tuple(f"{kind} {token}" for kind, token in also)
    return blake2b("\0".join(parts + further).encode("ascii"), digest_size=16).hexdigest()


def original_ids(
    connection: Connection, known_by: Iterable[KnownBy], remembered: BoundedMapping[str, int]
) -> dict[str, int]:
    """Fingerprint -> row of ``originals``, made where it is missing, in the transaction that refers to it.

    Parameters
    ----------
    connection
        In a transaction that has made no such row yet.
    known_by
        What instances are known by.
    remembered
        Rows that are committed; what is found of them is added.
    """
    rows = {fingerprint(one): one for one in known_by}
    known = {one: remembered[one] for one in rows if one in remembered}
    # In the order in which they came: the numbers of studies follow it.
    wanted = [one for one in rows if one not in known]
    if not wanted:
        return known

    def ids(fingerprints: list[str]) -> dict[str, int]:
        rows = connection.execute(_IDS_OF, {"fingerprints": fingerprints})
        return {row.fingerprint: row.id for row in rows}

    committed = ids(wanted)
    if connection.dialect.name == "sqlite":
        for one, number in committed.items():
            remembered[one] = number
    known |= committed
    missing = [one for one in wanted if one not in committed]
    if missing:
        new = [
            {"fingerprint": one, **{kind: getattr(rows[one], kind) for kind in _KINDS}}
            for one in missing
        ]  # fmt: skip
        connection.execute(_ADD[connection.dialect.name], new)
        known |= ids(missing)
        further = [
            {"kind": kind, "token": token, "original_id": known[one]}
            for one in missing
            for kind, token in rows[one].also
        ]
        if further:
            connection.execute(_ADD_ALIAS[connection.dialect.name], further)
    return known


def _find(connection: Connection, tokens: Tokens) -> tuple[dict[str, int], list[StudyReport]]:
    matched: dict[str, int] = {}
    rows: set[int] = set()
    for kind in _KINDS:
        if wanted := tokens.get(kind):
            query = sa.union(
                sa.select(originals.c.id).where(originals.c[kind].in_(wanted)),
                sa.select(aliases.c.original_id).where(aliases.c.kind == kind, aliases.c.token.in_(wanted)),
            )
            numbers = connection.scalars(query).all()
            rows.update(numbers)
            if numbers:
                matched[kind] = len(numbers)
    alone: Sequence[int] = ()
    if wanted := tokens.get("instance"):
        alone = connection.scalars(sa.select(instances.c.id).where(instances.c.instance_token.in_(wanted))).all()
        if alone:
            matched["instance"] = len(alone)
    if not matched:
        return {}, []
    either = sa.or_(
        instances.c.original_id.in_(each_of("originals")),
        instances.c.id.in_(each_of("alone")),
    )
    gone = departed.c.original_id.in_(each_of("originals"))
    return matched, _reports(connection, either, {"originals": sorted(rows), "alone": sorted(alone)}, gone=gone)


def _page(connection: Connection, which: StudyFilter, limit: int, before: int | None) -> list[StudyReport]:
    numbered = sa.select(originals.c.study, sa.func.min(originals.c.id).label("number")).group_by(originals.c.study)
    for wanted in _wanted(which):
        numbered = numbered.where(originals.c.study.in_(sa.select(_OF.c.study).where(wanted)))
    if before is not None:
        numbered = numbered.having(sa.func.min(originals.c.id) < before)
    page = connection.execute(numbered.order_by(sa.desc("number")).limit(limit)).all()
    if not page:
        return []
    parts = sa.select(originals.c.id).where(originals.c.study.in_([row.study for row in page]))
    return _reports(connection, instances.c.original_id.in_(parts), gone=departed.c.original_id.in_(parts))


#: A part of a study, in conditions on the study.
_OF: Final = originals.alias()


def _wanted(which: StudyFilter) -> list[sa.ColumnElement[bool]]:
    """The conditions of a filter on ``_OF``, each by the index that answers it soonest."""
    conditions: list[sa.ColumnElement[bool]] = []
    own = sa.select(instances.c.original_id)
    selection = which.selection
    given = selection.instance_ids, selection.study_uid, selection.series_uid, selection.sop_uid, selection.patient_id
    if any(one is not None for one in given):
        conditions.append(_OF.c.id.in_(own.where(condition(selection))))
    elif selection.is_narrow or selection.states:
        conditions.append(sa.exists().where(instances.c.original_id == _OF.c.id, condition(selection)))
    if which.association is not None:
        conditions.append(_OF.c.id.in_(own.where(instances.c.association == which.association)))
    if which.unfinished:
        waits = sa.union(
            own.where(HELD),
            own.where(WAITING),
            own.where(LEASED),
            own.join(deliveries, deliveries.c.instance_id == instances.c.id).where(IS_UNCONFIRMED),
        )
        conditions.append(_OF.c.id.in_(sa.select(waits.subquery().c.original_id)))
    return conditions


def _reports(
    connection: Connection,
    wanted: sa.ColumnElement[bool],
    parameters: Mapping[str, Any] | None = None,
    *,
    gone: sa.ColumnElement[bool] | None = None,
) -> list[StudyReport]:
    """The studies of the instances for which ``wanted`` is true, the newest first.

    Of those that have left, the rows of ``departed`` count for which ``gone`` is true.
    """
    given = dict(parameters or {})
    by_state: defaultdict[str, list[Any]] = defaultdict(list)
    columns = (_STUDY, instances.c.project, instances.c.source, instances.c.state, instances.c.code)
    query = (
        sa.select(
            *columns,
            sa.func.count().label("count"),
            sa.func.min(instances.c.id).label("first"),
            sa.func.min(instances.c.received_at).label("first_received"),
            sa.func.max(instances.c.received_at).label("last_received"),
            sa.func.max(instances.c.changed_at).label("last_event"),
            sa.func.min(instances.c.association).label("first_association"),
            sa.func.max(instances.c.association).label("last_association"),
        )
        .select_from(_INSTANCES)
        .where(wanted)
        .group_by(*columns)
        .order_by(*columns)
    )
    for row in connection.execute(query, given):
        by_state[row.study].append(row._mapping)  # noqa: SLF001 - documented; count is a method of a row
    sent = _deliveries(connection, wanted, given)
    made = _outputs(connection, wanted, given)
    if gone is not None:
        _add_departed(connection, gone, given, by_state, sent, made)
    numbers: dict[str, int] = {"": 0}
    for part in chunks(sorted(by_state)):
        numbered = (
            sa.select(originals.c.study, sa.func.min(originals.c.id).label("number"))
            .where(originals.c.study.in_(each_of("studies", sa.Text())), originals.c.study != "")
            .group_by(originals.c.study)
        )
        rows = connection.execute(numbered, {"studies": list(part)})
        numbers |= {row.study: row.number for row in rows}
    reports = [
        _report(numbers[study], groups, made.get(study, ([], [])), sent.get(study, []))
        for study, groups in by_state.items()
    ]
    return sorted(reports, key=lambda report: (-report.number, report.first_received))


def _deliveries(
    connection: Connection, wanted: sa.ColumnElement[bool], given: Mapping[str, Any]
) -> defaultdict[str, list[DeliveryGroup]]:
    columns = (_STUDY, deliveries.c.destination, deliveries.c.state, deliveries.c.code)
    query = (
        sa.select(
            *columns,
            sa.func.count().label("count"),
            sa.func.min(deliveries.c.id).label("first"),
            sa.func.max(deliveries.c.changed_at).label("changed_at"),
            sa.func.min(deliveries.c.due_at).label("due_at"),
        )
        .select_from(_INSTANCES.join(deliveries, deliveries.c.instance_id == instances.c.id))
        .where(wanted)
        .group_by(*columns)
        .order_by(*columns)
    )
    groups: defaultdict[str, list[DeliveryGroup]] = defaultdict(list)
    for row in connection.execute(query, given):
        values = dict(row._mapping)  # noqa: SLF001 - documented
        groups[values.pop("study")].append(DeliveryGroup(**values))
    return groups


def _outputs(
    connection: Connection, wanted: sa.ColumnElement[bool], given: Mapping[str, Any]
) -> defaultdict[str, tuple[list[str], list[str]]]:
    """Study -> the new Study Instance UIDs and Patient IDs."""
    query = (
        sa.select(_STUDY, outputs.c.study_uid, outputs.c.patient_id)
        .select_from(_INSTANCES.join(outputs, outputs.c.instance_id == instances.c.id))
        .where(wanted)
        .distinct()
        .order_by(_STUDY, outputs.c.study_uid, outputs.c.patient_id)
    )
    names: defaultdict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for row in connection.execute(query, given):
        _name(names[row.study], row)
    return names


def _name(names: tuple[list[str], list[str]], row: Any) -> None:
    for values, value in zip(names, (row.study_uid, row.patient_id), strict=True):
        if value and value not in values:
            values.append(value)


def _add_departed(
    connection: Connection,
    gone: sa.ColumnElement[bool],
    given: Mapping[str, Any],
    by_state: defaultdict[str, list[Any]],
    sent: defaultdict[str, list[DeliveryGroup]],
    made: defaultdict[str, tuple[list[str], list[str]]],
) -> None:
    """Add what has left to what is here."""
    joined = sa.outerjoin(departed, originals, originals.c.id == departed.c.original_id)
    query = (
        sa.select(departed, _STUDY, archives.c.file)
        .select_from(joined.join(archives, archives.c.number == departed.c.archive))
        .where(gone)
        .order_by(departed.c.id)
    )
    for row in connection.execute(query, given):
        by_state[row.study].append(
            {
                **row._mapping,  # noqa: SLF001 - documented
                "project": row.project or None,
                "first": 0,
                "archive": row.file,
                "first_association": None,
                "last_association": None,
            }
        )
        _name(made[row.study], row)
    columns = (_STUDY, *(departed_deliveries.c[name] for name in ("destination", "state", "code")))
    fates = (
        sa.select(
            *columns,
            sa.func.sum(departed_deliveries.c.count).label("count"),
            sa.func.max(departed_deliveries.c.changed_at).label("changed_at"),
        )
        .select_from(joined.join(departed_deliveries, departed_deliveries.c.departed_id == departed.c.id))
        .where(gone)
        .group_by(*columns)
        .order_by(*columns)
    )
    for row in connection.execute(fates, given):
        values = dict(row._mapping)  # noqa: SLF001 - documented
        sent[values.pop("study")].append(
            DeliveryGroup(**{**values, "count": int(values["count"])}, first=0, due_at=row.changed_at)
        )


def _report(number: int, rows: list[Any], made: tuple[list[str], list[str]], sent: list[DeliveryGroup]) -> StudyReport:
    names = ("project", "source", "state", "code", "count", "first")
    associations = {
        row[name] for row in rows for name in ("first_association", "last_association") if row[name] is not None
    }
    return StudyReport(
        number=number,
        study_uids=tuple(made[0]),
        patient_ids=tuple(made[1]),
        associations=tuple(sorted({min(associations), max(associations)})) if associations else (),
        first_received=min(row["first_received"] for row in rows),
        last_received=max(row["last_received"] for row in rows),
        last_event=max([*(row["last_event"] for row in rows), *(group.changed_at for group in sent)]),
        instances=tuple(
            InstanceGroup(**{name: row[name] for name in names}, archive=row.get("archive", "")) for row in rows
        ),
        deliveries=tuple(sent),
    )
