"""Run the migrations on the connection, and in the transaction, that `database.upgrade` gives."""

from alembic import context

from triagebook.incidents.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters a table by copying it
    transactional_ddl=True,  # the caller began the transaction: all of it, or nothing
)
context.run_migrations()
