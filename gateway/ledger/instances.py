"""Instances: recorded when received, claimed by workers, finished."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from hashlib import blake2b
from itertools import chain
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.ledger import history
from gateway.ledger.columns import utc_now
from gateway.ledger.corrections import supersede
from gateway.ledger.crosswalk import insert_rows
from gateway.ledger.database import ForEach, OnDatabase, chunks, each_of, records, spelt
from gateway.ledger.history import Transition
from gateway.ledger.holds import record_holds
from gateway.ledger.identities import claims_of, lock_of, one_patient
from gateway.ledger.moving import move, reopen, still_held
from gateway.ledger.outgoing import create_deliveries
from gateway.ledger.records import (
    DUPLICATE,
    ClaimedInstance,
    DeidentifiedResult,
    Finished,
    HeldResult,
    Received,
    RejectedResult,
    Result,
)
from gateway.ledger.redo import ask_again
from gateway.ledger.sampled_series import look_at_all, series_locks
from gateway.ledger.schema import LEASED, STANDING_FOR_CONTENT, WAITING, instances, outputs, reviews
from gateway.ledger.states import InstanceState, Mover
from gateway.ledger.studies import fingerprint, original_ids
from gateway.ledger.vocabulary import insert_sightings
from gateway.remembering import BoundedMapping

#: The instances ``ids``.
_NAMED: Final = instances.c.id.in_(each_of("ids"))

_RECORD: Final = spelt(
    lambda insert: (
        insert(instances)
        .on_conflict_do_nothing(index_elements=["spool_name"])
        .returning(instances.c.id, instances.c.spool_name)
    )
)
_RECORDED: Final = sa.select(instances.c.id, instances.c.spool_name).where(
    instances.c.spool_name.in_(each_of("names", sa.Text()))
)
_EXPIRED: Final = (
    sa.select(instances.c.id)
    .where(LEASED, instances.c.lease_until <= sa.bindparam("now"))
    # As they are claimed: of many that have expired, these are given back.
    .order_by(instances.c.received_at, instances.c.id)
    .limit(sa.bindparam("most"))
    .with_for_update(skip_locked=True)
)
_GIVE_BACK: Final = sa.update(instances).where(_NAMED).values(lease_owner=None, lease_until=None)
_OLDEST_WAITING: Final = (
    sa.select(instances.c.id)
    .where(WAITING)
    .order_by(instances.c.received_at, instances.c.id)
    .limit(sa.bindparam("most"))
    .with_for_update(skip_locked=True)
    .cte()
)
# Not EXISTS: PostgreSQL would read all reviews, those of long ago too.
_REVIEW: Final = (
    sa.select(reviews.c.instance_id)
    .where(reviews.c.instance_id == instances.c.id)
    .correlate(instances)
    .scalar_subquery()
)
_CLAIM: Final = (
    sa.update(instances)
    .where(instances.c.id.in_(sa.select(_OLDEST_WAITING.c.id)))
    .values(lease_owner=sa.bindparam("owner"), lease_until=sa.bindparam("until"), attempts=instances.c.attempts + 1)
    .returning(
        instances.c.id.label("instance_id"),
        instances.c.attempts,
        instances.c.spool_name,
        instances.c.received_at,
        instances.c.size,
        instances.c.crc32,
        instances.c.source,
        instances.c.calling_ae,
        instances.c.called_ae,
        instances.c.peer_address,
        instances.c.sop_class_uid,
        instances.c.transfer_syntax,
        _REVIEW.is_not(None).label("reviewed"),
        instances.c.code,
        instances.c.detail,
    )
)
_MINE: Final = (
    sa.select(instances.c.id)
    .where(_NAMED, instances.c.lease_owner == sa.bindparam("owner"))
    .order_by(instances.c.id)
    .with_for_update()
)
_PROLONG: Final = sa.update(instances).where(_NAMED).values(lease_until=sa.bindparam("until"))
# Locked: what a result is compared with stays as it is until the result is recorded.
_STANDING_FOR: Final = (
    sa.select(instances.c.id, instances.c.sop_key, instances.c.content_key, instances.c.state, instances.c.code)
    .where(
        STANDING_FOR_CONTENT,
        instances.c.project == sa.bindparam("project"),
        instances.c.sop_key.in_(each_of("sop_keys", sa.Text())),
    )
    .order_by(instances.c.id)
    .with_for_update()
)
_RESULT: Final = ("state", "changed_at", "project", "sop_key", "content_key", "code", "detail", "duplicate_of")
_WRITE_RESULT: Final = ForEach(
    sa.update(instances)
    .where(instances.c.id == sa.bindparam("row_id"))
    .values({name: sa.bindparam(name) for name in _RESULT} | {"lease_owner": sa.null(), "lease_until": sa.null()}),
    (*_RESULT, "row_id"),
)
_WRITE_OUTPUT: Final = ForEach(sa.insert(outputs), outputs.c.keys())

#: The codes of instances whose bytes are lost: their content sent again takes their place.
LOST: Final = frozenset({"output-lost", "spool-corrupt"})
#: The code of an instance that was held for its lost bytes, and has been sent again.
SENT_AGAIN: Final = "sent-again"

_NAMES_AT_ONCE: Final = 10_000
#: Who leases what is postponed: no owner's end frees it before its time.
_NOBODY: Final = "nobody"
#: (project, sop_key) -> content_key -> the instance that stands for it.
_Standing = dict[tuple[str, str], dict[str, "_Stands"]]


class _Stands(NamedTuple):
    """An instance that stands for its content."""

    number: int
    state: InstanceState
    code: str


class Instances(OnDatabase):
    """The ledger's instances."""

    def record(self, received: Sequence[Received], *, now: datetime | None = None) -> list[int]:
        """Record what the spool holds; a spool name that is recorded stays as it is.

        Parameters
        ----------
        received
            Any number; a thousand to a transaction.
        now
            The moment for the history, timezone-aware.

        Returns
        -------
        list[int]
            The row ids in the order of ``received``.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full.
        """
        at = now or utc_now()
        remembered = self._database.originals
        return [
            number
            for part in chunks(received)
            for number in self._database.write("record instances", partial(_record, part, at, remembered))
        ]

    def claim(
        self, owner: str, *, limit: int, lease_seconds: float, now: datetime | None = None
    ) -> list[ClaimedInstance]:
        """Lease the oldest instances that wait for a worker, those with an expired lease included.

        Parameters
        ----------
        owner
            Who claims; unique among all workers of all nodes, and of a worker's lives.
        limit
            How many at most.
        lease_seconds
            After this time without ``renew`` others may claim them.
        now
            The present moment, timezone-aware.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full.
        """
        at = now or utc_now()
        until = at + timedelta(seconds=lease_seconds)
        return self._database.write("claim instances", lambda connection: _claim(connection, owner, limit, at, until))

    def renew(self, owner: str, ids: Sequence[int], lease_seconds: float, *, now: datetime | None = None) -> list[int]:
        """Prolong the leases of ``owner`` on instances; return the ids that it still has.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full.
        """
        until = (now or utc_now()) + timedelta(seconds=lease_seconds)

        def work(connection: Connection) -> list[int]:
            kept: list[int] = []
            for part in chunks(sorted(ids)):
                mine = _mine(connection, part, owner)
                connection.execute(_PROLONG, {"ids": mine, "until": until})
                kept += mine
            return kept

        return self._database.write("renew leases", work)

    def postpone(self, owner: str, delays: Mapping[int, float], *, now: datetime | None = None) -> list[int]:
        """Give instances that ``owner`` has claimed back for later; the attempt does not count.

        Parameters
        ----------
        owner
            Who claimed them.
        delays
            Instance -> seconds after which it may be claimed again, by anybody.
        now
            The present moment, timezone-aware.

        Returns
        -------
        list[int]
            Those whose leases it still had.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full.
        """
        at = now or utc_now()

        def work(connection: Connection) -> list[int]:
            mine = _mine(connection, sorted(delays), owner)
            for instance_id in mine:
                _update(
                    connection,
                    [instance_id],
                    lease_owner=_NOBODY,
                    lease_until=at + timedelta(seconds=delays[instance_id]),
                    attempts=instances.c.attempts - 1,
                )
            return mine

        return self._database.write("postpone instances", work)

    def finish(self, owner: str, results: Sequence[Result], *, now: datetime | None = None) -> list[Finished]:
        """Record what ``owner`` made of the instances that it claimed, in one transaction (promises P2, P6).

        A result whose lease was lost is discarded. A result with the project and keys of an instance that stands for
        the same content is recorded as rejected by the rule ``duplicate``, whatever it was. Of several contents of
        one SOP Instance the one received last goes to each destination; deliveries of the others are superseded.

        Parameters
        ----------
        owner
            Who claimed them.
        results
            One per instance; at most a thousand.
        now
            The present moment, timezone-aware.

        Returns
        -------
        list[Finished]
            In the order of ``results``.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full; nothing was recorded.
        """
        if len({result.instance_id for result in results}) != len(results):
            raise ValueError("results must have one result per instance")
        at = now or utc_now()

        def work(connection: Connection) -> list[Finished]:
            # Two workers that finish two versions of one SOP Instance at once must see each other.
            locks = [*filter(None, map(_lock_of, results)), *chain.from_iterable(map(lock_of, results))]
            locks += chain.from_iterable(map(series_locks, results))
            self._database.exclude_all(connection, locks)
            return _finish(connection, owner, results, at)

        return self._database.write("finish instances", work)

    def unknown_spool_names(self, names: Sequence[str]) -> list[str]:
        """Those of ``names`` of which there is no instance, in their order.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        return [
            name
            for part in chunks(names)
            for name in self._database.read("look for spool names", lambda c, part=part: _unknown(c, part))  # type: ignore[misc]
        ]

    def known_spool_names(self) -> Iterator[str]:
        """The spool names of all instances, of those that were purged too.

        Read in pages, so that a long walk keeps no transaction open.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        query = sa.select(instances.c.id, instances.c.spool_name).order_by(instances.c.id).limit(_NAMES_AT_ONCE)
        last = 0
        while True:
            page = query.where(instances.c.id > last)
            rows = self._database.read("list spool names", lambda c, page=page: c.execute(page).all())  # type: ignore[misc]
            if not rows:
                return
            yield from (row.spool_name for row in rows)
            last = rows[-1].id


