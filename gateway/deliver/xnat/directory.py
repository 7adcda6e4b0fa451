"""Who has a label in an XNAT project, whatever its case.

XNAT archives into the subject whose label is the same but for case, and compares exactly when it is asked for one
(PrearcSessionArchiver, restlet resources). So before a label is used for the first time all labels of the project are
listed and compared without case, together with those of sessions that still wait in the prearchive, and the gateway's
own books are asked: two pseudonyms that differ by case only may be on their way at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from threading import Lock
from time import monotonic
from typing import Final, Generic, TypeVar

from gateway.deliver.base import Verdict
from gateway.deliver.books import Books
from gateway.deliver.xnat import listing, verdict
from gateway.deliver.xnat.client import XnatClient
from gateway.deliver.xnat.labels import Labels
from gateway.deliver.xnat.listing import PrearchiveRow
from gateway.remembering import BoundedMapping

#: How long a listing of the whole project is good for. It is as old at most as an import takes.
_LISTED_SECONDS: Final = 60.0
#: How long a label that was found to be free, or ours, is not looked up again.
_KNOWN_SECONDS: Final = 3600.0
_MOST_KNOWN: Final = 100_000

_T = TypeVar("_T")


class _Listed(Generic[_T]):
    """What was listed a short while ago."""

    def __init__(self) -> None:
        self._at = -_LISTED_SECONDS
        self._found: list[_T] = []

    def get(self, ask: Callable[[], list[_T]]) -> list[_T]:
        if monotonic() - self._at > _LISTED_SECONDS:
            self._found = ask()
            self._at = monotonic()
        return self._found


class Directory:
    """The labels of one project; for several threads.

    Parameters
    ----------
    project
        ID of the project
    books
        who has which label, as the gateway has given them
    """

    def __init__(self, project: str, books: Books) -> None:
        self._project = project
        self._books = books
        self._lock = Lock()
        self._subjects = _Listed[str]()
        self._sessions = _Listed[listing.SessionEntry]()
        self._known: BoundedMapping[tuple[str, str], float] = BoundedMapping(_MOST_KNOWN)

    def collision(
        self, client: XnatClient, labels: Labels, *, patient_id: str, study_uid: str, rows: Sequence[PrearchiveRow]
    ) -> Verdict | None:
        """Why these labels cannot be used; None if they can, and then they are this patient's and this study's.

        Parameters
        ----------
        client
            to ask with
        labels
            of the subject and of the session
        patient_id, study_uid
            what they stand for
        rows
            what waits in the project's prearchive

        Raises
        ------
        DeliveryFailed
            XNAT does not tell
        TransientError
            the books do not
        """
        with self._lock:
            if not self._is_known("subject", labels.subject):
                others = [*self._subjects.get(lambda: listing.subjects(client, self._project))]
                others += [row.subject for row in rows]
                other = _other(labels.subject, others) or self._held("subject", labels.subject, patient_id)
                if other is not None:
                    return verdict.collision("subject", labels.subject, other)
                self._know("subject", labels.subject)
            if not self._is_known("session", labels.session):
                entries = self._sessions.get(lambda: listing.sessions(client, self._project))
                other = _other(labels.session, [entry.label for entry in entries] + [row.label for row in rows])
                if other is not None:
                    return verdict.collision("session", labels.session, other)
                if any(entry.label == labels.session and _is_of_another(entry, labels) for entry in entries):
                    return verdict.SESSION_OF_ANOTHER
                other = self._held("session", labels.session, study_uid)
                if other is not None:
                    return verdict.collision("session", labels.session, other)
                self._know("session", labels.session)
        return None

    def _held(self, kind: str, label: str, of: str) -> str | None:
        """Who else has the label by the gateway's books; None if it is this one's now."""
        holder = self._books.hold(kind, label, of)
        if holder.of == of and holder.label == label:
            return None
        return holder.of if kind == "subject" else holder.label

    def _is_known(self, kind: str, label: str) -> bool:
        return monotonic() - self._known.get((kind, label), -_KNOWN_SECONDS) < _KNOWN_SECONDS

    def _know(self, kind: str, label: str) -> None:
        self._known[kind, label] = monotonic()


def _other(label: str, others: Iterable[str]) -> str | None:
    """A label that differs by case only."""
    folded = label.casefold()
    return next((other for other in others if other != label and other.casefold() == folded), None)


def _is_of_another(entry: listing.SessionEntry, labels: Labels) -> bool:
    return bool(entry.subject) and entry.subject.casefold() != labels.subject.casefold()
