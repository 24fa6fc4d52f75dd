"""The sender's own id of a delivery, the same when it sends it again."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("sender_key", sa.String(128)))
    # Deliveries without one are all different: null equals nothing.
    op.create_index("deliveries_once", "deliveries", ["sender", "sender_key"], unique=True)
