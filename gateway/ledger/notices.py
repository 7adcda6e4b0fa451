"""What people are going to be told: occurrences summed up, for each of those who are told.

Nothing is lost and one message at most is sent twice: an occurrence is taken away in the transaction that sums it up; a
message is written down before it is sent, and struck out when it was taken. One process does all this.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.ledger.database import OnDatabase, insert
from gateway.ledger.occurrences import CONFIRMED
from gateway.ledger.schema import (
    IS_UNCONFIRMED,
    deliveries,
    holds,
    instances,
    notices,
    occurrences,
    outputs,
    study_notices,
)
from gateway.ledger.tally import Tally

__all__ = ["Notice", "Notices", "Occurrence", "Want"]

_MOST: Final = 1000
#: Clocks of two computers are never quite the same.
_AHEAD: Final = timedelta(minutes=1)
_KEY: Final = ("notifier", "event", "project")


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """Something that happened.

    Attributes
    ----------
    event
        What.
    at
        When.
    project, destination, code
        Where and why, as far as it is of one.
    instance_id
        The instance, if it is of one.
    series
        Keyed hash of its series, if it was held.
    study, patient
        New UID and Patient ID, if it has an output.
    """

    event: str
    at: datetime
    project: str
    destination: str
    code: str
    instance_id: int | None
    series: str
    study: str
    patient: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """Somebody who wants to be told of an occurrence.

    Attributes
    ----------
    notifier
        Name.
    gather_seconds
        How long more is awaited before the first message.
    names
        Whether pseudonyms may be told.
    """

    notifier: str
    gather_seconds: float
    names: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What somebody is to be told.

    Attributes
    ----------
    notifier, event, project
        To whom it goes, and of what.
    number
        How many messages there were before.
    tally
        What has happened since the last of them.
    sending
        The message under way, if there is one: it has to be sent as it is.
    tries
        How often it was tried.
    sent_at
        When the last one was taken.
    """

    notifier: str
    event: str
    project: str
    number: int
    tally: Tally
    sending: Mapping[str, Any] | None
    tries: int
    sent_at: datetime | None

    @property
    def key(self) -> dict[str, str]:
        """What identifies it."""
        return {"notifier": self.notifier, "event": self.event, "project": self.project}


_NEW: Final = (
    sa.select(
        occurrences.c.id,
        occurrences.c.event,
        occurrences.c.at,
        instances.c.project,
        occurrences.c.destination,
        occurrences.c.code,
        occurrences.c.instance_id,
        holds.c.series_key,
        outputs.c.study_uid,
        outputs.c.patient_id,
    )
    .outerjoin_from(occurrences, instances, occurrences.c.instance_id == instances.c.id)
    .outerjoin(holds, occurrences.c.instance_id == holds.c.instance_id)
    .outerjoin(outputs, occurrences.c.instance_id == outputs.c.instance_id)
    .order_by(occurrences.c.id)
    .limit(_MOST)
)
_ANY: Final = sa.select(occurrences.c.id).limit(1)
_PLACE: Final = sa.and_(*(notices.c[name] == sa.bindparam(f"of_{name}") for name in _KEY))
_SELECT: Final = sa.select(notices).where(_PLACE)
_UPDATE: Final = sa.update(notices).where(_PLACE)


