"""Receive a delivery: authenticate, keep it, answer; then parse it, open incidents, keep changes."""

from __future__ import annotations

import ipaddress
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import structlog
from pydantic import BaseModel, ConfigDict

from triagebook.core.errors import (
    IntakeUnavailableError,
    NotAuthenticatedError,
    NotUnderstoodError,
    RegistryError,
    SettingsError,
    StoreError,
    TooLargeError,
    UnknownSenderError,
)
from triagebook.core.settings import IntakeSettings
from triagebook.incidents.applying import Applied, Over
from triagebook.incidents.lifecycle import apply_delivery, outcome_of
from triagebook.incidents.routes import route
from triagebook.incidents.views import DeliveryStatus
from triagebook.intake.reading import Reader
from triagebook.intake.sender import SENDERS, Announcing, Confirming, Delivery, Sender
from triagebook.intake.telling import Teller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from triagebook.core.models import Alert
    from triagebook.core.settings import Settings
    from triagebook.incidents.deliveries import Waiting
    from triagebook.incidents.routes import Route
    from triagebook.incidents.store import Store

_log = structlog.get_logger(__name__)

_LONGEST_WHY = 500  # characters; a reason may quote the body
_AT_ONCE = 20  # bodies held in memory at a time
READ_WITHIN_S = 60.0
"""How long `accept` waits for a delivery to be read, in seconds, unless told otherwise."""


