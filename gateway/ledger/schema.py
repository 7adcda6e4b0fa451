"""The tables of the ledger.

Conditions that name states are rendered as literals, not as parameters: a database uses a partial index only when it
can see at planning time that the query's condition is the index's own.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa

from gateway.ledger.columns import Choice, Moment, RowId, Words
from gateway.ledger.states import OPEN, STANDING, UNCONFIRMED, DeliveryState, InstanceState

#: The migration that this code is written for: the last file of ``migrations/versions``.
SCHEMA_VERSION: Final = "0019"

_NAMES: Final = {
    "ix": "%(table_name)s_%(column_0_N_name)s",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "pk": "%(table_name)s_pkey",
}

metadata: Final = sa.MetaData(naming_convention=_NAMES)


def is_state(column: sa.ColumnElement[Any], *states: StrEnum) -> sa.ColumnElement[bool]:
    """The condition that ``column`` is one of ``states``, with the states as literals."""
    # Written out here: what SQLAlchemy knows as a literal it writes out anew for every execution.
    literals: list[sa.ColumnElement[Any]] = [sa.literal_column(f"'{state.value}'", column.type) for state in states]
    return column == literals[0] if len(literals) == 1 else column.in_(literals)


#: What instances have in common that their owner knows them by, in keyed tokens; empty where they have none. A row for
#: each combination, so about one for each series; ``fingerprint`` stands for the whole. The ``study`` of instances that
#: were received by a gateway that made no tokens is made of the new UID.
originals: Final = sa.Table(
    "originals",
    metadata,
    sa.Column("id", RowId, sa.Identity(), primary_key=True),
    sa.Column("fingerprint", sa.Text, nullable=False, unique=True),
    sa.Column("patient", sa.Text, nullable=False),
    sa.Column("accession", sa.Text, nullable=False),
    sa.Column("study", sa.Text, nullable=False),
    sa.Column("series", sa.Text, nullable=False),
)

#: Further identifiers of theirs: other Patient IDs, accession numbers of each request.
aliases: Final = sa.Table(
    "aliases",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("token", sa.Text, primary_key=True),
    sa.Column("original_id", RowId, primary_key=True, autoincrement=False),
)

instances: Final = sa.Table(
    "instances",
    metadata,
    sa.Column("id", RowId, sa.Identity(), primary_key=True),
    sa.Column("spool_name", sa.Text, nullable=False, unique=True),
    sa.Column("received_at", Moment, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("crc32", sa.BigInteger, nullable=False),
    sa.Column("source", Words(64), nullable=False),
    sa.Column("calling_ae", Words(64), nullable=False),
    sa.Column("called_ae", Words(64), nullable=False),
    sa.Column("peer_address", Words(64), nullable=False),
    sa.Column("sop_class_uid", Words(128), nullable=False),
    sa.Column("transfer_syntax", Words(128), nullable=False),
    sa.Column("state", Choice(InstanceState), nullable=False),
    sa.Column("changed_at", Moment, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("lease_owner", Words(128)),
    sa.Column("lease_until", Moment),
    sa.Column("project", Words(64)),
    sa.Column("sop_key", sa.Text),
    sa.Column("content_key", sa.Text),
    sa.Column("code", Words(64), nullable=False),
    sa.Column("detail", Words(1000), nullable=False),
    sa.Column("duplicate_of", RowId, sa.ForeignKey("instances.id")),
    sa.Column("purged_at", Moment),
    # Of ``originals``, whose rows are never removed; without a constraint, which would cost every row that comes.
    sa.Column("original_id", RowId),
    # Keyed token of the SOP Instance UID, in 64 bits; null until it is made.
    sa.Column("instance_token", sa.BigInteger),
    # Number of the association that brought it; null if that is not known.
    sa.Column("association", sa.BigInteger),
    # Of ``archives``: where its history went; null while that is here.
    sa.Column("archived_in", sa.BigInteger),
)

outputs: Final = sa.Table(
    "outputs",
    metadata,
    sa.Column("instance_id", RowId, sa.ForeignKey("instances.id"), primary_key=True, autoincrement=False),
    sa.Column("profile", Words(128), nullable=False),
    sa.Column("profile_digest", Words(128), nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("patient_id", Words(128), nullable=False),
    sa.Column("study_uid", Words(128), nullable=False),
    sa.Column("series_uid", Words(128), nullable=False),
    sa.Column("sop_uid", Words(128), nullable=False),
    sa.Column("sop_class_uid", Words(128), nullable=False),
    sa.Column("transfer_syntax", Words(128), nullable=False),
    sa.Column("actions", sa.JSON, nullable=False),
    sa.Column("destinations", sa.Integer, nullable=False),
    sa.Column("replaces", RowId, sa.ForeignKey("instances.id")),
)

deliveries: Final = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", RowId, sa.Identity(), primary_key=True),
    sa.Column("instance_id", RowId, sa.ForeignKey("instances.id"), nullable=False),
    sa.Column("destination", Words(64), nullable=False),
    # study_uid and size repeat the output's: they choose the batch, and an index cannot reach into another table.
    sa.Column("study_uid", Words(128), nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("state", Choice(DeliveryState), nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("changed_at", Moment, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    # When an open delivery may be claimed: its next attempt, or the end of the lease that somebody holds on it.
    sa.Column("due_at", Moment, nullable=False),
    sa.Column("lease_owner", Words(128)),
    sa.Column("code", Words(64), nullable=False),
    sa.Column("detail", Words(1000), nullable=False),
    sa.UniqueConstraint("instance_id", "destination"),
)

#: Whose turn it is at each destination: of the studies of the highest priority whose turn has come, the one with the
#: earliest ``turn_at``. A study that was served goes to the end, so that none starves the others of its priority.
#: ``turn_at`` may be too early, never later than the study's first due delivery, the moment it was last served, or the
#: moment it can be whole; a study without open deliveries loses its row when its turn comes.
turns: Final = sa.Table(
    "turns",
    metadata,
    sa.Column("destination", Words(64), primary_key=True),
    sa.Column("study_uid", Words(128), primary_key=True),
    sa.Column("turn_at", Moment, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
)

history: Final = sa.Table(
    "history",
    metadata,
    sa.Column("id", RowId, sa.Identity(), primary_key=True),
    sa.Column("instance_id", RowId, sa.ForeignKey("instances.id"), nullable=False),
    # Of ``deliveries``; without a constraint, for which each delivery that leaves would be looked for in all history.
    sa.Column("delivery_id", RowId),
    sa.Column("at", Moment, nullable=False),
    sa.Column("state_before", sa.Text),
    sa.Column("state_after", sa.Text, nullable=False),
    sa.Column("actor", Words(128), nullable=False),
    sa.Column("code", Words(64), nullable=False),
    sa.Column("detail", Words(1000), nullable=False),
)

#: Files that history of long ago went into, and whole instances; of those also the lowest and the highest row id.
archives: Final = sa.Table(
    "archives",
    metadata,
    sa.Column("number", RowId, primary_key=True, autoincrement=False),
    sa.Column("file", sa.Text, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("instances", sa.BigInteger, nullable=False),
    sa.Column("archived_at", Moment, nullable=False),
    sa.Column("lowest", RowId),
    sa.Column("highest", RowId),
)

#: Instances whose rows went into files, alike ones in one row: the account counts them, and who looks for their study
#: is told where they are. What there is not is empty, an ``original_id`` 0. ``receipts`` counts those of their
#: deliveries, which stay: they are links of a chain.
departed: Final = sa.Table(
    "departed",
    metadata,
    sa.Column("id", RowId, sa.Identity(), primary_key=True),
    sa.Column("original_id", RowId, nullable=False),
    sa.Column("project", Words(64), nullable=False),
    sa.Column("source", Words(64), nullable=False),
    sa.Column("state", Choice(InstanceState), nullable=False),
    sa.Column("code", Words(64), nullable=False),
    sa.Column("patient_id", Words(128), nullable=False),
    sa.Column("study_uid", Words(128), nullable=False),
    sa.Column("series_uid", Words(128), nullable=False),
    sa.Column("archive", RowId, nullable=False),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Column("receipts", sa.BigInteger, nullable=False),
    sa.Column("first_received", Moment, nullable=False),
    sa.Column("last_received", Moment, nullable=False),
    sa.Column("last_event", Moment, nullable=False),
    sa.UniqueConstraint(
        "original_id", "project", "source", "state", "code", "patient_id", "study_uid", "series_uid", name="alike"
    ),
)

#: What had become of their deliveries.
departed_deliveries: Final = sa.Table(
    "departed_deliveries",
    metadata,
    sa.Column("departed_id", RowId, sa.ForeignKey("departed.id"), primary_key=True, autoincrement=False),
    sa.Column("destination", Words(64), primary_key=True),
    sa.Column("state", Choice(DeliveryState), primary_key=True),
    sa.Column("code", Words(64), primary_key=True),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Column("changed_at", Moment, nullable=False),
)

#: How many transitions of each kind went into archives: the account counts them as if they were here. A project and a
#: state that there is not are empty.
archived_history: Final = sa.Table(
    "archived_history",
    metadata,
    sa.Column("project", Words(64), primary_key=True),
    sa.Column("of_delivery", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("state_before", sa.Text, primary_key=True),
    sa.Column("state_after", sa.Text, primary_key=True),
    sa.Column("count", sa.BigInteger, nullable=False),
)

#: Receipts as they were written, one for each time that a delivery was sent and confirmed; ``digest`` is the SHA-256 of
#: ``document``, which names the digest before it.
receipts: Final = sa.Table(
    "receipts",
    metadata,
    sa.Column("id", RowId, sa.Identity(), primary_key=True),
    sa.Column("project", Words(64), nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    # Of ``deliveries``, whose rows may leave before it.
    sa.Column("delivery_id", RowId, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.UniqueConstraint("project", "number"),
)

#: The end of each project's chain: without it the last receipts could go unnoticed. ``unproven`` counts confirmations
#: that have no receipt of their own: of what a destination was only asked for again, and of before there were receipts.
receipt_chains: Final = sa.Table(
    "receipt_chains",
    metadata,
    sa.Column("project", Words(64), primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("unproven", sa.BigInteger, nullable=False, server_default="0"),
)

#: Ends that chains had, each with a MAC by a key that the ledger does not have: the tail of a chain that was written
#: anew by somebody who can write to the database has another digest than its seal. ``mac`` covers the seal before it.
chain_seals: Final = sa.Table(
    "chain_seals",
    metadata,
    sa.Column("id", RowId, sa.Identity(), primary_key=True),
    sa.Column("chain", Words(80), nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("sealed_at", Moment, nullable=False),
    sa.Column("key_id", sa.Text, nullable=False),
    sa.Column("mac", sa.Text, nullable=False),
)

#: Numbers for sequential pseudonyms. ``token`` is keyed: it does not tell what has the number.
numbers: Final = sa.Table(
    "numbers",
    metadata,
    sa.Column("project", sa.Text, primary_key=True),
    sa.Column("purpose", sa.Text, primary_key=True),
    sa.Column("token", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("project", "purpose", "number"),
)

#: Labels that were given at destinations which compare them without case; ``holder`` is a pseudonym or a new UID.
labels: Final = sa.Table(
    "labels",
    metadata,
    sa.Column("destination", Words(64), primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("folded", sa.Text, primary_key=True),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("holder", sa.Text, nullable=False),
)

#: What belongs to one patient: a study, and a Patient ID of one issuer; all are keyed tokens. ``instance_id`` is the
#: first instance that said so; its row may have left, what it said stays.
identities: Final = sa.Table(
    "identities",
    metadata,
    sa.Column("project", Words(64), primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("what", sa.Text, primary_key=True),
    sa.Column("whose", sa.Text, primary_key=True),
    sa.Column("instance_id", RowId, nullable=False),
)

#: The audit trail; ``digest`` is the SHA-256 of ``document``, which names the digest before it.
audit: Final = sa.Table(
    "audit",
    metadata,
    sa.Column("number", RowId, primary_key=True, autoincrement=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
)

#: The end of the audit trail, one row: without it the last entries could go unnoticed.
audit_chain: Final = sa.Table(
    "audit_chain",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.CheckConstraint("id = 1", name="one_row"),
)

#: Originals and what replaced them, sealed with a key that the ledger does not have. Tokens are keyed: ``entry`` stands
#: for the whole content, ``original`` and ``replacement`` for the values by which a row is looked up.
crosswalk: Final = sa.Table(
    "crosswalk",
    metadata,
    sa.Column("id", RowId, sa.Identity(), primary_key=True),
    sa.Column("project", Words(64), nullable=False),
    sa.Column("kind", Words(16), nullable=False),
    sa.Column("entry", sa.Text, nullable=False),
    sa.Column("original", sa.Text, nullable=False),
    sa.Column("replacement", sa.Text, nullable=False),
    sa.Column("key_id", sa.Text, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("recorded_at", Moment, nullable=False),
    sa.UniqueConstraint("project", "entry"),
)

#: Which key a project has used since when; ``key_id`` is a keyed digest that tells keys apart and nothing else.
project_keys: Final = sa.Table(
    "project_keys",
    metadata,
    sa.Column("project", Words(64), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("key_id", sa.Text, nullable=False),
    sa.Column("recorded_at", Moment, nullable=False),
)

#: Words that cleaners did not know, by keyed tokens of the word and of the patient in whose text it stands.
word_sightings: Final = sa.Table(
    "word_sightings",
    metadata,
    sa.Column("project", sa.Text, primary_key=True),
    sa.Column("word", sa.Text, primary_key=True),
    sa.Column("patient", sa.Text, primary_key=True),
    sa.Column("seen_at", Moment, nullable=False),
)

#: Words that were seen for enough patients: sealed, and in clear once a person has accepted them.
site_words: Final = sa.Table(
    "site_words",
    metadata,
    sa.Column("project", sa.Text, primary_key=True),
    sa.Column("word", sa.Text, primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("text", sa.Text),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("patients", sa.Integer, nullable=False),
    sa.Column("proposed_at", Moment, nullable=False),
    sa.Column("decided_at", Moment),
    sa.Column("decided_by", sa.Text),
)

#: What a person decided about the pixels of an instance that was held, until the instance is through.
reviews: Final = sa.Table(
    "reviews",
    metadata,
    sa.Column("instance_id", RowId, sa.ForeignKey("instances.id"), primary_key=True, autoincrement=False),
    sa.Column("decided_at", Moment, nullable=False),
    sa.Column("actor", Words(128), nullable=False),
    sa.Column("decision", Words(16), nullable=False),
    sa.Column("boxes", sa.JSON, nullable=False),
    sa.Column("because", Words(1000), nullable=False),
    # What the decision is about: ``text``, ``features``, or both; null of earlier ones, which were about both.
    sa.Column("settles", Words(16)),
)

#: What is known of an instance that is or was held, so that it is found again and decided on with all alike: keyed
#: hashes of its original study and series, the device's type, the size of its image, and where text was found in it.
holds: Final = sa.Table(
    "holds",
    metadata,
    sa.Column("instance_id", RowId, sa.ForeignKey("instances.id"), primary_key=True, autoincrement=False),
    sa.Column("study_key", sa.Text, nullable=False),
    sa.Column("series_key", sa.Text, nullable=False),
    sa.Column("maker", Words(64), nullable=False),
    sa.Column("model", Words(64), nullable=False),
    sa.Column("modality", Words(16), nullable=False),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("columns", sa.Integer, nullable=False),
    sa.Column("frames", sa.Integer, nullable=False),
    sa.Column("boxes", sa.JSON, nullable=False),
    sa.Column("left", sa.JSON, nullable=False),
)

#: Who was shown a held instance: its image, or what is known of it.
viewings: Final = sa.Table(
    "viewings",
    metadata,
    sa.Column("instance_id", RowId, sa.ForeignKey("instances.id"), primary_key=True, autoincrement=False),
    sa.Column("actor", Words(128), primary_key=True),
    sa.Column("at", Moment, nullable=False),
)

#: Instances that went through although nobody looked at them: a sample of their series speaks for them.
sampled: Final = sa.Table(
    "sampled",
    metadata,
    sa.Column("instance_id", RowId, sa.ForeignKey("instances.id"), primary_key=True, autoincrement=False),
    sa.Column("project", Words(64), nullable=False),
    sa.Column("series_key", sa.Text, nullable=False),
)

#: Series of which a slice had text: all of their slices are looked at.
text_series: Final = sa.Table(
    "text_series",
    metadata,
    sa.Column("project", Words(64), primary_key=True),
    sa.Column("series_key", sa.Text, primary_key=True),
    sa.Column("found_at", Moment, nullable=False),
)

#: Series in which a person has seen that no face can be recognised: instances that come later are not held for it.
series_reviews: Final = sa.Table(
    "series_reviews",
    metadata,
    sa.Column("project", Words(64), primary_key=True),
    sa.Column("series_key", sa.Text, primary_key=True),
    sa.Column("decided_at", Moment, nullable=False),
    sa.Column("actor", Words(128), nullable=False),
    sa.Column("because", Words(1000), nullable=False),
)

#: One row that is written again and again, to find out whether rows can be written.
pulse: Final = sa.Table(
    "pulse",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", Moment, nullable=False),
    sa.CheckConstraint("id = 1", name="one_row"),
)

#: What happened that somebody wants to be told of, until it is summed up in ``notices``. No foreign key: rows live for
#: seconds, and nothing waits for them.
occurrences: Final = sa.Table(
    "occurrences",
    metadata,
    sa.Column("id", RowId, sa.Identity(), primary_key=True),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.Column("instance_id", RowId),
    sa.Column("destination", Words(64), nullable=False),
    sa.Column("code", Words(64), nullable=False),
)

#: How destinations, disks and profiles stood when that was last told.
conditions: Final = sa.Table(
    "conditions",
    metadata,
    sa.Column("what", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("at", Moment, nullable=False),
)

#: Studies of which something has arrived: who is to be told when they are complete.
study_notices: Final = sa.Table(
    "study_notices",
    metadata,
    sa.Column("notifier", sa.Text, primary_key=True),
    sa.Column("project", Words(64), primary_key=True),
    sa.Column("study_uid", Words(128), primary_key=True),
    sa.Column("instance_id", RowId, nullable=False),
    sa.Column("last_at", Moment, nullable=False),
)

#: What people are going to be told: what has happened since the last message, and the message under way.
notices: Final = sa.Table(
    "notices",
    metadata,
    sa.Column("notifier", sa.Text, primary_key=True),
    sa.Column("event", sa.Text, primary_key=True),
    sa.Column("project", Words(64), primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("tally", sa.JSON, nullable=False),
    sa.Column("waits", sa.Boolean, nullable=False),
    sa.Column("sending", sa.JSON),
    sa.Column("is_sending", sa.Boolean, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("due_at", Moment, nullable=False),
    sa.Column("sent_at", Moment),
)

#: Series out of which faces are taken: who is at work on one, how often it was begun, and when it was last done.
face_series: Final = sa.Table(
    "face_series",
    metadata,
    sa.Column("project", Words(64), primary_key=True),
    sa.Column("series_key", sa.Text, primary_key=True),
    sa.Column("lease_owner", Words(128)),
    sa.Column("lease_until", Moment),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("found_at", Moment),
)

#: What was found of a face in the series of an instance, and where the instance is blanked for it: bits, compressed.
face_masks: Final = sa.Table(
    "face_masks",
    metadata,
    sa.Column("instance_id", RowId, sa.ForeignKey("instances.id"), primary_key=True, autoincrement=False),
    sa.Column("verdict", Words(16), nullable=False),
    sa.Column("reason", Words(1000), nullable=False),
    sa.Column("mask", sa.LargeBinary),
)

#: Instances that wait for a worker.
WAITING: Final = sa.and_(is_state(instances.c.state, InstanceState.RECEIVED), instances.c.lease_owner.is_(None))
#: Instances that a worker has.
LEASED: Final = instances.c.lease_owner.is_not(None)
#: Series that a worker has.
SERIES_LEASED: Final = face_series.c.lease_owner.is_not(None)
#: Instances that stand for their content.
STANDING_FOR_CONTENT: Final = sa.and_(instances.c.sop_key.is_not(None), is_state(instances.c.state, *STANDING))
#: Instances that wait for a human.
HELD: Final = is_state(instances.c.state, InstanceState.HELD)
#: Instances whose bytes may go.
PURGEABLE: Final = sa.and_(
    is_state(instances.c.state, InstanceState.DELIVERED, InstanceState.REJECTED), instances.c.purged_at.is_(None)
)
#: Instances whose bytes are gone, and whose history is here.
UNARCHIVED: Final = sa.and_(instances.c.purged_at.is_not(None), instances.c.archived_in.is_(None))
#: Instances whose bytes are gone.
WITHOUT_BYTES: Final = instances.c.purged_at.is_not(None)
#: Instances that have no tokens yet, and still the bytes to make them of.
WITHOUT_TOKENS: Final = sa.and_(instances.c.instance_token.is_(None), instances.c.purged_at.is_(None))
#: Deliveries that a deliverer takes when due.
IS_OPEN: Final = is_state(deliveries.c.state, *OPEN)
#: Deliveries that have not arrived.
IS_UNCONFIRMED: Final = is_state(deliveries.c.state, *UNCONFIRMED)
#: Deliveries that a deliverer has.
DELIVERY_LEASED: Final = deliveries.c.lease_owner.is_not(None)


def _partial(name: str, *columns: sa.Column[Any], where: sa.ColumnElement[bool], unique: bool = False) -> sa.Index:
    return sa.Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


# SQLite counts in an index alone only if it has all columns that the condition names.
_partial(
    "instances_waiting",
    instances.c.received_at,
    instances.c.id,
    instances.c.state,
    instances.c.lease_owner,
    where=WAITING,
)
_partial("instances_leased", instances.c.lease_owner, instances.c.lease_until, where=LEASED)
_partial(
    "instances_standing",
    instances.c.project,
    instances.c.sop_key,
    instances.c.content_key,
    where=STANDING_FOR_CONTENT,
    unique=True,
)
_partial("instances_held", instances.c.state, instances.c.id, where=HELD)
_partial("instances_purgeable", instances.c.changed_at, instances.c.id, where=PURGEABLE)
_partial("instances_unarchived", instances.c.purged_at, instances.c.id, where=UNARCHIVED)
_partial("instances_without_bytes", instances.c.purged_at, instances.c.id, where=WITHOUT_BYTES)
# Who is deleted is looked for here.
_partial("instances_duplicates", instances.c.duplicate_of, where=instances.c.duplicate_of.is_not(None))
_partial("outputs_replacing", outputs.c.replaces, where=outputs.c.replaces.is_not(None))
sa.Index("identities_instance", identities.c.instance_id)
for _column in (departed.c.patient_id, departed.c.study_uid):
    sa.Index(f"departed_{_column.key}", _column)
_partial("instances_without_tokens", instances.c.id, where=WITHOUT_TOKENS)
_partial("instances_token", instances.c.instance_token, where=instances.c.instance_token.is_not(None))
_partial("instances_association", instances.c.association, where=instances.c.association.is_not(None))
_partial(
    "instances_original",
    instances.c.original_id,
    instances.c.received_at,
    where=instances.c.original_id.is_not(None),
)
for _column in (originals.c.patient, originals.c.accession, originals.c.study, originals.c.series):
    sa.Index(f"originals_{_column.key}", _column)
sa.Index("outputs_study", outputs.c.study_uid)
sa.Index("outputs_patient", outputs.c.patient_id)
_partial(
    "deliveries_open",
    deliveries.c.destination,
    deliveries.c.study_uid,
    deliveries.c.due_at,
    deliveries.c.id,
    where=IS_OPEN,
)
_partial("face_series_leased", face_series.c.lease_owner, where=SERIES_LEASED)
_partial("deliveries_leased", deliveries.c.lease_owner, where=DELIVERY_LEASED)
_partial(
    "deliveries_unconfirmed",
    deliveries.c.destination,
    deliveries.c.state,
    deliveries.c.created_at,
    deliveries.c.id,
    where=IS_UNCONFIRMED,
)
sa.Index("deliveries_study", deliveries.c.destination, deliveries.c.study_uid)
sa.Index("turns_next", turns.c.destination, turns.c.priority, turns.c.turn_at)
sa.Index("receipts_delivery", receipts.c.delivery_id)
sa.Index("chain_seals_chain", chain_seals.c.chain, chain_seals.c.id)
sa.Index("history_instance", history.c.instance_id)
sa.Index("sampled_series", sampled.c.project, sampled.c.series_key)
sa.Index("holds_series", holds.c.series_key)
sa.Index("holds_study", holds.c.study_key)
sa.Index("crosswalk_original", crosswalk.c.project, crosswalk.c.original)
sa.Index("crosswalk_replacement", crosswalk.c.project, crosswalk.c.replacement)

instances.append_constraint(
    sa.CheckConstraint(is_state(instances.c.state, *InstanceState), name="state"),
)
deliveries.append_constraint(
    sa.CheckConstraint(is_state(deliveries.c.state, *DeliveryState), name="state"),
)

_REFUSED: Final = "'the audit trail is append-only'"
_ABORT: Final = f"BEGIN SELECT RAISE(ABORT, {_REFUSED}); END"
_TAKEN: Final = "WHEN EXISTS (SELECT 1 FROM audit WHERE number = NEW.number)"
_FUNCTION: Final = "CREATE OR REPLACE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS"
_EVENTS: Final = "UPDATE OR DELETE OR TRUNCATE"
#: What keeps the audit trail from being changed, by dialect.
APPEND_ONLY: Final = {
    "sqlite": (
        f"CREATE TRIGGER audit_keeps_rows BEFORE DELETE ON audit {_ABORT}",
        f"CREATE TRIGGER audit_keeps_values BEFORE UPDATE ON audit {_ABORT}",
        # INSERT OR REPLACE deletes without asking the trigger for deletions.
        f"CREATE TRIGGER audit_keeps_places BEFORE INSERT ON audit {_TAKEN} {_ABORT}",
    ),
    "postgresql": (
        f"{_FUNCTION} $$BEGIN RAISE EXCEPTION {_REFUSED}; END$$",
        f"CREATE TRIGGER audit_keeps BEFORE {_EVENTS} ON audit EXECUTE FUNCTION audit_is_append_only()",
    ),
}
for _dialect, _statements in APPEND_ONLY.items():
    for _statement in _statements:
        _guard: sa.schema.ExecutableDDLElement = sa.DDL(_statement)  # type: ignore[no-untyped-call]
        sa.event.listen(audit, "after_create", _guard.execute_if(dialect=_dialect))
