"""What goes into the ledger and what comes out of it.

Moments are timezone-aware datetimes. Nothing here holds identity: UIDs and the patient id are the new (pseudonymous)
ones, ``sop_key`` and ``content_key`` are keyed hashes, and ``code`` and ``detail`` must be safe to show (promise P9).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, TypeAlias

from gateway.ledger.crosswalk_row import CrosswalkRow
from gateway.ledger.site_words import WordSighting
from gateway.ledger.states import DeliveryState, InstanceState

#: The rule that rejects a second copy of an instance's content.
DUPLICATE: Final = "duplicate"

#: x, y, width and height in pixels.
BoxNumbers: TypeAlias = tuple[int, int, int, int]

_INT64: Final = 1 << 63


def _require_aware(name: str, moment: datetime | None) -> None:
    if moment is not None and moment.utcoffset() is None:
        raise ValueError(f"{name} must be timezone-aware")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownBy:
    """Keyed tokens of an original's identifiers, each made with the gateway's own key; nothing of them is readable.

    Attributes
    ----------
    patient, accession, study, series
        Of Patient ID, Accession Number, Study and Series Instance UID: 32 hexadecimal digits; empty without a value.
    instance
        Of the SOP Instance UID: a signed 64-bit number; None without one.
    also
        Further ones, each with its kind: of other Patient IDs (``patient``) and accession numbers (``accession``).
    """

    patient: str = ""
    accession: str = ""
    study: str = ""
    series: str = ""
    instance: int | None = None
    also: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One instance in the spool, as its record and its association describe it.

    Attributes
    ----------
    spool_name
        Name of its spool file; unique, and what makes recording idempotent.
    received_at
        When its last byte arrived, timezone-aware.
    size
        Length of the spool file in bytes.
    crc32
        CRC-32 of the data set.
    source, calling_ae, called_ae, peer_address
        Who sent it: configured source, AE titles, address.
    sop_class_uid, transfer_syntax
        As negotiated.
    association
        Number of the association that brought it; 0 if that is not known.
    known_by
        Keyed tokens of what its owner knows it by; None if they were not made.
    """

    spool_name: str
    received_at: datetime
    size: int
    crc32: int
    source: str = ""
    calling_ae: str = ""
    called_ae: str = ""
    peer_address: str = ""
    sop_class_uid: str = ""
    transfer_syntax: str = ""
    association: int = 0
    known_by: KnownBy | None = None

    def __post_init__(self) -> None:
        # A bad record must fail its own caller, not the group that the writer commits it with.
        if not self.spool_name or "\0" in self.spool_name or not self.spool_name.isprintable():
            raise ValueError("spool_name must be a printable name")
        _require_aware("received_at", self.received_at)
        if not 0 <= self.size < _INT64 or not 0 <= self.crc32 < 1 << 32:
            raise ValueError("size or crc32 is out of range")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedInstance:
    """An instance leased to a worker; the fields of ``Received`` and what the ledger adds.

    Attributes
    ----------
    instance_id
        Row id.
    attempts
        How often it was claimed, this time included: an instance that kills its workers is recognised by it.
    reviewed
        Whether a person has decided about its pixels. Nobody does while the instance is leased.
    code, detail
        How the last attempt ended, if the process that made it did not live to tell.
    """

    instance_id: int
    attempts: int
    spool_name: str
    received_at: datetime
    size: int
    crc32: int
    source: str
    calling_ae: str
    called_ae: str
    peer_address: str
    sop_class_uid: str
    transfer_syntax: str
    reviewed: bool
    code: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blamed:
    """An instance whose worker ended while it was at work on it.

    Attributes
    ----------
    code, detail
        How it ended, as a stable word and for a person.
    """

    instance_id: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeidentifiedResult:
    """An instance was de-identified and verified; its output waits for its destinations.

    Attributes
    ----------
    output_size
        Length of the output file in bytes.
    patient_id, study_uid, series_uid, sop_uid
        The new values.
    sop_key
        Keyed hash of the project and the original SOP Instance UID.
    content_key
        Keyed hash of the content; equal ``project``, ``sop_key`` and ``content_key`` make a duplicate.
    actions
        How often each verb was applied.
    destinations
        Names of the destinations, at least one, each once.
    priority
        At every destination, studies of a higher one go first.
    sampled_series
        Keyed hash of the series of a slice that only a sample of the series speaks for; empty for others.
    text_series
        Keyed hash of the series of a slice that had text; empty for others.
    crosswalk
        Sealed rows that tell which original became what; empty if the project keeps none.
    sightings
        Words that its cleaner did not know, for the vocabulary of the site.
    asks
        Those of the destinations that can tell whether they have an instance.
    ask_first
        Whether they are asked before anything is sent: an earlier copy was delivered to them.
    identities
        What belongs to one patient alone: its kind, what it is and whose, in keyed tokens.
    """

    instance_id: int
    project: str
    profile: str
    profile_digest: str
    output_size: int
    patient_id: str
    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class_uid: str
    transfer_syntax: str
    sop_key: str
    content_key: str
    actions: Mapping[str, int] = field(default_factory=dict)
    destinations: tuple[str, ...] = ()
    priority: int = 0
    sampled_series: str = ""
    text_series: str = ""
    crosswalk: tuple[CrosswalkRow, ...] = ()
    sightings: tuple[WordSighting, ...] = ()
    asks: tuple[str, ...] = ()
    ask_first: bool = False
    identities: tuple[tuple[str, str, str], ...] = ()

    def __post_init__(self) -> None:
        if not self.destinations or len(set(self.destinations)) != len(self.destinations):
            raise ValueError("destinations must name at least one destination, each once")
        if not self.project or not self.sop_key or not self.content_key:
            raise ValueError("project, sop_key and content_key must not be empty")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldAbout:
    """What is known of a held instance beside why: by this it is found, and others are alike.

    Attributes
    ----------
    study_key, series_key
        Keyed hashes of the project and the original UIDs; empty if it has none.
    maker, model, modality
        The type of the device, without identity; empty if unknown.
    rows, columns, frames
        Size of the image; 0 if there is none.
    boxes, left
        Where text was found, and where a second look saw more: x, y, width and height in pixels.
    """

    study_key: str = ""
    series_key: str = ""
    maker: str = ""
    model: str = ""
    modality: str = ""
    rows: int = 0
    columns: int = 0
    frames: int = 0
    boxes: tuple[BoxNumbers, ...] = ()
    left: tuple[BoxNumbers, ...] = ()

    @property
    def device(self) -> str:
        """Maker and model in words."""
        return " ".join(filter(None, (self.maker, self.model)))

    @property
    def size(self) -> str:
        """Columns and rows in words; empty without an image."""
        return f"{self.columns}x{self.rows}" if self.rows else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldResult:
    """An instance waits for a human.

    With a project and both keys the hold stands for its content: further copies are duplicates of it, and it is
    itself a duplicate of a copy that went through before. Without them (it could not be read) every copy is held.

    Attributes
    ----------
    code
        Why, as a stable word; not empty.
    detail
        Why, for a person.
    about
        What is known of the image; None if it could not be read.
    text_series
        Keyed hash of the series of a slice that has text, or may have; empty for others.
    """

    instance_id: int
    project: str | None
    code: str
    detail: str = ""
    sop_key: str = ""
    content_key: str = ""
    about: HeldAbout | None = None
    text_series: str = ""

    def __post_init__(self) -> None:
        if not self.code:
            raise ValueError("code must not be empty")


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceRecord:
    """What was found of a face in the series of an instance.

    Attributes
    ----------
    verdict
        ``blank``, ``none``, ``unsure`` or ``doubt``.
    reason
        In words for a person.
    mask
        Where the instance is blanked, in bits and compressed; None if nowhere.
    """

    verdict: str
    reason: str = ""
    mask: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesMember:
    """An instance of a series; ``is_there`` tells whether its bytes are still in the spool."""

    instance_id: int
    spool_name: str
    received_at: datetime
    is_there: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedSeries:
    """A complete series out of which faces are to be taken, leased to a worker.

    Attributes
    ----------
    attempts
        How often it was claimed since something was found in it, this time included.
    members
        Its instances, as far as their bytes are there.
    gone
        How many are not.
    """

    project: str
    series_key: str
    attempts: int
    members: tuple[SeriesMember, ...]
    gone: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedResult:
    """A named rule keeps an instance out.

    Attributes
    ----------
    rule
        Name of the rule; not empty.
    because
        The rule's reason, for a person.
    """

    instance_id: int
    project: str | None
    rule: str
    because: str = ""

    def __post_init__(self) -> None:
        if not self.rule:
            raise ValueError("rule must not be empty")


