"""A project of an XNAT server as a destination."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Condition
from typing import Final

from gateway.deliver.base import Check, Outcome, Parcel, Verdict
from gateway.deliver.books import Books
from gateway.deliver.pool import Pool
from gateway.deliver.verdicts import NOT_WHOLE
from gateway.deliver.xnat.client import XnatClient
from gateway.deliver.xnat.probe import probe
from gateway.deliver.xnat.settings import XnatSettings
from gateway.deliver.xnat.shared import Shared
from gateway.deliver.xnat.study import StudyDelivery
from gateway.dicom.uid import is_valid_uid

#: The listing of a scan has some 400 bytes for each file.
_ANSWER_LIMIT: Final = 64 * 1024**2


class XnatDestination:
    """A project of an XNAT server; safe for use from several threads. The outcomes are those of ``verdict``.

    Parameters
    ----------
    name
        the destination's name
    settings
        the server, the project, and the way there
    books
        what else of a study is on its way, and who has which label; without, only what the process itself knows
    answer_limit
        bytes of an answer that are read at most

    Raises
    ------
    ConfigurationError
        the URL, a certificate or the credentials cannot be used
    """

    def __init__(
        self,
        name: str,
        settings: XnatSettings,
        *,
        books: Books | None = None,
        answer_limit: int = _ANSWER_LIMIT,
    ) -> None:
        place = f"destinations.{name}"
        self._name = name
        self._settings = settings
        self._endpoint = settings.endpoint(place=place)
        self._authorization = settings.authorization(place=place)
        self._context = settings.context(place=place)
        self._answer_limit = answer_limit
        self._labels = settings.labels
        self._clients = Pool(settings.connections, make=self._open, end=XnatClient.log_out)
        self._studies = _Turns()
        self._shared = Shared.of(settings, books)

    @property
    def name(self) -> str:
        """The destination's name."""
        return self._name

    def send(self, parcels: Sequence[Parcel]) -> list[Outcome]:
        """Send the parcels, a study at a time, and compare what XNAT then lists with them."""
        return self._deliver(parcels, asking=False)

    def confirm(self, parcels: Sequence[Parcel]) -> list[Outcome]:
        """Ask what XNAT lists of parcels that it has taken; nothing is sent."""
        return self._deliver(parcels, asking=True)

    def probe(self, parcel: Parcel | None) -> Iterator[Check]:
        """Try the destination, step by step; a test instance is removed again."""
        with self._clients.lent() as client:
            yield from probe(client, self._settings, parcel)

    def close(self) -> None:
        """End the idle sessions, and those in use as soon as they are done."""
        self._clients.close()

    def _deliver(self, parcels: Sequence[Parcel], *, asking: bool) -> list[Outcome]:
        outcomes: dict[int, Outcome] = {}
        studies: dict[tuple[str, str], list[Parcel]] = {}
        for parcel in parcels:
            fault = _fault(parcel)
            if fault is None:
                studies.setdefault((parcel.study_uid, parcel.patient_id), []).append(parcel)
            else:
                outcomes[parcel.delivery_id] = fault.of(parcel)
        stopped: Verdict | None = None
        for (study_uid, patient_id), members in studies.items():
            if stopped is not None:
                outcomes |= {parcel.delivery_id: stopped.of(parcel) for parcel in members}
                continue
            labels = self._labels.of(patient_id=patient_id, study_uid=study_uid)
            # XNAT refuses a study that is being received already.
            with self._studies.turn(study_uid), self._clients.lent() as client:
                delivery = StudyDelivery(client, self._shared, labels, patient_id=patient_id, study_uid=study_uid)
                done = delivery.confirm(members) if asking else delivery.send(members)
            outcomes |= {outcome.delivery_id: outcome for outcome in done}
            stopped = delivery.stopped if not asking else None
        return [outcomes[parcel.delivery_id] for parcel in parcels]

    def _open(self) -> XnatClient:
        return XnatClient(
            self._endpoint,
            destination=self._name,
            authorization=self._authorization,
            context=self._context,
            timeout=self._settings.timeout_seconds,
            answer_limit=self._answer_limit,
        )


def _fault(parcel: Parcel) -> Verdict | None:
    """Why this parcel cannot be sent at all: nothing that is not what it says goes out."""
    if not parcel.is_whole:
        return NOT_WHOLE
    if not is_valid_uid(parcel.sop_uid):
        return Verdict("dead", "invalid-uid", "its SOP Instance UID cannot be the name of a file")
    if not is_valid_uid(parcel.study_uid):
        return Verdict("dead", "invalid-uid", "by its Study Instance UID the study cannot be found again")
    if not parcel.patient_id.strip():
        return Verdict("dead", "invalid-label", "without a Patient ID there is no subject to file it under")
    return None


class _Turns:
    """Lets one thread at a time deal with a study."""

    def __init__(self) -> None:
        self._condition = Condition()
        self._taken: set[str] = set()

    @contextmanager
    def turn(self, study_uid: str) -> Iterator[None]:
        with self._condition:
            self._condition.wait_for(lambda: study_uid not in self._taken)
            self._taken.add(study_uid)
        try:
            yield
        finally:
            with self._condition:
                self._taken.discard(study_uid)
                self._condition.notify_all()


DESTINATION: Final = XnatDestination
