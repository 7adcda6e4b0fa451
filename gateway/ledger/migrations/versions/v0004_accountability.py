"""The audit trail, the crosswalk, the keys of projects and the reviews of held instances."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0004"
down_revision: Final = "0003"
branch_labels: Final = None
depends_on: Final = None

_ID: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables, and let the database keep what the audit trail holds."""
    op.create_table(
        "audit",
        sa.Column("number", _ID, autoincrement=False, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("audit_pkey")),
    )
    op.create_table(
        "audit_chain",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("audit_chain_pkey")),
        sa.CheckConstraint("id = 1", name=op.f("audit_chain_one_row_check")),
    )
    op.create_table(
        "crosswalk",
        sa.Column("id", _ID, sa.Identity(), nullable=False),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("entry", sa.Text, nullable=False),
        sa.Column("original", sa.Text, nullable=False),
        sa.Column("replacement", sa.Text, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("crosswalk_pkey")),
        sa.UniqueConstraint("project", "entry", name=op.f("crosswalk_project_entry_key")),
    )
    op.create_index("crosswalk_original", "crosswalk", ["project", "original"])
    op.create_index("crosswalk_replacement", "crosswalk", ["project", "replacement"])
    op.create_table(
        "project_keys",
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project", "version", name=op.f("project_keys_pkey")),
    )
    op.create_table(
        "reviews",
        sa.Column("instance_id", _ID, autoincrement=False, nullable=False),
        sa.Column("decided_at", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("boxes", sa.JSON, nullable=False),
        sa.Column("because", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("instance_id", name=op.f("reviews_pkey")),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name=op.f("reviews_instance_id_fkey")),
    )
    _keep_the_trail()


def _keep_the_trail() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for name, event in (
            ("audit_keeps_rows", "DELETE ON audit"),
            ("audit_keeps_values", "UPDATE ON audit"),
            (
                "audit_keeps_places",
                "INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE number = NEW.number)",
            ),
        ):
            op.execute(
                f"CREATE TRIGGER {name} BEFORE {event} BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END"
            )
        return
    op.execute(
        "CREATE OR REPLACE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END$$"
    )
    op.execute(
        "CREATE TRIGGER audit_keeps BEFORE UPDATE OR DELETE OR TRUNCATE ON audit"
        " EXECUTE FUNCTION audit_is_append_only()"
    )