class Receipt(BaseModel):
    """The answer to a delivery: it is kept.

    `status` says how far it got: `processed`, `quarantined` with `why`, or `stored` where it was not
    read in time, or the database failed after keeping it (it is processed as soon as it can be, or
    at the next start). `opened` are the incidents it opened, `joined` those of before that a new alert of it
    is part of; `incidents` are all that its alerts belong to.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    delivery_id: str
    status: DeliveryStatus
    why: str | None = None
    opened: list[str] = []
    joined: list[str] = []
    incidents: list[str] = []

    def as_json(self) -> dict[str, Any]:
        """Return the receipt as what `json.dumps` takes."""
        return self.model_dump(mode="json")


class Intake:
    """The door for alerts. Safe to use from many threads.

    Parameters
    ----------
    store : Store
    settings : Settings
    root : Path
        The home folder.
    on_incident : callable
        Called with the id of each incident whose run is to start, or to start earlier, after that
        is kept; one that a maintenance window holds back is not told. Where it raises it is called
        again after some seconds; the incident's run stays `queued` until then, and the sweep at the
        next start would take it up. It is called from one thread, in order, soon after `accept` has
        returned: nobody who posts waits for it.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        root: Path,
        on_incident: Callable[[str], None],
    ) -> None:
        self._store = store
        self._settings = settings
        self._root = root
        self._teller = Teller(on_incident)
        self._reader = Reader(self._process_stored)
        self._over = Over.of(settings)
        self.heard: datetime | None = None
        """When the watchdog's alert came last since this service started; None for never."""
        SENDERS.names()  # a broken plug-in stops the service here, not its first delivery
        # Deliveries are processed in the order of arrival: a `resolved` that overtook its
        # `firing` would leave an incident open for ever.
        self._in_order = threading.Lock()
        # A confirmation waits for somebody else's server; no delivery waits for that.
        self._confirming = ThreadPoolExecutor(1, thread_name_prefix="confirm")

    def accept(
        self,
        sender: str,
        headers: Mapping[str, str],
        body: bytes,
        query: Mapping[str, str] | None = None,
        waiting: Waiting | None = None,
        read_within_s: float = READ_WITHIN_S,
    ) -> Receipt:
        """Take a delivery; once this returns, it is on the disk.

        Parameters
        ----------
        waiting : Waiting, optional
            Who posted it, where they may leave before this returns.
        read_within_s : float
            How long to wait, in seconds, for what comes of it, once it is kept.

        Raises
        ------
        UnknownSenderError
            No such sender (404).
        TooLargeError
            More than `server.max_body_bytes` (413).
        NotAuthenticatedError
            The sender did not prove who it is (401).
        IntakeUnavailableError
            A secret or the database cannot be had; nothing was kept, send it again (503).
        """
        plugin = _sender(sender)
        if getattr(plugin, "inside_only", False):
            raise UnknownSenderError(f"nobody may post as {sender}", "name the real sender")
        most = self._settings.server.max_body_bytes
        if len(body) > most:
            raise TooLargeError(
                f"the body has {len(body)} bytes, at most {most} are taken",
                "let the sender group fewer alerts (Alertmanager: max_alerts), "
                "or raise server.max_body_bytes",
            )
        lower = {name.lower(): value for name, value in headers.items()}
        posted = Delivery(lower, body, query or {})
        self._authenticate(sender, plugin, posted)
        return self._keep(sender, plugin, posted, waiting, read_within_s)

    def take(self, sender: str, headers: Mapping[str, str], body: bytes) -> Receipt:
        """Take what this service itself made in a sender's shape; as `accept`, without its proof."""
        return self._keep(sender, _sender(sender), Delivery(headers, body))

    def _keep(
        self,
        sender: str,
        plugin: Sender,
        posted: Delivery,
        waiting: Waiting | None = None,
        read_within_s: float = READ_WITHIN_S,
    ) -> Receipt:
        body = posted.body
        try:
            delivery = self._store.deliveries.add(
                sender, posted.headers, body, plugin.key(posted), waiting
            )
        except StoreError as error:
            raise IntakeUnavailableError(
                f"the delivery could not be kept: {error.message}", error.hint
            ) from error
        if isinstance(plugin, Confirming):
            self._confirming.submit(self._confirm, sender, plugin, body)
        came = self._reader.wait(delivery, read_within_s)
        if came.how in {"late", "failed"}:
            return Receipt(delivery_id=delivery, status="stored")
        try:
            return came.result or self._receipt(delivery)
        except StoreError as error:
            _log.warning("delivery_not_looked_up", delivery=delivery, error=error.message)
            return Receipt(delivery_id=delivery, status="stored")

    def replay_stored(self) -> list[str]:
        """Process what a crash left stored and not processed; returns those deliveries' ids.

        Called once at start. Nothing is processed twice.
        """
        return [name for name, _ in self._process_stored()]

    def wait_told(self, within_s: float = 10.0) -> bool:
        """Wait until `on_incident` was called for all that came in; return whether it was."""
        return self._teller.wait_told(within_s)

    def close(self, within_s: float) -> bool:
        """End, once `on_incident` was called for all that came in, or after so many seconds.

        Returns
        -------
        bool
            Whether it was called, with success or without, for all.
        """
        self._reader.close(within_s)
        all_told = self._teller.close(within_s)
        self._confirming.shutdown(wait=False)
        return all_told

    def _authenticate(self, name: str, plugin: Sender, posted: Delivery) -> None:
        settings = self._of(name)
        if settings.proves_nothing:
            if not is_loopback(self._settings.server.host):
                raise NotAuthenticatedError(
                    f"{name} has no token and no password configured, and the service listens on "
                    f"{self._settings.server.host}, where others can reach it",
                    f"name a secret under [intake.{name}] in triagebook.toml",
                )
            return
        try:
            plugin.authenticate(posted, settings, self._root)
        except SettingsError as error:
            _log.exception("intake_secret_missing", sender=name)
            # 503 and not 401: senders try again, and the alert is there once the secret is.
            raise IntakeUnavailableError(
                f"the secret of {name} cannot be read on this side",
                "the service's log says which; start it again with the secret in place",
            ) from error

    def wait_confirmed(self, within_s: float = 10.0) -> None:
        """Return when what was asked to be confirmed is; TimeoutError after so many seconds."""
        self._confirming.submit(lambda: None).result(within_s)

    def _confirm(self, sender: str, plugin: Confirming, body: bytes) -> None:
        try:
            plugin.confirm(body)
        except Exception:  # noqa: BLE001 - it is kept, and shown; the sender asks again
            _log.exception("subscription_not_confirmed", sender=sender)

    def _receipt(self, delivery: str) -> Receipt:
        """Read what became of a delivery that another thread, or an earlier post, has processed."""
        view = self._store.deliveries.get(delivery)
        if view is None:
            raise StoreError(f"the delivery {delivery!r} is gone from the store")
        applied = outcome_of(self._store, delivery)
        return _processed(delivery, applied, status=view.status, why=view.why)

    def _process_stored(self) -> Iterator[tuple[str, Receipt | None]]:
        """Process what is stored; give what became of each, None where somebody else did it."""
        while True:
            with self._in_order:
                unread = self._store.deliveries.unread(_AT_ONCE)
                for one in unread:
                    yield one.id, self._process(one.id, one.sender, one.body)
            if len(unread) < _AT_ONCE:
                return

    def _process(self, delivery: str, sender: str, body: bytes) -> Receipt | None:
        try:
            plugin = _sender(sender)
            alerts = self._without_watchdog(plugin.parse(body, self._of(sender)))
            announced = plugin.changes(body) if isinstance(plugin, Announcing) else []
            applied = apply_delivery(
                self._store, delivery, alerts, self._route, self._over, announced
            )
        except StoreError:
            raise
        except (NotUnderstoodError, UnknownSenderError) as error:
            return self._quarantine(delivery, error.message)
        except Exception as error:  # noqa: BLE001 - one body must not stop those behind it
            # A mistake in a sender's plug-in, or a value that no test thought of: kept and shown.
            _log.exception("delivery_broke_its_parser", delivery=delivery, sender=sender)
            return self._quarantine(delivery, f"{type(error).__name__} while reading it: {error}")
        if applied is None:
            return None
        for incident in applied.to_run:
            self._teller.tell(incident)
        return _processed(delivery, applied)

    def _without_watchdog(self, alerts: list[Alert]) -> list[Alert]:
        """Leave out the alert that always fires, and remember that it came."""
        left = [a for a in alerts if not self._settings.reconcile.is_watchdog(a.labels)]
        if any(a.status == "firing" for a in alerts if a not in left):
            self.heard = self._store.clock()
        return left

    def _of(self, sender: str) -> IntakeSettings:
        return self._settings.intake.get(sender, IntakeSettings())

    def _route(self, alert: Alert) -> Route:
        return route(alert, self._settings, self._root)

    def _quarantine(self, delivery: str, why: str) -> Receipt:
        plain = why.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")
        plain = plain if len(plain) <= _LONGEST_WHY else plain[:_LONGEST_WHY] + "…"
        self._store.deliveries.quarantine(delivery, plain)
        _log.warning("delivery_quarantined", delivery=delivery, why=plain)
        return Receipt(delivery_id=delivery, status="quarantined", why=plain)


def _processed(
    delivery: str, applied: Applied, status: DeliveryStatus = "processed", why: str | None = None
) -> Receipt:
    return Receipt(
        delivery_id=delivery,
        status=status,
        why=why,
        opened=applied.opened,
        joined=applied.joined,
        incidents=applied.incidents,
    )


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address: localhost, 127.0.0.0/8 or ::1."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _sender(name: str) -> Sender:
    try:
        return SENDERS.get(name)()
    except RegistryError as error:
        raise UnknownSenderError(error.message, error.hint) from error
