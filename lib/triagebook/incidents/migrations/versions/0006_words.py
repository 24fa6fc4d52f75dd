"""What incidents are searched by, in a table of its own; incidents by their type."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_AT_ONCE = 1_000


def upgrade() -> None:
    words = op.create_table(
        "incident_words",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("incidents_by_type", "incidents", ["incident_type", "seq"])
    # A search is in one case, whatever the language: the database's own "lower" knows some letters.
    query = sa.text(
        "SELECT seq, id, title, service, headline FROM incidents WHERE seq > :after "
        "ORDER BY seq LIMIT :limit"
    )
    after = -1
    while found := op.get_bind().execute(query, {"after": after, "limit": _AT_ONCE}).all():
        rows = [{"seq": row[0], "words": _as_words(*row[1:])} for row in found]
        op.bulk_insert(words, rows)
        after = found[-1][0]


def _as_words(*parts: str | None) -> str:
    return "\n".join(" ".join(part.casefold().split()) for part in parts if part)
