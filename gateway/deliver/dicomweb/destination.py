"""Delivery to a DICOMweb server by STOW-RS (PS3.18 10.5).

What an answer means, instance by instance:

==========================  ============================================================================================
answer                      outcome
==========================  ============================================================================================
200, 202, 409 with a list   each instance as the list says (see below); one that is not listed has failed
200, 202 without a list     failed: a success that names no instance proves nothing; nor does one that comes before the
                            whole request was sent
400, 406, 409, 415, 422     if a list names the instance as failed, as it says; else failed. A batch is first sent again
and other 4xx               one by one, so that one bad instance does not take the others with it
401, 403, 407               failed (``credentials``), for all that remains of this call
404, 405, 410               failed (``not-found``), likewise: the URL is wrong or the service is switched off
413                         sent again in halves, and later batches are made smaller; one instance alone is dead
429, 503                    failed (``busy``) for all that remains, not before Retry-After
3xx                         failed: not followed, since instances and credentials would go where nobody has sent them
other 5xx, lost connection  a batch is sent again one by one; an instance alone has failed, and after three in a row so
                            has all that remains
no answer otherwise         failed (``unreachable``, ``timeout``, ``tls``) for all that remains
==========================  ============================================================================================

In the list an instance of Referenced SOP Sequence is confirmed, with or without a Warning Reason. One of Failed SOP
Sequence (which prevails) is decided by its Failure Reason, ``data/failure-reasons.csv``: refused for good, worth a
retry, or a duplicate. A duplicate counts as confirmed by default: after an answer that was lost it is the only
confirmation that some servers ever give, and the keyed UID can only come from this very original. Whoever delivers
under UIDs that are kept, or changes a profile and sends again, and wants to know that the stored content is this
content, sets ``duplicates="refuse"``: then a duplicate is dead and a human decides.

With ``confirm="qido"`` what would be confirmed is only sent, and confirmed when the server finds it: see ``qido``.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import monotonic, sleep
from typing import Final, TypeAlias

from gateway.deliver.base import Check, Outcome, Parcel, Verdict
from gateway.deliver.books import Books
from gateway.deliver.dicomweb.qido import QidoConfirmation
from gateway.deliver.dicomweb.settings import DicomWebSettings
from gateway.deliver.dicomweb.store_response import StoreResponse, read_store_response, reason_of
from gateway.deliver.multipart import multipart
from gateway.deliver.pool import Pool
from gateway.deliver.verdicts import NOT_WHOLE, unanswered, unreadable
from gateway.dicom.uid import is_valid_uid
from gateway.errors import DeliveryFailed, SpoolCorrupt, SpoolUnavailable
from gateway.version import USER_AGENT
from gateway.web.answer import Answer
from gateway.web.calls import Calls
from gateway.web.retry_after import retry_after
from gateway.web.streaming import Connection

_ACCEPT: Final = "application/dicom+json, application/dicom+xml;q=0.9"
_SETBACKS_IN_A_ROW: Final = 3
_ANSWER_LIMIT: Final = 16 * 1024**2
#: How often a probe asks whether its instance is found.
_PROBES: Final = 10

#: Parcels with their positions in the call.
_Batch: TypeAlias = "list[tuple[int, Parcel]]"


@dataclass(slots=True)
class _Round:
    """What came of one request.

    Attributes: ``outcomes`` by position; ``again``: batches to send next; ``stop``: the verdict of all that remains;
    ``setback``: what would be, if this repeats itself.
    """

    outcomes: dict[int, Outcome] = field(default_factory=dict)
    again: list[_Batch] = field(default_factory=list)
    stop: Verdict | None = None
    setback: Verdict | None = None


class StowDestination:
    """A DICOMweb server as a destination; safe for use from several threads.

    Parameters
    ----------
    name
        the destination's name
    settings
        the service, and how it is delivered to
    books
        not needed
    answer_limit
        bytes of an answer that are read at most
    clock
        the present time, for a Retry-After that names one

    Raises
    ------
    ConfigurationError
        the URL, a certificate or the credentials cannot be used
    """

    def __init__(
        self,
        name: str,
        settings: DicomWebSettings,
        *,
        books: Books | None = None,  # noqa: ARG002 - as for every kind
        answer_limit: int = _ANSWER_LIMIT,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        place = f"destinations.{name}"
        self._name = name
        self._settings = settings
        self._endpoint = settings.endpoint(place=place)
        self._context = settings.context(place=place)
        self._answer_limit = answer_limit
        self._clock = clock
        self._max_bytes = settings.max_bytes
        #: Instances of a request: fewer after one that was not answered in time, more again after quick answers.
        self._most = settings.max_instances
        self._fields = {"Accept": _ACCEPT, "Accept-Encoding": "identity", "User-Agent": USER_AGENT}
        authorization = settings.authorization(place=place)
        if authorization is not None:
            self._fields["Authorization"] = authorization.value
        self._qido = (
            QidoConfirmation(self._endpoint, fields=self._fields, seconds=settings.confirm_seconds)
            if settings.confirm == "qido"
            else None
        )
        self._connections = Pool(settings.connections, make=self._open, end=Connection.close)

    @property
    def name(self) -> str:
        """The destination's name."""
        return self._name

    def send(self, parcels: Sequence[Parcel]) -> list[Outcome]:
        """Store the parcels; see the module's table for the outcomes."""
        outcomes: dict[int, Outcome] = {}
        sendable: _Batch = []
        for position, parcel in enumerate(parcels):
            fault = self._fault(parcel)
            if fault is None:
                sendable.append((position, parcel))
            else:
                outcomes[position] = fault.of(parcel)
        if sendable:
            with self._connections.lent() as connection:
                outcomes |= self._send(connection, deque(self._batches(sendable)))
        in_order = [outcomes[position] for position in range(len(parcels))]
        return in_order if self._qido is None else [self._qido.stored(outcome) for outcome in in_order]

    def confirm(self, parcels: Sequence[Parcel]) -> list[Outcome]:
        """Whether QIDO-RS finds the parcels; without ``confirm="qido"`` they are stored again."""
        if self._qido is None:
            return self.send(parcels)
        with self._connections.lent() as connection:
            return self._qido.ask(connection, parcels)

    def probe(self, parcel: Parcel | None) -> Iterator[Check]:
        """Search for a study that does not exist, then store ``parcel`` if given and look whether it is found."""
        target = self._endpoint.target("/studies")
        target += ("&" if self._endpoint.query else "?") + f"StudyInstanceUID=2.25.{secrets.randbits(120)}&limit=1"
        calls = Calls(
            self._endpoint,
            destination=self._name,
            timeout=self._settings.timeout_seconds,
            context=self._context,
            answer_limit=0,
        )
        try:
            status = calls.call("GET", target, {**self._fields, "Accept": "application/dicom+json"}).status
        except DeliveryFailed as error:
            yield Check(ok=False, text=f"no answer: {error.facts['reason']}")
            return
        finally:
            calls.close()
        if status in (401, 403, 407):
            yield Check(ok=False, text=f"the server refuses the credentials (status {status}): check auth")
            return
        if status in (200, 204):
            yield Check(ok=True, text="the server answers QIDO-RS and accepts the credentials")
        else:
            needed = self._qido is not None
            text = f"QIDO-RS is answered with status {status}"
            yield Check(ok=not needed, text=text + (": set confirm to response" if needed else "; it is not needed"))
        if parcel is None:
            return
        [outcome] = self.send([parcel])
        for _ in range(_PROBES):
            if outcome.state != "sent":
                break
            sleep(outcome.retry_after or 0.0)
            [outcome] = self.confirm([parcel])
        if outcome.state == "confirmed":
            text = f"the test instance is stored ({outcome.code}); DICOMweb has no way to remove it, so it stays there"
            yield Check(ok=True, text=text)
        else:
            yield Check(ok=False, text=f"the test instance is not stored: {outcome.code}, {outcome.detail}")

    def close(self) -> None:
        """Close the idle connections, and those in use as soon as they are done."""
        self._connections.close()

    def _open(self) -> Connection:
        return Connection(
            self._endpoint,
            destination=self._name,
            timeout=self._settings.timeout_seconds,
            context=self._context,
            answer_limit=self._answer_limit,
        )

    def _fault(self, parcel: Parcel) -> Verdict | None:
        """Why this parcel cannot be sent at all: nothing that is not what it says goes out."""
        if not parcel.is_whole:
            return NOT_WHOLE
        if not parcel.sop_uid:
            return Verdict("dead", "invalid-uid", "without a SOP Instance UID no answer can name the instance")
        if self._settings.study_in_url and not is_valid_uid(parcel.study_uid):
            return Verdict("dead", "invalid-uid", "its Study Instance UID cannot be part of a URL")
        return None

    def _batches(self, parcels: _Batch) -> list[_Batch]:
        """In order, of one study each, within the limits, and no UID twice: answers are told apart by their UIDs."""
        studies: dict[str, _Batch] = {}
        for position, parcel in parcels:
            studies.setdefault(parcel.study_uid, []).append((position, parcel))
        batches: list[_Batch] = []
        for study in studies.values():
            batch: _Batch = []
            size, uids = 0, set[str]()
            for position, parcel in study:
                full = len(batch) >= self._most or size + parcel.length > self._max_bytes
                if batch and (full or parcel.sop_uid in uids):
                    batches.append(batch)
                    batch, size, uids = [], 0, set()
                batch.append((position, parcel))
                size += parcel.length
                uids.add(parcel.sop_uid)
            batches.append(batch)
        return batches

    def _send(self, connection: Connection, queue: deque[_Batch]) -> dict[int, Outcome]:
        outcomes: dict[int, Outcome] = {}
        setbacks = 0
        while queue:
            batch = queue.popleft()
            result = self._store(connection, batch)
            outcomes |= result.outcomes
            queue.extendleft(reversed(result.again))
            setbacks = setbacks + 1 if result.setback is not None else 0
            stop = result.setback if setbacks >= _SETBACKS_IN_A_ROW else result.stop
            if stop is not None:
                outcomes |= {position: stop.of(parcel) for rest in queue for position, parcel in rest}
                break
        return outcomes

    def _store(self, connection: Connection, batch: _Batch) -> _Round:
        """One request."""
        body = multipart([parcel for _, parcel in batch])
        resource = f"/studies/{batch[0][1].study_uid}" if self._settings.study_in_url else "/studies"
        began = monotonic()
        try:
            answer = connection.post(
                self._endpoint.target(resource),
                {**self._fields, "Content-Type": body.content_type},
                body.segments,
                length=body.length,
            )
        except DeliveryFailed as error:
            return self._unanswered(batch, error)
        except (SpoolUnavailable, SpoolCorrupt) as error:
            segment = error.facts["segment"]
            assert isinstance(segment, int)
            return _without(batch, body.owners[segment], error)
        if len(batch) == self._most and monotonic() - began < self._settings.timeout_seconds / 4:
            self._most = min(2 * self._most, self._settings.max_instances)
        return self._answered(batch, answer)

    def _unanswered(self, batch: _Batch, error: DeliveryFailed) -> _Round:
        verdict = unanswered(error)
        if verdict.code == "timeout":
            return self._late(batch, verdict)
        if verdict.code == "connection-lost":
            return _isolated(batch, verdict)
        return _Round(_all(batch, verdict), stop=verdict)

    def _late(self, batch: _Batch, verdict: Verdict) -> _Round:
        """It may need longer for so many: sent again whole, they would never arrive."""
        if len(batch) > 1:
            self._most = max(1, len(batch) // 2)
            detail = f"{verdict.detail}; the next requests have {self._most} instances at most"
            verdict = replace(verdict, detail=detail)
        return _Round(_all(batch, verdict), stop=verdict)

    def _answered(self, batch: _Batch, answer: Answer) -> _Round:
        status = answer.status
        if status == 504:
            return self._late(batch, Verdict("failed", "timeout", "status 504: a proxy got no answer in time"))
        if status in (200, 202, 409):
            response = read_store_response(answer.body) if answer.whole and not answer.early else None
            if response is not None and (status != 409 or _names(response, batch)):
                return _Round(self._as_listed(batch, response))
            if status != 409:
                return _Round(_all(batch, _unproven(answer)))
        stop = self._stopping(answer)
        if stop is not None:
            return _Round(_all(batch, stop), stop=stop)
        if status == 413:
            return self._too_large(batch)
        return self._refused(batch, answer)

    def _as_listed(self, batch: _Batch, response: StoreResponse) -> dict[int, Outcome]:
        return {
            position: self._listed(parcel, response, alone=len(batch) == 1).of(parcel) for position, parcel in batch
        }

    def _listed(self, parcel: Parcel, response: StoreResponse, *, alone: bool) -> Verdict:
        uid = parcel.sop_uid
        if uid in response.failed:
            return self._failure(response.failed[uid])
        if uid in response.stored:
            warning = response.stored[uid]
            if warning is None:
                return Verdict("confirmed", "stored")
            return Verdict("confirmed", "stored-with-warning", f"warning reason 0x{warning:04X}")
        if alone and len(response.other) == 1:
            return self._failure(response.other[0])
        detail = "its answer does not list the instance"
        if response.other:
            detail += f", and reports {len(response.other)} failures of instances that it does not name"
        return Verdict("failed", "not-listed", detail)

    def _failure(self, number: int | None) -> Verdict:
        reason = reason_of(number)
        detail = reason.meaning if number is None else f"failure reason 0x{number:04X}: {reason.meaning}"
        if reason.decision == "duplicate":
            if self._settings.duplicates == "confirm":
                return Verdict("confirmed", "already-stored", detail)
            return Verdict("dead", "already-stored", detail)
        return Verdict("dead" if reason.decision == "refuse" else "failed", "rejected", detail)

    def _stopping(self, answer: Answer) -> Verdict | None:
        """The verdict of an answer that concerns not these instances but the service as a whole."""
        status = answer.status
        if status in (401, 403, 407):
            return Verdict("failed", "credentials", f"status {status}: check the destination's auth")
        if status in (404, 405, 410):
            return Verdict("failed", "not-found", f"status {status}: there is no STOW-RS service at the URL")
        if status in (429, 503):
            wait = retry_after(answer.retry_after, now=self._clock())
            return Verdict("failed", "busy", f"status {status}: it asks to be left alone for a while", wait)
        if status == 502:
            return Verdict("failed", "unreachable", "status 502: a proxy does not reach the service")
        if 300 <= status < 400:
            detail = f"status {status}: redirects are not followed; set the URL to the final address"
            return Verdict("failed", "redirect", detail)
        if not 400 <= status < 600:
            return Verdict("failed", "unexpected-status", f"status {status} is no answer to a store request")
        return None

    def _too_large(self, batch: _Batch) -> _Round:
        if len(batch) == 1:
            detail = "status 413: the destination does not take an instance of this size"
            return _Round(_all(batch, Verdict("dead", "too-large", detail)))
        half = len(batch) // 2
        self._max_bytes = max(1, min(self._max_bytes, sum(parcel.length for _, parcel in batch) // 2))
        return _Round(again=[batch[:half], batch[half:]])

    def _refused(self, batch: _Batch, answer: Answer) -> _Round:
        """A 4xx or 5xx that may be the fault of a single instance."""
        if len(batch) > 1:
            return _Round(again=_singles(batch))
        parcel = batch[0][1]
        response = read_store_response(answer.body) if answer.whole else None
        if response is not None and parcel.sop_uid in response.failed:
            return _Round(_all(batch, self._failure(response.failed[parcel.sop_uid])))
        if response is not None and not response.stored and len(response.other) == 1:
            return _Round(_all(batch, self._failure(response.other[0])))
        if answer.status >= 500:
            return _isolated(batch, Verdict("failed", "server-error", f"status {answer.status}"))
        return _Round(_all(batch, Verdict("failed", "refused", f"status {answer.status}")))


def _all(batch: _Batch, verdict: Verdict) -> dict[int, Outcome]:
    return {position: verdict.of(parcel) for position, parcel in batch}


def _singles(batch: _Batch) -> list[_Batch]:
    return [[member] for member in batch]


def _isolated(batch: _Batch, verdict: Verdict) -> _Round:
    """A fault that one instance of the batch may cause, or the server's own."""
    if len(batch) > 1:
        return _Round(again=_singles(batch))
    return _Round(_all(batch, verdict), setback=verdict)


def _without(batch: _Batch, culprit: int, error: SpoolUnavailable | SpoolCorrupt) -> _Round:
    """The rest of the batch again, without the one whose stored bytes are not to be had."""
    position, parcel = batch[culprit]
    rest = batch[:culprit] + batch[culprit + 1 :]
    return _Round({position: unreadable(error).of(parcel)}, again=[rest] if rest else [])


def _names(response: StoreResponse, batch: _Batch) -> bool:
    return any(parcel.sop_uid in response.failed or parcel.sop_uid in response.stored for _, parcel in batch)


def _unproven(answer: Answer) -> Verdict:
    status = f"status {answer.status}"
    if answer.early:
        return Verdict("failed", "answer-early", f"{status}, but before it had everything that it confirms")
    if answer.excessive:
        return Verdict("failed", "answer-too-large", f"{status}, but its answer is too large to be one")
    if not answer.whole:
        return Verdict("failed", "answer-unreadable", f"{status}, but its answer breaks off")
    if not answer.body.strip():
        return Verdict("failed", "answer-empty", f"{status}, but without a word on what was stored")
    return Verdict("failed", "answer-unreadable", f"{status}, but its answer is no Store Instances Response")


DESTINATION: Final = StowDestination