def _unknown(connection: Connection, names: Sequence[str]) -> list[str]:
    known = {name for _, name in connection.execute(_RECORDED, {"names": list(names)})}
    return [name for name in names if name not in known]


def _record(
    received: Sequence[Received], at: datetime, remembered: BoundedMapping[str, int], connection: Connection
) -> list[int]:
    # In the order of names, in which all processes lock them; names begin with their date.
    if not received:
        return []
    known = original_ids(connection, (one.known_by for one in received if one.known_by is not None), remembered)
    rows = [_received_row(one, known, at) for one in sorted(received, key=lambda one: one.spool_name)]
    created = connection.execute(_RECORD[connection.dialect.name], rows).all()
    numbers: dict[str, int] = {name: number for number, name in created}
    earlier = [one.spool_name for one in received if one.spool_name not in numbers]
    if earlier:
        numbers |= {name: number for number, name in connection.execute(_RECORDED, {"names": earlier})}
    history.record(
        connection,
        (Transition(number, None, InstanceState.RECEIVED) for number, _ in created),
        at=at,
        actor="receiver",
    )
    return [numbers[one.spool_name] for one in received]


def _received_row(received: Received, known: Mapping[str, int], at: datetime) -> dict[str, object]:
    return {
        "spool_name": received.spool_name,
        "received_at": received.received_at,
        "size": received.size,
        "crc32": received.crc32,
        "source": received.source,
        "calling_ae": received.calling_ae,
        "called_ae": received.called_ae,
        "peer_address": received.peer_address,
        "sop_class_uid": received.sop_class_uid,
        "transfer_syntax": received.transfer_syntax,
        "association": received.association or None,
        "original_id": None if received.known_by is None else known[fingerprint(received.known_by)],
        "instance_token": None if received.known_by is None else received.known_by.instance,
        "state": InstanceState.RECEIVED,
        "changed_at": at,
        "attempts": 0,
        "code": "",
        "detail": "",
    }