class Notices(OnDatabase):
    """The ledger's messages."""

    def sum_up(self, wants: Callable[[Occurrence], Iterable[Want]]) -> int:
        """Take occurrences away and add them to what people are going to be told.

        Parameters
        ----------
        wants
            Who wants to be told of one.

        Returns
        -------
        int
            How many were taken; there may be more.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full; nothing is taken.
        """

        def work(connection: Connection) -> int:
            rows = connection.execute(_NEW).all()
            tallies: dict[tuple[str, str, str], tuple[Tally, datetime]] = {}
            studies: dict[tuple[str, str, str], dict[str, Any]] = {}
            for row in rows:
                one = _occurrence(row)
                for want in wants(one):
                    if one.event == CONFIRMED:
                        key = {"notifier": want.notifier, "project": one.project, "study_uid": one.study}
                        studies[tuple(key.values())] = {**key, "instance_id": one.instance_id, "last_at": one.at}  # type: ignore[index]
                        continue
                    _add(tallies, one, want)
            for place, (tally, due_at) in tallies.items():
                _merge(connection, place, tally, due_at)
            if studies:
                statement = insert(connection, study_notices)
                connection.execute(
                    statement.on_conflict_do_update(
                        index_elements=["notifier", "project", "study_uid"],
                        set_={"last_at": statement.excluded.last_at, "instance_id": statement.excluded.instance_id},
                    ),
                    list(studies.values()),
                )
            if rows:
                connection.execute(sa.delete(occurrences).where(occurrences.c.id.in_([row.id for row in rows])))
            return len(rows)

        # Asked every few seconds: a transaction that writes would keep others waiting for nothing.
        if self._database.read("look for what happened", lambda connection: connection.scalar(_ANY)) is None:
            return 0
        return self._database.write("sum up what happened", work)

    def complete_studies(
        self, want: Want, *, quiet_seconds: float, destinations: Collection[str], now: datetime
    ) -> int:
        """Add the studies that are complete to what somebody is going to be told.

        Parameters
        ----------
        want
            Who wants to be told.
        quiet_seconds
            How long nothing of a study must have arrived.
        destinations
            Of the configuration.
        now
            The moment, timezone-aware.

        Returns
        -------
        int
            How many were complete.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full; nothing is added.
        """
        columns = study_notices.c
        quiet = (
            sa.select(columns.study_uid, columns.project, columns.instance_id, columns.last_at, outputs.c.patient_id)
            .outerjoin_from(study_notices, outputs, columns.instance_id == outputs.c.instance_id)
            .where(
                columns.notifier == want.notifier,
                # The clock was ahead when it came, if that is later than now.
                sa.or_(columns.last_at <= now - timedelta(seconds=quiet_seconds), columns.last_at > now + _AHEAD),
            )
            .order_by(columns.last_at)
            .limit(_MOST)
        )

        def work(connection: Connection) -> int:
            tallies: dict[tuple[str, str, str], tuple[Tally, datetime]] = {}
            complete = 0
            for row in connection.execute(quiet).all():
                this = sa.and_(
                    columns.notifier == want.notifier,
                    columns.project == row.project,
                    columns.study_uid == row.study_uid,
                )
                # By destination: the index begins with it.
                is_open = sa.select(deliveries.c.id).where(
                    deliveries.c.destination.in_(destinations), deliveries.c.study_uid == row.study_uid, IS_UNCONFIRMED
                )
                if row.last_at > now or connection.scalar(is_open.limit(1)) is not None:
                    connection.execute(sa.update(study_notices).where(this).values(last_at=now))
                    continue
                complete += 1
                _add(
                    tallies,
                    Occurrence(
                        event=CONFIRMED,
                        at=row.last_at,
                        project=row.project,
                        destination="",
                        code="",
                        instance_id=row.instance_id,
                        series="",
                        study=row.study_uid,
                        patient=row.patient_id or "",
                    ),
                    want,
                )
                connection.execute(sa.delete(study_notices).where(this))
            for place, (tally, due_at) in tallies.items():
                _merge(connection, place, tally, due_at)
            return complete

        if (
            self._database.read("look for complete studies", lambda connection: connection.execute(quiet).first())
            is None
        ):
            return 0
        return self._database.write("look for complete studies", work)

    def due(self, notifier: str, *, now: datetime, longest_seconds: float) -> Notice | None:
        """What somebody is to be told next; None if there is nothing.

        Parameters
        ----------
        notifier
            Who is told.
        now
            The moment, timezone-aware.
        longest_seconds
            The longest wait that a message is given. What would wait for longer was given its time by a clock that was
            ahead, and is due.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        columns = notices.c
        query = (
            sa.select(notices)
            .where(
                columns.notifier == notifier,
                sa.or_(columns.due_at <= now, columns.due_at > now + timedelta(seconds=longest_seconds) + _AHEAD),
                sa.or_(columns.waits.is_(True), columns.is_sending.is_(True)),
            )
            .order_by(columns.due_at)
            .limit(1)
        )
        row = self._database.read("look for a message", lambda connection: connection.execute(query).one_or_none())
        return None if row is None else _notice(row)

    def begin(self, notice: Notice, body: Mapping[str, Any]) -> None:
        """Write a message down before it is sent; what happens from now on is of the next one.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full; it must not be sent.
        """
        self._change(notice, number=notice.number + 1, tally=Tally().as_json(), waits=False, sending=dict(body),
                     is_sending=True)  # fmt: skip

    def taken(self, notice: Notice, *, now: datetime, every_seconds: float) -> None:
        """A message was taken; the next one of its kind is due after so many seconds.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full; it will be sent again.
        """
        due_at = now + timedelta(seconds=every_seconds)
        self._change(notice, sending=None, is_sending=False, tries=0, sent_at=now, due_at=due_at)

    def failed(self, notice: Notice, *, due_at: datetime) -> None:
        """A message was not taken, and is due again.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full.
        """
        self._change(notice, tries=notice.tries + 1, due_at=due_at)

    def waiting(self) -> dict[str, int]:
        """Notifier -> how many messages wait for it.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        columns = notices.c
        query = sa.select(columns.notifier, columns.waits, columns.is_sending)
        counts: Counter[str] = Counter()
        for row in self._database.read("count messages", lambda connection: connection.execute(query).all()):
            counts[row.notifier] += bool(row.waits) + bool(row.is_sending)
        return dict(counts)

    def forget(self, known: Collection[str]) -> int:
        """Drop what those were to be told who are no longer in the configuration; how many messages that was.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full.
        """

        def work(connection: Connection) -> int:
            gone = notices.c.notifier.not_in(known)
            rows = connection.execute(sa.select(notices.c.waits, notices.c.is_sending).where(gone)).all()
            connection.execute(sa.delete(notices).where(gone))
            connection.execute(sa.delete(study_notices).where(study_notices.c.notifier.not_in(known)))
            return sum(bool(row.waits) + bool(row.is_sending) for row in rows)

        return self._database.write("drop messages", work)

    def _change(self, notice: Notice, **values: Any) -> None:
        place = {f"of_{name}": value for name, value in notice.key.items()}
        self._database.write("record a message", lambda connection: connection.execute(_UPDATE.values(**values), place))


