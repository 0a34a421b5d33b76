"""Run by alembic: migrate over the connection and inside the transaction that the caller opened."""

from alembic import context

from logkeep.catalog.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
context.run_migrations()
