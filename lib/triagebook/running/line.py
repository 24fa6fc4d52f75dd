"""The line as DBOS keeps it: who is in it, and moving one run to another place.

DBOS has no call that gives a run which waits another priority. Its table of workflows is what its queue
reads at each look, so the priority is changed there; decision 14 weighs the other ways. The table is the
same on SQLite and Postgres, and the version of DBOS is pinned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbos import DBOS
from dbos._dbos import _get_dbos_instance

if TYPE_CHECKING:
    from collections.abc import Mapping

# Not "running" alone: at the start of a service DBOS puts what was cut off back in line, some time later.
_UNFINISHED = ["ENQUEUED", "PENDING"]


def in_line(queue: str) -> Mapping[str, int]:
    """Return the names of a queue's runs that wait or run, with their priorities."""
    found = DBOS.list_workflows(
        queue_name=queue, status=_UNFINISHED, load_input=False, load_output=False
    )
    return {one.workflow_id: one.priority or 0 for one in found}


def put_in_line(name: str, priority: int) -> None:
    """Give a run that waits another priority; one that ended, or that nobody knows, is left alone."""
    system = _get_dbos_instance()._sys_db  # noqa: SLF001 - see the module's own words
    table = system.tables.workflow_status
    with system.engine.begin() as connection:
        connection.execute(
            table.update()
            .where(table.c.workflow_uuid == name, table.c.status.in_(_UNFINISHED))
            .values(priority=priority)
        )
