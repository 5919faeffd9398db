"""Run by Alembic inside the transaction that `pipeline.ledger.schema.migrate` opened and will commit."""

from __future__ import annotations

from alembic import context

from pipeline.ledger.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
