"""What has happened of one event since somebody was last told of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Self

__all__ = ["Tally"]

#: Most names of one kind that are kept.
_MOST_NAMED: Final = 50
#: Most series that are told apart when they are counted.
_MOST_SERIES: Final = 2000


@dataclass(slots=True)
class Tally:
    """What has happened of one event since the last message.

    Attributes
    ----------
    count
        How often.
    since, until
        When the first and the last happened.
    codes
        Code -> how often.
    destinations
        Name -> how often.
    series
        Keyed hashes of series.
    instances
        Numbers of some instances in the ledger.
    studies, patients
        New Study Instance UIDs and Patient IDs of some, where they may be told.
    """

    count: int = 0
    since: datetime | None = None
    until: datetime | None = None
    codes: Counter[str] = field(default_factory=Counter)
    destinations: Counter[str] = field(default_factory=Counter)
    series: set[str] = field(default_factory=set)
    instances: list[int] = field(default_factory=list)
    studies: list[str] = field(default_factory=list)
    patients: list[str] = field(default_factory=list)

    def add(
        self,
        *,
        at: datetime,
        code: str = "",
        destination: str = "",
        series: str = "",
        instance: int | None = None,
        study: str = "",
        patient: str = "",
    ) -> None:
        """One more; the arguments are as the attributes."""
        self.count += 1
        self.since = at if self.since is None else min(self.since, at)
        self.until = at if self.until is None else max(self.until, at)
        if code:
            self.codes[code] += 1
        if destination:
            self.destinations[destination] += 1
        if series and len(self.series) < _MOST_SERIES:
            self.series.add(series)
        if instance is not None and len(self.instances) < _MOST_NAMED:
            self.instances.append(instance)
        for name, names in ((study, self.studies), (patient, self.patients)):
            if name and name not in names and len(names) < _MOST_NAMED:
                names.append(name)

    def merge(self, other: Tally) -> None:
        """All that is in another one."""
        self.count += other.count
        self.since = min((at for at in (self.since, other.since) if at is not None), default=None)
        self.until = max((at for at in (self.until, other.until) if at is not None), default=None)
        self.codes.update(other.codes)
        self.destinations.update(other.destinations)
        self.series = set(sorted(self.series | other.series)[:_MOST_SERIES])
        self.instances = [*self.instances, *other.instances][:_MOST_NAMED]
        self.studies = list(dict.fromkeys((*self.studies, *other.studies)))[:_MOST_NAMED]
        self.patients = list(dict.fromkeys((*self.patients, *other.patients)))[:_MOST_NAMED]

    def as_json(self) -> dict[str, Any]:
        """As the ledger keeps it."""
        return {
            "count": self.count,
            "since": moment(self.since),
            "until": moment(self.until),
            "codes": dict(self.codes),
            "destinations": dict(self.destinations),
            "series": sorted(self.series),
            "instances": self.instances,
            "studies": self.studies,
            "patients": self.patients,
        }

    @classmethod
    def of_json(cls, document: Mapping[str, Any]) -> Self:
        """As ``as_json`` has written it."""
        return cls(
            count=document["count"],
            since=_read(document["since"]),
            until=_read(document["until"]),
            codes=Counter(document["codes"]),
            destinations=Counter(document["destinations"]),
            series=set(document["series"]),
            instances=list(document["instances"]),
            studies=list(document["studies"]),
            patients=list(document["patients"]),
        )


def moment(at: datetime | None) -> str | None:
    """A moment as text, in UTC."""
    return None if at is None else at.astimezone(UTC).isoformat(timespec="microseconds")


def _read(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