def _occurrence(row: Any) -> Occurrence:
    return Occurrence(
        event=row.event,
        at=row.at,
        project=row.project or "",
        destination=row.destination,
        code=row.code,
        instance_id=row.instance_id,
        series=row.series_key or "",
        study=row.study_uid or "",
        patient=row.patient_id or "",
    )


def _add(tallies: dict[tuple[str, str, str], tuple[Tally, datetime]], one: Occurrence, want: Want) -> None:
    place = (want.notifier, one.event, one.project)
    tally, _ = tallies.setdefault(place, (Tally(), one.at + timedelta(seconds=want.gather_seconds)))
    tally.add(
        at=one.at,
        code=one.code,
        destination=one.destination,
        series=one.series,
        instance=one.instance_id,
        study=one.study if want.names else "",
        patient=one.patient if want.names else "",
    )


def _merge(connection: Connection, place: tuple[str, str, str], added: Tally, due_at: datetime) -> None:
    """Add to what is there; the first after a while is due soon, later ones when their time has come."""
    key = dict(zip(_KEY, place, strict=True))
    row = connection.execute(_SELECT, {f"of_{name}": value for name, value in key.items()}).one_or_none()
    if row is None:
        values = {"number": 0, "tally": added.as_json(), "waits": True, "is_sending": False, "tries": 0}
        connection.execute(sa.insert(notices), {**key, **values, "due_at": due_at})
        return
    tally = Tally.of_json(row.tally)
    tally.merge(added)
    later = row.due_at if row.is_sending else max(row.due_at, due_at)
    values = {"tally": tally.as_json(), "waits": True, "due_at": row.due_at if row.waits else later}
    connection.execute(_UPDATE.values(**values), {f"of_{name}": value for name, value in key.items()})


def _notice(row: Any) -> Notice:
    return Notice(
        notifier=row.notifier,
        event=row.event,
        project=row.project,
        number=row.number,
        tally=Tally.of_json(row.tally),
        sending=row.sending if row.is_sending else None,
        tries=row.tries,
        sent_at=row.sent_at,
    )
