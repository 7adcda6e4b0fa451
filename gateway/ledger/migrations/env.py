"""Alembic's environment: migrations run inside the transaction that ``gateway.ledger.migrate`` opened."""

from __future__ import annotations

from alembic import context

from gateway.ledger.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
