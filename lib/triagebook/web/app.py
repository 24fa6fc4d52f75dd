"""Put the service together: store, intake, queue, routes, and their opening and closing."""

from __future__ import annotations

import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool

import triagebook
from triagebook.core.errors import StoreError
from triagebook.incidents.database import BUSY_TIMEOUT_S
from triagebook.incidents.maintenance import Releaser
from triagebook.incidents.refresh import Refreshing
from triagebook.incidents.store import Store
from triagebook.intake.receive import Intake
from triagebook.intake.reconcile import ASK_WITHIN_S, Reconciler
from triagebook.running.archive import Archive, Archivist
from triagebook.running.refresh import Refresher
from triagebook.web import again, api, files, intake_routes, line, operations, pages, problems
from triagebook.web.context import Context, Queue
from triagebook.web.metrics import Metrics
from triagebook.web.security import KnownHosts, SecurityHeaders

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from triagebook.core.paths import Home
    from triagebook.core.settings import Settings

READ_FOR_OTHERS_EVERY_S = 10.0

_log = structlog.get_logger(__name__)
TOLD_WITHIN_S = 2.0
"""How long the end of the service waits until the queue knows of all incidents, in seconds."""


def create_app(
    home: Home, settings: Settings, *, queue: Queue | None = None, store: Store | None = None
) -> FastAPI:
    """Return the service as an ASGI application.

    Parameters
    ----------
    home : Home
        Where state and runs lie.
    settings : Settings
        triagebook.toml.
    queue : Queue, optional
        Executes runs; by default a `RunQueue` of this home. Launched and closed by the lifespan.
    store : Store, optional
        By default the home's own, opened and closed by the lifespan. One that is given stays open.

    Returns
    -------
    FastAPI
        `app.state.context` is there between start and end of its lifespan.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            here = await run_in_threadpool(_open, home, settings, queue, store)
        except Exception as error:
            # The server would only log it; serve() raises it for whoever started us.
            app.state.failure = error
            raise
        app.state.context = here
        beside = [
            thread
            for thread in (
                _ask_regularly(here),
                _release_regularly(here),
                _read_for_others(here),
                _archive_regularly(here),
            )
            if thread
        ]
        refreshing = threading.Thread(
            target=here.refresher.run, args=(here.stopping,), name="refresh", daemon=True
        )
        refreshing.start()
        try:
            yield
        finally:
            here.stopping.set()
            for thread in beside:
                # It may wait for a server's answer; its door and store are still open then.
                await run_in_threadpool(thread.join, ASK_WITHIN_S + 1)
            await run_in_threadpool(refreshing.join, BUSY_TIMEOUT_S)
            # What the queue does not take now it finds at the next start.
            await run_in_threadpool(here.intake.close, TOLD_WITHIN_S)
            await run_in_threadpool(here.queue.close)
            if store is None:
                await run_in_threadpool(here.store.close)

    app = FastAPI(
        title="triagebook",
        version=triagebook.__version__,
        summary="When an alert about an ML pipeline fires, the investigation is already written.",
        lifespan=lifespan,
        # Their pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
    )
    for routes in (intake_routes, api, again, line, files, operations, pages):
        app.include_router(routes.router)
    problems.install(app)
    # The last one added is the outermost.
    app.add_middleware(KnownHosts, server=settings.server)
    app.add_middleware(SecurityHeaders)
    return app


def _open(home: Home, settings: Settings, queue: Queue | None, store: Store | None) -> Context:
    opened = store or Store.open(home, settings)
    try:
        works = queue or _queue(home, settings, opened)

        def ask(incident_id: str) -> None:
            works.enqueue(incident_id)

        intake = Intake(opened, settings, home.root, ask)
        refresher = Refresher(opened, Refreshing.of(settings.refresh), ask)
        archive = Archive(home, settings, opened)
        metrics = Metrics(opened.counts)
        here = Context(home, settings, opened, intake, works, metrics, refresher, archive)
        works.launch()
        try:
            # What was stored and not yet read when the service ended.
            intake.replay_stored()
        except BaseException:
            works.close()
            raise
    except BaseException:
        if store is None:
            opened.close()
        raise
    return here


def _ask_regularly(here: Context) -> threading.Thread | None:
    settings = here.settings.reconcile
    if settings.alertmanager is None and settings.watchdog is None:
        return None
    reconciler = Reconciler(here.intake, here.store, settings, here.home.root)
    asking = threading.Thread(
        target=reconciler.run, args=(here.stopping,), name="reconcile", daemon=True
    )
    asking.start()
    return asking


def _read_for_others(here: Context) -> threading.Thread | None:
    """Read what another service took and did not get to: it may be gone for long."""
    if not here.store.database.shared:
        return None

    def read() -> None:
        while not here.stopping.wait(READ_FOR_OTHERS_EVERY_S):
            try:
                here.intake.replay_stored()
            except StoreError as error:
                _log.warning("stored_deliveries_not_read", error=error.message)

    reading = threading.Thread(target=read, name="read for others", daemon=True)
    reading.start()
    return reading


def _release_regularly(here: Context) -> threading.Thread | None:
    if not here.settings.maintenance and not here.store.line.held_back():
        return None
    releaser = Releaser(here.store, here.settings, here.home.root, here.queue.enqueue)
    releasing = threading.Thread(
        target=releaser.run, args=(here.stopping,), name="maintenance", daemon=True
    )
    releasing.start()
    return releasing


def _archive_regularly(here: Context) -> threading.Thread | None:
    if here.settings.retention.archive_after is None:
        return None
    archivist = Archivist(here.archive, here.queue.forget)
    archiving = threading.Thread(
        target=archivist.run, args=(here.stopping,), name="archive", daemon=True
    )
    archiving.start()
    return archiving


def _queue(home: Home, settings: Settings, store: Store) -> Queue:
    # Here and not above: DBOS takes most of a second to import, and who gives a queue needs none.
    from triagebook.running.queue import RunQueue  # noqa: PLC0415

    return RunQueue(home, settings, store)