Result: TypeAlias = DeidentifiedResult | HeldResult | RejectedResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What the ledger made of one result.

    Attributes
    ----------
    state
        The instance's state; None if the lease was lost: the result was discarded and somebody else has the instance.
    duplicate_of
        Row id of the instance that stands for the same content, when this one was rejected as its duplicate.
    replaces
        Row id of the last instance with the same SOP Instance UID and other content.
    """

    instance_id: int
    state: InstanceState | None
    duplicate_of: int | None = None
    replaces: int | None = None

    @property
    def lost(self) -> bool:
        """Whether the result was discarded because the lease was lost."""
        return self.state is None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryClaim:
    """One delivery leased to a deliverer.

    Attributes
    ----------
    state
        pending, failed, or sent: a sent one is due when the destination should be asked, or sent to, again.
    attempts
        Claims for sending since it became pending, this one included; claims for asking do not count.
    received_at
        When the instance was received.
    patient_id, study_uid, series_uid, sop_uid, sop_class_uid, transfer_syntax, size
        Of the output; ``size`` in bytes.
    project, content_key, profile, profile_digest, actions
        What the receipt says of how the output came to be: ``content_key`` is the keyed digest of the original's data
        set, ``actions`` how often each verb was applied.
    """

    delivery_id: int
    instance_id: int
    spool_name: str
    destination: str
    state: DeliveryState
    attempts: int
    received_at: datetime
    patient_id: str
    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class_uid: str
    transfer_syntax: str
    size: int
    project: str
    content_key: str
    profile: str
    profile_digest: str
    actions: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryResult:
    """What came of one claimed delivery.

    Attributes
    ----------
    next_attempt_at
        When to take it up again: required for failed and sent (nothing may wait for ever), None otherwise.
    receipt
        What the receipt of a confirmed delivery says: JSON values, no identity; None for no receipt.
    counts
        Whether a failure used up one of the attempts; not so if it was put off before anything was sent.
    remake
        What becomes of the instance, whose output is not to go out as it is: it is made anew, or held; None for
        nothing. Where another destination is at work on it at this moment, the delivery comes up again.
    """

    delivery_id: int
    state: Literal["sent", "confirmed", "failed", "dead"]
    code: str = ""
    detail: str = ""
    next_attempt_at: datetime | None = None
    receipt: Mapping[str, object] | None = None
    counts: bool = True
    remake: Literal["remake", "hold"] | None = None

    def __post_init__(self) -> None:
        _require_aware("next_attempt_at", self.next_attempt_at)
        if self.receipt is not None and self.state != "confirmed":
            raise ValueError("a receipt is for a confirmed delivery")
        if self.state not in {"sent", "confirmed", "failed", "dead"}:
            raise ValueError("state must be sent, confirmed, failed or dead")
        if (self.state in {"failed", "sent"}) != (self.next_attempt_at is not None):
            raise ValueError("next_attempt_at is required for failed and sent, and only for them")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What the ledger made of a batch of delivery results.

    Attributes
    ----------
    lost
        Deliveries whose lease was lost: their results were discarded.
    delivered
        Instances of which every delivery is confirmed by this batch.
    """

    lost: tuple[int, ...] = ()
    delivered: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """An instance whose bytes are needed no more; its files are removed after the ledger has said so."""

    instance_id: int
    spool_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One transition of an instance or of one of its deliveries.

    Attributes
    ----------
    delivery_id, destination
        None for a transition of the instance itself.
    before, after
        States; ``before`` is None for the first. Equal ones are a repeated failure, or bytes removed.
    actor
        Who made it: the lease's owner, or a role.
    """

    at: datetime
    delivery_id: int | None
    destination: str | None
    before: str | None
    after: str
    actor: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The proof of one delivery.

    Attributes
    ----------
    project, number
        Which link of which chain; numbers begin at 1.
    digest
        SHA-256 of ``document`` in UTF-8, in hexadecimal.
    document
        Canonical JSON: keys sorted, no blanks.
    """

    project: str
    number: int
    delivery_id: int
    digest: str
    document: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptChain:
    """The end of a project's chain of receipts: how many there are and the digest of the last."""

    project: str
    number: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """When a study is whole enough to be claimed.

    Attributes
    ----------
    quiet_seconds
        So long after its last instance was received, if nothing waits that was received by then.
    expected
        With so many instances at once, those delivered included; None if that is not known.
    """

    quiet_seconds: float
    expected: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What made an output: the project, the digest of its profile at that time, and who had sent the instance."""

    project: str
    profile_digest: str
    source: str
    calling_ae: str
    called_ae: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldInstance:
    """An instance that waits for a human."""

    instance_id: int
    project: str | None
    spool_name: str
    source: str
    calling_ae: str
    called_ae: str
    sop_class_uid: str
    size: int
    code: str
    detail: str
    attempts: int
    received_at: datetime
    held_at: datetime
    about: HeldAbout = field(default_factory=HeldAbout)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldFilter:
    """Which held instances; what is None or empty does not matter.

    Attributes
    ----------
    numbers
        Row ids.
    project, code
        As the instance has them.
    device
        Part of maker and model, whatever the case.
    maker, model, rows, columns
        Exactly these.
    sop_classes
        One of these UIDs.
    study, series
        (project, keyed hash) of a study or a series; one of them.
    since
        Held at this moment or later, timezone-aware.
    """

    numbers: tuple[int, ...] | None = None
    project: str | None = None
    code: str | None = None
    device: str | None = None
    maker: str | None = None
    model: str | None = None
    rows: int | None = None
    columns: int | None = None
    sop_classes: tuple[str, ...] | None = None
    study: tuple[tuple[str, str], ...] | None = None
    series: tuple[tuple[str, str], ...] | None = None
    since: datetime | None = None

    def __post_init__(self) -> None:
        _require_aware("since", self.since)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldGroup:
    """Held instances that have cause, device, kind and size in common.

    Attributes
    ----------
    first
        The lowest of their row ids, by which one speaks of the group.
    instances, series
        How many they are, and of how many series; those whose series is unknown count as one.
    oldest
        When the first of them was held.
    """

    project: str | None
    code: str
    maker: str
    model: str
    sop_class_uid: str
    rows: int
    columns: int
    first: int
    instances: int
    series: int
    oldest: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRecord:
    """What a person decided about the pixels of a held instance.

    Attributes
    ----------
    decision
        ``release``, or ``mask`` with boxes.
    boxes
        x, y, width and height of each, in pixels of a frame.
    because
        Why, in the person's words.
    text, features
        Whether it is about text, and whether about faces.
    """

    instance_id: int
    decision: Literal["release", "mask"]
    boxes: tuple[BoxNumbers, ...]
    actor: str
    because: str
    text: bool = True
    features: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryEntry:
    """One delivery as listed for an operator; ``due_at`` is the next attempt, or the lease's end while ``owner``."""

    delivery_id: int
    instance_id: int
    project: str | None
    destination: str
    state: DeliveryState
    attempts: int
    size: int
    code: str
    detail: str
    owner: str | None
    created_at: datetime
    changed_at: datetime
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StateCount:
    """Instances of one project (None: not routed yet) in one state; ``oldest`` is the first reception."""

    project: str | None
    state: InstanceState
    count: int
    size: int
    oldest: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonCount:
    """Instances of one project held or rejected for one reason."""

    project: str | None
    state: InstanceState
    code: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationCount:
    """Deliveries to one destination in one state; ``oldest`` is the first creation."""

    destination: str
    state: DeliveryState
    count: int
    size: int
    oldest: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The ledger at one moment; counts of zero are left out."""

    instances: tuple[StateCount, ...]
    reasons: tuple[ReasonCount, ...]
    deliveries: tuple[DestinationCount, ...]

    def instance_count(self, state: InstanceState) -> int:
        """Instances in ``state`` over all projects."""
        return sum(row.count for row in self.instances if row.state is state)

    def delivery_count(self, state: DeliveryState) -> int:
        """Deliveries in ``state`` over all destinations."""
        return sum(row.count for row in self.deliveries if row.state is state)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectAccount:
    """The balance of one project (None: not routed yet).

    Attributes
    ----------
    received
        Every instance that was acknowledged.
    in_progress
        Waiting for a worker, or with one.
    rejected, held
        By rule or reason: code -> instances.
    deidentified, delivered, purged
        Waiting for a destination; arrived everywhere; arrived everywhere and its bytes removed.
    """

    project: str | None
    received: int
    in_progress: int
    rejected: Mapping[str, int]
    held: Mapping[str, int]
    deidentified: int
    delivered: int
    purged: int

    @property
    def accounted(self) -> int:
        """Instances with a known fate; equals ``received`` when the balance holds."""
        return (
            self.in_progress
            + sum(self.rejected.values())
            + sum(self.held.values())
            + self.deidentified
            + self.delivered
            + self.purged
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The balance of promise P3: every instance has a fate, and every fate its evidence.

    Attributes
    ----------
    recorded
        Instances ever recorded, counted in the history: the other side of the balance.
    problems
        What does not balance, in words, with row ids and no identity; empty if balanced.
    """

    projects: tuple[ProjectAccount, ...]
    recorded: int
    problems: tuple[str, ...]

    @property
    def received(self) -> int:
        """Instances in the ledger."""
        return sum(row.received for row in self.projects)

    @property
    def balanced(self) -> bool:
        """Whether nothing is missing."""
        return not self.problems


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryDepth:
    """Deliveries to one destination in one state that is not confirmed; ``oldest`` is the first creation."""

    destination: str
    state: DeliveryState
    count: int
    oldest: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFigures:
    """The queues for the metrics.

    Attributes
    ----------
    received
        Instances waiting for a worker.
    leased
        Instances with a worker.
    oldest_received
        Reception of the oldest instance waiting for a worker.
    held
        Instances waiting for a human.
    oldest_held
        When the one that has waited longest for a human began to.
    series
        Series of which instances wait for the rest of them, or are held for a face, by the code of that.
    deliveries
        Per destination and state.
    """

    received: int
    leased: int
    oldest_received: datetime | None
    held: int
    oldest_held: datetime | None
    series: Mapping[str, int]
    deliveries: tuple[DeliveryDepth, ...]
