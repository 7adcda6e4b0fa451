"""What XNAT shows of a study: its session in the archive, and its rows in the prearchive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.deliver.base import Parcel, Verdict
from gateway.deliver.xnat import listing, session_type, verdict
from gateway.deliver.xnat.client import XnatClient
from gateway.deliver.xnat.file_names import Holdings
from gateway.deliver.xnat.listing import PrearchiveRow
from gateway.deliver.xnat.proof import Compare, Proof
from gateway.errors import DeliveryFailed

#: Words of XNAT's own in the log of a session that it did not archive (PrearcSessionArchiver), and what they mean.
_REASONS = (
    ("modification of session modality", verdict.OTHER_MODALITY),
    ("rocessing in progress", verdict.WORKFLOW),
    ("rocessing may already be in progress", verdict.WORKFLOW),
    ("modification of session UID", verdict.SESSION_COLLISION),
    ("modification of session subject", verdict.SESSION_OF_ANOTHER),
)


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen of a study.

    Attributes
    ----------
    archived, waiting
        files in the archive and in the project's prearchive
    rows
        of the study in the project's prearchive
    archived_proof, waiting_proof
        which of the parcels that were asked for these files are
    hidden
        whether the archive does not show the session
    """

    archived: Holdings
    waiting: Holdings
    rows: tuple[PrearchiveRow, ...]
    archived_proof: Proof
    waiting_proof: Proof
    hidden: bool

    @property
    def is_at_work(self) -> bool:
        """Whether XNAT is at work on the study."""
        return any(row.is_at_work for row in self.rows)

    @property
    def is_in_conflict(self) -> bool:
        """Whether XNAT did not archive the study."""
        return any(row.is_in_conflict for row in self.rows)

    @property
    def has_failed(self) -> bool:
        """Whether XNAT met an error when it archived the study."""
        return any(row.has_failed for row in self.rows)

    @property
    def is_ready(self) -> bool:
        """Whether nothing of the study is on its way in XNAT."""
        return all(row.is_ready for row in self.rows)

    @property
    def is_resting(self) -> bool:
        """Whether XNAT waits for more instances of the study, or for nothing."""
        return all(row.is_ready or row.is_open for row in self.rows)

    @property
    def count(self) -> int:
        """How many files there are."""
        return len(self.archived) + len(self.waiting)

    def is_unlike(self, parcel: Parcel) -> bool:
        """Whether a file of the instance's name is something else."""
        return self.archived_proof.is_unlike(parcel) or self.waiting_proof.is_unlike(parcel)


def look(
    client: XnatClient, path: str, rows: Sequence[PrearchiveRow], parcels: Sequence[Parcel], *, compare: Compare
) -> Sight:
    """What XNAT shows of a study, as far as it concerns the parcels.

    Parameters
    ----------
    client
        to ask with
    path
        of the session in the archive
    rows
        of the study in the prearchive
    parcels
        that are looked for
    compare
        see ``Proof``

    Raises
    ------
    DeliveryFailed
        XNAT does not tell
    """
    waiting = Holdings()
    for row in rows:
        waiting.update(listing.waiting(client, row))
    hidden = False
    try:
        archived = listing.archived(client, path, parcels)
    except DeliveryFailed as error:
        # The project is the user's: what is not shown of it is in quarantine.
        if error.facts["code"] != "no-rights":
            raise
        archived, hidden = Holdings(), True
    return Sight(
        archived,
        waiting,
        tuple(rows),
        Proof(archived, parcels, compare=compare),
        Proof(waiting, parcels, compare=compare),
        hidden,
    )


def reason_of(client: XnatClient, path: str, row: PrearchiveRow, parcels: Sequence[Parcel]) -> Verdict:
    """Why XNAT did not archive a row in conflict: what it has noted last, else what can be seen.

    Raises
    ------
    DeliveryFailed
        no answer
    """
    log = listing.log_of(client, row)
    noted = max(((log.rfind(words), reason) for words, reason in _REASONS), key=lambda one: one[0])
    if noted[0] >= 0:
        return noted[1]
    session = listing.session(client, path)
    lead = session_type.lead_of(parcel.sop_class_uid for parcel in parcels)
    if session is not None and not session_type.is_of(lead, session.type):
        return verdict.OTHER_MODALITY
    return verdict.CONFLICT