def _claim(connection: Connection, owner: str, limit: int, now: datetime, until: datetime) -> list[ClaimedInstance]:
    expired = connection.scalars(_EXPIRED, {"now": now, "most": limit}).all()
    if expired:
        connection.execute(_GIVE_BACK, {"ids": expired})
    claimed = connection.execute(_CLAIM, {"most": limit, "owner": owner, "until": until})
    # The database returns them in any order.
    return sorted(records(ClaimedInstance, claimed), key=lambda one: (one.received_at, one.instance_id))


def _mine(connection: Connection, ids: Sequence[int], owner: str) -> list[int]:
    """Those of ``ids`` that ``owner`` has, locked in the order of their ids."""
    return list(connection.scalars(_MINE, {"ids": ids, "owner": owner}))


def _update(connection: Connection, ids: Sequence[int], **values: Any) -> None:
    if ids:
        connection.execute(sa.update(instances).where(instances.c.id.in_(ids)).values(**values))


def _finish(connection: Connection, owner: str, results: Sequence[Result], now: datetime) -> list[Finished]:
    # Those that stand were received earlier: so all transactions lock instances in the order of their ids.
    standing = _standing(connection, results)
    mine = set(_mine(connection, [result.instance_id for result in results], owner))
    accepted = sorted(
        (result for result in results if result.instance_id in mine), key=lambda result: result.instance_id
    )
    claims = claims_of(connection, accepted)
    finished: dict[int, Finished] = {}
    outgoing: list[DeidentifiedResult] = []
    held: list[HeldResult] = []
    rows: list[dict[str, object]] = []
    asked: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    given_way: list[_Stands] = []
    for taken in map(partial(_taking_over, standing=standing, given_way=given_way), accepted):
        result = taken
        if isinstance(taken, DeidentifiedResult) and not _is_duplicate(taken, standing):
            result = one_patient(connection, taken, claims)
        fate, row = _fate(result, standing, now)
        if fate.duplicate_of is not None and isinstance(result, DeidentifiedResult):
            asked[result.asks].append(fate.duplicate_of)
        finished[result.instance_id] = fate
        rows.append(row)
        if isinstance(result, HeldResult) and fate.state is InstanceState.HELD:
            held.append(result)
        if isinstance(result, DeidentifiedResult) and fate.state is InstanceState.DEIDENTIFIED:
            outgoing.append(result)
    _give_way(connection, given_way, now=now, actor=owner)
    _WRITE_RESULT.execute(connection, rows)
    _WRITE_OUTPUT.execute(connection, [_output_row(one, finished[one.instance_id].replaces) for one in outgoing])
    history.record(connection, map(_transition, rows), at=now, actor=owner)
    record_holds(connection, held)
    _reopen(connection, finished, standing, now, owner)
    create_deliveries(connection, outgoing, now=now, actor=owner)
    supersede(connection, _versions(outgoing, standing), now=now, actor=owner)
    for destinations, originals in asked.items():
        ask_again(connection, originals, destinations, now=now, actor=owner)
    insert_rows(connection, (row for one in outgoing for row in one.crosswalk), at=now)
    look_at_all(connection, (*outgoing, *held), now=now, actor=owner)
    insert_sightings(connection, (seen for one in outgoing for seen in one.sightings), at=now)
    return [finished.get(each.instance_id, Finished(instance_id=each.instance_id, state=None)) for each in results]


