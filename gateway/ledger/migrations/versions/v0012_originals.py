"""Instances are found by what their owner knows them by, and by the association that brought them."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0012"
down_revision: Final = "0011"
branch_labels: Final = None
depends_on: Final = None

_ID: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
#: Each new study stands for an original one until tokens are made; those of purged instances never are.
_STUDIES: Final = """
INSERT INTO originals (fingerprint, patient, accession, study, series)
SELECT 'new ' || study_uid, '', '', 'new ' || study_uid, ''
FROM outputs WHERE study_uid <> '' GROUP BY study_uid ORDER BY min(instance_id)
"""
_INSTANCES: Final = """
UPDATE instances SET original_id = (
    SELECT originals.id FROM outputs JOIN originals ON originals.fingerprint = 'new ' || outputs.study_uid
    WHERE outputs.instance_id = instances.id
)
WHERE EXISTS (SELECT 1 FROM outputs WHERE outputs.instance_id = instances.id AND outputs.study_uid <> '')
"""


def upgrade() -> None:
    """Create the table and the columns; instances with an output belong to a study from the beginning."""
    op.create_table(
        "originals",
        sa.Column("id", _ID, sa.Identity(), nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("patient", sa.Text, nullable=False),
        sa.Column("accession", sa.Text, nullable=False),
        sa.Column("study", sa.Text, nullable=False),
        sa.Column("series", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("originals_pkey")),
        sa.UniqueConstraint("fingerprint", name=op.f("originals_fingerprint_key")),
    )
    op.add_column("instances", sa.Column("original_id", _ID))
    op.add_column("instances", sa.Column("instance_token", sa.BigInteger))
    op.add_column("instances", sa.Column("association", sa.BigInteger))
    op.execute(_STUDIES)
    op.execute(_INSTANCES)
    for name in ("patient", "accession", "study", "series"):
        op.create_index(f"originals_{name}", "originals", [name])
    _partial("instances_without_tokens", ["id"], where="instance_token IS NULL AND purged_at IS NULL")
    _partial("instances_token", ["instance_token"], where="instance_token IS NOT NULL")
    _partial("instances_association", ["association"], where="association IS NOT NULL")
    _partial("instances_original", ["original_id", "received_at"], where="original_id IS NOT NULL")
    op.create_index("outputs_study", "outputs", ["study_uid"])
    op.create_index("outputs_patient", "outputs", ["patient_id"])


def _partial(name: str, columns: list[str], *, where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, "instances", columns, sqlite_where=condition, postgresql_where=condition)
