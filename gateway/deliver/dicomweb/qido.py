"""Confirmation by QIDO-RS (PS3.18 10.6): does the server find the instance under its study and series?

==========================  ============================================================================================
answer                      outcome
==========================  ============================================================================================
200 that lists the UID      confirmed (``found``)
200 without it, 204, 404    sent: a server may index later; failed (``not-found``), to be stored again, when the time
                            for that is over
401, 403, 407               sent (``credentials``), for all that remains of this call
429, 5xx                    sent (``busy``), likewise
no answer                   sent (``unreachable``, ``timeout``, ``tls``, ...), likewise
anything else               sent (``no-qido``): the server does not offer QIDO-RS at this URL, or not to the gateway
==========================  ============================================================================================

The new UIDs stand in the URL and thus in the server's access log.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Final

from gateway.deliver.base import Outcome, OutcomeState, Parcel
from gateway.dicom.uid import is_valid_uid
from gateway.errors import DeliveryFailed
from gateway.web.answer import Answer
from gateway.web.endpoint import Endpoint
from gateway.web.streaming import Connection

_ACCEPT: Final = "application/dicom+json"
_FIRST_SECONDS: Final = 0.5
_LONGEST_SECONDS: Final = 60.0
_MISSING: Final = (204, 404)


class QidoConfirmation:
    """Asks one server; safe for use from several threads, each with a connection of its own.

    Parameters
    ----------
    endpoint
        base URL of the service
    fields
        header fields of every request, credentials among them
    seconds
        how long an instance may stay unfound before it is stored again
    clock
        monotonic seconds
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        fields: Mapping[str, str],
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._endpoint = endpoint
        self._fields = {**fields, "Accept": _ACCEPT}
        self._seconds = seconds
        self._clock = clock
        self._lock = Lock()
        self._since: dict[int, float] = {}

    def stored(self, outcome: Outcome) -> Outcome:
        """The outcome of a store request with which the instance only counts as sent."""
        if outcome.state != "confirmed":
            return outcome
        with self._lock:
            self._since[outcome.delivery_id] = self._clock()
        return Outcome(outcome.delivery_id, "sent", outcome.code, outcome.detail, _FIRST_SECONDS)

    def ask(self, connection: Connection, parcels: Sequence[Parcel]) -> list[Outcome]:
        """Ask for each parcel; see the module's table for the outcomes."""
        outcomes: list[Outcome] = []
        stop: tuple[str, str] | None = None
        for parcel in parcels:
            if stop is None:
                outcome, stop = self._ask(connection, parcel)
            else:
                outcome = self._sent(parcel, *stop)
            outcomes.append(outcome)
        return outcomes

    def _ask(self, connection: Connection, parcel: Parcel) -> tuple[Outcome, tuple[str, str] | None]:
        """The outcome for one parcel, and what stops the asking for others."""
        uids = (parcel.study_uid, parcel.series_uid, parcel.sop_uid)
        if not all(map(is_valid_uid, uids)):
            return self._decided(parcel, "dead", "invalid-uid", "its UIDs cannot be part of a URL"), None
        study, series, instance = uids
        resource = self._endpoint.target(f"/studies/{study}/series/{series}/instances")
        target = f"{resource}{'&' if self._endpoint.query else '?'}SOPInstanceUID={instance}"
        try:
            answer = connection.request("GET", target, self._fields)
        except DeliveryFailed as error:
            stop = (str(error.facts["code"]), str(error.facts["reason"]))
            return self._sent(parcel, *stop), stop
        status = answer.status
        if status == 200 and answer.whole and instance in _listed(answer):
            return self._decided(parcel, "confirmed", "found", "by QIDO-RS"), None
        if status == 200 or status in _MISSING:
            return self._missing(parcel), None
        if status in (401, 403, 407):
            stop = ("credentials", f"status {status}: check the destination's auth")
        elif status == 429 or status >= 500:
            stop = ("busy", f"status {status}")
        else:
            stop = ("no-qido", f"status {status}: the server does not answer QIDO-RS here; set confirm to response")
        return self._sent(parcel, *stop), stop

    def _missing(self, parcel: Parcel) -> Outcome:
        if self._waited(parcel) <= self._seconds:
            return self._sent(parcel, "not-found-yet", "the server does not find the instance by QIDO-RS yet")
        detail = f"the server does not find the instance by QIDO-RS after {self._seconds:g} seconds"
        return self._decided(parcel, "failed", "not-found", detail)

    def _sent(self, parcel: Parcel, code: str, detail: str) -> Outcome:
        wait = min(max(_FIRST_SECONDS, self._waited(parcel) / 4), _LONGEST_SECONDS)
        return Outcome(parcel.delivery_id, "sent", code, detail, wait)

    def _decided(self, parcel: Parcel, state: OutcomeState, code: str, detail: str) -> Outcome:
        with self._lock:
            self._since.pop(parcel.delivery_id, None)
        return Outcome(parcel.delivery_id, state, code, detail)

    def _waited(self, parcel: Parcel) -> float:
        """Seconds since it was stored, or since it was first asked for after a restart."""
        with self._lock:
            now = self._clock()
            return now - self._since.setdefault(parcel.delivery_id, now)


def _listed(answer: Answer) -> set[str]:
    """The SOP Instance UIDs in an answer in DICOM JSON (PS3.18 F); empty if it is none."""
    try:
        content: object = json.loads(answer.body)
    except (ValueError, RecursionError):
        return set()
    uids: set[str] = set()
    for data_set in content if isinstance(content, list) else ():
        match data_set:
            case {"00080018": {"Value": [str(uid), *_]}}:
                uids.add(uid.strip(" \0"))
            case _:
                pass
    return uids
