"""What a destination is: the one interface that everything behind it is reached through.

A destination takes a batch of parcels (de-identified instances) and answers with one outcome per parcel. Whatever the
peer does, it answers: faults of a peer are outcomes, not exceptions, because a batch of fifty may hold one failure.
An outcome is ``confirmed`` only if the destination itself has said so for that very instance (promise P4).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from gateway.dicom.segments import FileRange, total_length

#: ``sent``: taken but not confirmed; ``confirmed``: the destination has it; ``failed``: worth another try;
#: ``dead``: another try is pointless until a human has changed something.
OutcomeState: TypeAlias = Literal["sent", "confirmed", "failed", "dead"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One de-identified instance for one destination.

    Attributes
    ----------
    delivery_id
        row of the delivery in the ledger
    patient_id, study_uid, series_uid, sop_uid
        the new (pseudonymous) values, as they stand in the output
    sop_class_uid, transfer_syntax
        UIDs of the output
    length
        bytes of the Part 10 file
    parts
        byte ranges whose concatenation is the Part 10 file
    """

    delivery_id: int
    patient_id: str
    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class_uid: str
    transfer_syntax: str
    length: int
    parts: tuple[FileRange, ...]

    @property
    def is_whole(self) -> bool:
        """Whether the ranges add up to the instance's length: what is not so is not sent."""
        return bool(self.parts) and total_length(self.parts) == self.length


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one parcel.

    Attributes
    ----------
    delivery_id
        the parcel's
    state
        see ``OutcomeState``
    code
        a short stable word for metrics and the ledger, such as ``stored`` or ``unreachable``
    detail
        a sentence for the administrator; never a secret, text of the peer's, or a data element's value other than
        the pseudonym in Patient ID
    retry_after
        seconds that the destination asked to be left alone, or None
    counts
        whether a failure used up one of the attempts; not so if it was put off before anything was sent
    digest
        SHA-256 of the instance as it was sent, in hexadecimal, where it was computed on the way; else None
    """

    delivery_id: int
    state: OutcomeState
    code: str
    detail: str = ""
    retry_after: float | None = None
    digest: str | None = None
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome without its instance; the attributes are those of ``Outcome`` that a peer decides."""

    state: OutcomeState
    code: str
    detail: str = ""
    retry_after: float | None = None
    counts: bool = True

    def of(self, parcel: Parcel) -> Outcome:
        """The outcome of an instance."""
        return Outcome(parcel.delivery_id, self.state, self.code, self.detail, self.retry_after, counts=self.counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What a probe of a destination found: whether it is as it should be, and a sentence for the administrator."""

    ok: bool
    text: str


@runtime_checkable
class Destination(Protocol):
    """Somewhere that instances are delivered to. Safe for use from several threads."""

    @property
    def name(self) -> str:
        """The destination's name in the configuration."""

    def send(self, parcels: Sequence[Parcel]) -> list[Outcome]:
        """Deliver the parcels.

        Parameters
        ----------
        parcels
            any number, of any studies; the destination forms its own batches

        Returns
        -------
        One outcome per parcel, in the order of the parcels. Faults of the peer, of the network, of the disk and of
        a parcel's own stored bytes are outcomes; nothing is raised for them.
        """

    def confirm(self, parcels: Sequence[Parcel]) -> list[Outcome]:
        """Ask what became of parcels whose last outcome was ``sent``; nothing is sent again.

        A destination that never answers ``sent`` is never asked, and returns ``self.send(parcels)``.

        Parameters
        ----------
        parcels
            any number, of any studies, with the same contents as when they were sent

        Returns
        -------
        One outcome per parcel, in the order of the parcels: ``confirmed``; ``sent`` when the destination does not
        know yet or could not be asked (it is asked again later); ``failed`` when the destination does not have the
        instance, or not as it was sent, and it is to be sent again; ``dead`` when that would be pointless.
        """

    def close(self) -> None:
        """Give up connections and other resources. Idempotent."""


@runtime_checkable
class Probing(Protocol):
    """A destination that can be tried out before it is relied on."""

    def probe(self, parcel: Parcel | None) -> Iterator[Check]:
        """Try the destination, step by step; ends at the first step that the others depend on.

        Parameters
        ----------
        parcel
            a test instance to store, and to remove again where the protocol allows that; None to store nothing

        Returns
        -------
        What was found, in order. Faults of the peer are checks that are not ok; nothing is raised for them.
        """