def _keys(result: Result) -> tuple[str, str, str] | None:
    """Project, sop_key and content_key, if the result has all of them."""
    if isinstance(result, RejectedResult) or not (result.project and result.sop_key and result.content_key):
        return None
    return result.project, result.sop_key, result.content_key


def _lock_of(result: Result) -> int | None:
    """A signed 64-bit number for the SOP Instance of a result that has keys."""
    keys = _keys(result)
    if keys is None:
        return None
    digest = blake2b("\0".join(keys[:2]).encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


def _versions(outgoing: Iterable[DeidentifiedResult], standing: _Standing) -> list[list[int]]:
    """For each SOP Instance of ``outgoing`` that went out with several contents: the instances, oldest first."""
    sop_instances = {keys[:2] for keys in filter(None, map(_keys, outgoing))}
    groups = [
        sorted(stands.number for stands in standing[one].values() if stands.state is not InstanceState.HELD)
        for one in sorted(sop_instances)
    ]
    return [group for group in groups if len(group) > 1]


def _standing(connection: Connection, results: Iterable[Result]) -> _Standing:
    """The instances that stand for the SOP Instances of ``results``, with whatever content, locked."""
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    for keys in filter(None, map(_keys, results)):
        wanted[keys[0]].add(keys[1])
    standing: _Standing = {}
    for project, sop_keys in sorted(wanted.items()):
        for row in connection.execute(_STANDING_FOR, {"project": project, "sop_keys": sorted(sop_keys)}):
            standing.setdefault((project, row.sop_key), {})[row.content_key or _no_content(row.id)] = _Stands(
                row.id, row.state, row.code
            )
    return standing


def _no_content(number: int) -> str:
    """Stands for the content of an instance that has given way: no key is like it."""
    return f"instance {number}"


def _taking_over(result: Result, standing: _Standing, given_way: list[_Stands]) -> Result:
    """``result``, as it is to be recorded if it takes the place of an instance of which nothing can be sent any more.

    Of one that was purged the destinations are asked first; who cannot be asked has had it, and gets it again only
    when a person says so.
    """
    keys = _keys(result)
    if keys is None or not isinstance(result, DeidentifiedResult):
        return result
    contents = standing.get(keys[:2], {})
    stands = contents.get(keys[2])
    if stands is None:
        return result
    # After a newer version an older one that is sent again goes nowhere: it would take the newer one's place.
    newer = any(one.number > stands.number and one.state is not InstanceState.HELD for one in contents.values())
    purged = stands.state is InstanceState.PURGED and result.asks and not newer
    lost = stands.state in (InstanceState.DEIDENTIFIED, InstanceState.HELD) and stands.code in LOST
    if not purged and not lost:
        return result
    given_way.append(stands)
    del contents[keys[2]]
    # Still an earlier version of the same SOP Instance.
    if stands.state is not InstanceState.HELD:
        contents[_no_content(stands.number)] = stands
    return replace(result, destinations=result.asks, ask_first=True) if purged else result


def _give_way(connection: Connection, stands: Sequence[_Stands], *, now: datetime, actor: str) -> None:
    """Instances whose bytes are gone stand for their content no more; one that is held for it waits for nobody."""
    _update(connection, [one.number for one in stands], content_key=None)
    held = [one.number for one in stands if one.state is InstanceState.HELD]
    values = {"code": SENT_AGAIN, "detail": "Its bytes were lost, and it was sent again."}
    move(connection, held, InstanceState.REJECTED, now, actor, values, mover=Mover.OPERATOR)


def _is_duplicate(result: Result, standing: _Standing) -> bool:
    keys = _keys(result)
    return keys is not None and keys[2] in standing.get(keys[:2], {})


def _reopen(
    connection: Connection, finished: Mapping[int, Finished], standing: _Standing, now: datetime, actor: str
) -> None:
    """Send held instances of which a duplicate came through the workers again: somebody wants them to go on.

    Those that are held by the same transaction have just been judged.
    """
    held = {
        one.number for contents in standing.values() for one in contents.values() if one.state is InstanceState.HELD
    }
    asked = {one.duplicate_of for one in finished.values() if one.duplicate_of in held and one.duplicate_of is not None}
    asked -= set(finished)
    if asked:
        reopen(connection, still_held(connection, sorted(asked)), at=now, actor=actor, detail="sent again")


def _fate(result: Result, standing: _Standing, now: datetime) -> tuple[Finished, dict[str, object]]:
    """What becomes of a result, and its row; ``standing`` learns of it.

    A race with another transaction that does the same is decided by the unique index on standing content: the loser
    is repeated from its beginning and then sees the winner.
    """
    number = result.instance_id
    keys = _keys(result)
    row: dict[str, object] = {
        "row_id": number,
        "changed_at": now,
        "project": result.project,
        "sop_key": keys[1] if keys else None,
        "content_key": keys[2] if keys else None,
        "duplicate_of": None,
    }
    contents = standing.setdefault(keys[:2], {}) if keys else {}
    if keys and _is_duplicate(result, standing):
        original = contents[keys[2]].number
        state = InstanceState.REJECTED
        row |= {
            "state": state,
            "code": DUPLICATE,
            "detail": f"of instance {original}",
            "duplicate_of": original,
        }
        return Finished(instance_id=number, state=state, duplicate_of=original), row
    replaces: int | None = None
    match result:
        case DeidentifiedResult():
            state = InstanceState.DEIDENTIFIED
            went_out = [
                stands.number
                for stands in contents.values()
                if stands.state is not InstanceState.HELD and stands.number < number
            ]
            replaces = max(went_out, default=None)
            row |= {"code": "", "detail": "" if replaces is None else f"replaces instance {replaces}"}
        case HeldResult():
            state = InstanceState.HELD
            row |= {"code": result.code, "detail": result.detail}
        case RejectedResult():
            state = InstanceState.REJECTED
            row |= {"code": result.rule, "detail": result.because}
    if keys:
        contents[keys[2]] = _Stands(number, state, str(row["code"]))
    row["state"] = state
    return Finished(instance_id=number, state=state, replaces=replaces), row


def _transition(row: dict[str, Any]) -> Transition:
    return Transition(row["row_id"], InstanceState.RECEIVED, row["state"], code=row["code"], detail=row["detail"])


def _output_row(result: DeidentifiedResult, replaces: int | None) -> dict[str, object]:
    return {
        "instance_id": result.instance_id,
        "profile": result.profile,
        "profile_digest": result.profile_digest,
        "size": result.output_size,
        "patient_id": result.patient_id,
        "study_uid": result.study_uid,
        "series_uid": result.series_uid,
        "sop_uid": result.sop_uid,
        "sop_class_uid": result.sop_class_uid,
        "transfer_syntax": result.transfer_syntax,
        "actions": dict(result.actions),
        "destinations": len(result.destinations),
        "replaces": replaces,
    }
