"""Ask a server over HTTP: with proof, in time, again only where that is safe, and no more than it bears."""

from __future__ import annotations

import json
import re
import ssl
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Self

import httpx
import tenacity

from triagebook.core.errors import SettingsError, SourceDataError, SourceError, SourceTimeoutError
from triagebook.core.paths import Home
from triagebook.core.times import now_utc
from triagebook.core.words import span
from triagebook.sources.guard import Guard

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from triagebook.core.server_settings import SecretRef
    from triagebook.sources.base import Question
    from triagebook.sources.http import HttpSettings

TRIES = 3
FIRST_WAIT_S = 0.2
CLOCKS_AGREE_S = 30.0
"""A server's clock that is less off than this is not spoken of, in seconds."""
_AGAIN = frozenset({429, 502, 503, 504})
_WORDS: dict[int, tuple[str, str]] = {
    401: ("does not accept the credentials", "look at token, user and password"),
    403: ("does not let these credentials read that", "grant them the right to read"),
    404: ("knows no such address", "`url` is the base, without the API's own path"),
    429: ("has too many questions", "lower `connections`, or ask for less"),
}
_LONGEST_SAID = 200
_MEGA = 1_000_000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


class _AgainError(Exception):
    """What may be tried again, and after how many seconds the server wants it."""

    def __init__(self, error: SourceError, after_s: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.after_s = after_s


class Server:
    """One server, asked for one pull. Only questions: whatever is sent may be sent twice.

    Safe to use from several threads.

    Parameters
    ----------
    settings : HttpSettings
    root : Path
        The home; files of secrets are relative to it.
    question : Question
        How long somebody waits, and what ends that.
    what : str
        What it is called in messages, such as "Prometheus".

    Raises
    ------
    SettingsError
        A secret or a certificate cannot be had.
    """

    def __init__(self, settings: HttpSettings, root: Path, question: Question, what: str) -> None:
        self._settings = settings
        self._stop = question.stop
        self._until = time.monotonic() + question.within_s
        self._what = what
        self._secrets: list[str] = []
        self._ahead_s = 0.0
        url = httpx.URL(settings.url)
        self._origin = f"{url.scheme}://{url.netloc.decode()}"
        self._guard = Guard(Home(root).state / "sources", self._origin, settings.connections)
        self._client = httpx.Client(
            headers=self._headers(root),
            auth=self._auth(root),
            verify=self._trust(root),
            follow_redirects=False,  # credentials go to the address that was named, nowhere else
            limits=httpx.Limits(max_connections=settings.connections),
        )
        question.stop.on_stop(self._client.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    @property
    def left_s(self) -> float:
        """Seconds that are left to answer in; below zero once they are over."""
        return self._until - time.monotonic()

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """Return the JSON at an address.

        Raises
        ------
        SourceError
            With what failed, on what, and what to do; no secret is in it.
        """
        return self._json("GET", path, params=params)

    def post(
        self,
        path: str,
        *,
        form: Mapping[str, Any] | None = None,
        body: Any = None,
        content: bytes | None = None,
    ) -> Any:
        """Put a question as a form, as JSON or as it is, and return the JSON of the answer; as `get`."""
        if content is not None:
            headers = {"Content-Type": "application/x-ndjson"}
            return self._json("POST", path, content=content, headers=headers)
        if form is not None:
            return self._json("POST", path, data=form)
        return self._json("POST", path, json=body)

    @property
    def notes(self) -> list[str]:
        """What a reader must know of the server itself: that its clock is not ours."""
        if abs(self._ahead_s) < CLOCKS_AGREE_S:
            return []
        side = "ahead of" if self._ahead_s > 0 else "behind"
        off = span(abs(self._ahead_s))
        return [f"the clock of {self._what} is {off} {side} ours: times of the two do not compare"]

    # --- one question ----------------------------------------------------------------------------

    def _json(self, method: str, path: str, **how: Any) -> Any:
        raw, kind = self._asked(method, path, how)
        try:
            return json.loads(raw)
        except ValueError as error:
            if "html" in kind or raw.lstrip()[:1] == b"<":
                raise SourceDataError(
                    f"{self._what} at {self._origin} answered with a web page, not with JSON",
                    "a proxy or a login page is in between: look at the address in a browser",
                ) from error
            raise SourceDataError(
                f"{self._what} at {self._origin} answered {len(raw):,} bytes that are no JSON "
                f"({error})",
                "the answer may have been cut off on its way; try again",
            ) from error

    def _asked(self, method: str, path: str, how: dict[str, Any]) -> tuple[bytes, str]:
        trying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_AgainError),
            stop=self._no_more,
            wait=_pause,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return trying(self._once, method, path, how)
        except _AgainError as failed:
            raise failed.error from failed

    def _no_more(self, state: tenacity.RetryCallState) -> bool:
        return (
            state.attempt_number >= TRIES
            or self._stop.stopped
            or _pause(state) >= self.left_s - 0.1
        )

    def _sleep(self, seconds: float) -> None:
        self._stop.wait(seconds)

    def _once(self, method: str, path: str, how: dict[str, Any]) -> tuple[bytes, str]:
        with self._guard.turn(self.left_s):
            if self.left_s <= 0:
                raise SourceTimeoutError(
                    f"no time was left to ask {self._what}", "give the pull a larger `budget`"
                )
            try:
                with self._client.stream(
                    method, f"{self._settings.url}{path}", timeout=self.left_s, **how
                ) as answer:
                    self._note_clock(answer.headers.get("date"))
                    self._look(answer)
                    raw = self._body(answer)
            except httpx.HTTPError as error:
                raise self._failed(error) from error
            except RuntimeError as error:  # the client was closed, since nobody waits any more
                raise SourceTimeoutError(f"{self._what} was given up") from error
        self._guard.answered()
        return raw, answer.headers.get("content-type", "").lower()

    def _note_clock(self, said: str | None) -> None:
        try:
            self._ahead_s = (parsedate_to_datetime(said or "") - now_utc()).total_seconds()
        except (TypeError, ValueError):
            self._ahead_s = 0.0

    def _body(self, answer: httpx.Response) -> bytes:
        """Read what comes, as long as there is time and room for it."""
        most = int(self._settings.most_mb * _MEGA)
        parts, size = [], 0
        for part in answer.iter_bytes():
            size += len(part)
            if size > most:
                raise SourceDataError(
                    f"{self._what} answers more than {self._settings.most_mb:g} MB",
                    "narrow the question, or raise `most_mb`",
                )
            if self.left_s <= 0:
                raise self._too_late(f"only {size:,} bytes of its answer came")
            parts.append(part)
        return b"".join(parts)

    # --- what went wrong -------------------------------------------------------------------------

    def _look(self, answer: httpx.Response) -> None:
        """Return where the answer is one; else raise what the status says."""
        status = answer.status_code
        if answer.is_success:
            return
        if answer.is_redirect:
            where = answer.headers.get("location", "nowhere")
            raise SourceError(
                f"{self._what} at {self._origin} sends us on to {self._clean(where)}",
                "name that address as `url` if it is the right one; "
                "credentials are not sent anywhere else",
            )
        said = self._said(answer)
        words, hint = _WORDS.get(status, ("fails", "look at its own log"))
        text = f"{self._what} at {self._origin} {words} ({status}{said})"
        if status not in _AGAIN and status < 500:
            # It works, and refuses: no sign that it needs rest.
            self._guard.answered()
            raise SourceError(text, hint, status=status)
        after_s = _retry_after(answer.headers.get("retry-after"))
        if after_s is not None:
            text += f", asks us to come back in {after_s:g} s"
        self._guard.failed(f"status {status}", after_s or None)
        if status in _AGAIN:
            raise _AgainError(SourceError(text, hint), after_s)
        raise SourceError(text, hint)

    def _said(self, answer: httpx.Response) -> str:
        """Return what a refusal says, in short."""
        size, parts = 0, []
        try:
            for part in answer.iter_bytes(4_096):
                parts.append(part)
                size += len(part)
                if size >= 4_096 or self.left_s <= 0:
                    break
        except httpx.HTTPError:
            return ""  # the status is what counts; its words broke off
        raw = b"".join(parts)[:4_096]
        if b"<html" in raw.lower():
            return ""
        text = raw.decode("utf-8", "replace")
        try:
            known = json.loads(text)
            if isinstance(known, dict):
                told = known.get("error") or known.get("message") or known.get("detail") or text
                text = told if isinstance(told, str) else json.dumps(told)
        except ValueError:
            pass  # plain words, as Loki and proxies have them
        text = self._clean(text)
        return f": {text}" if text else ""

    def _failed(self, error: httpx.HTTPError) -> Exception:
        if isinstance(error, httpx.TimeoutException):
            self._guard.failed("no answer in time")
            return self._too_late("")
        reason = _root_of(error)
        if isinstance(reason, ssl.SSLError):
            text = self._clean(getattr(reason, "verify_message", "") or str(reason))
            return SourceError(
                f"the certificate of {self._origin} is not trusted: {text}",
                'name your own authority\'s PEM file: ca = "ca.pem"',
            )
        if isinstance(error, httpx.DecodingError):
            return SourceDataError(
                f"{self._what} at {self._origin} answers what cannot be unpacked",
                "look at what stands in between",
            )
        self._guard.failed(type(error).__name__)
        if isinstance(error, httpx.ConnectError):
            text = self._clean(str(error)) or "no connection"
            failed = SourceError(
                f"{self._what} at {self._origin} cannot be reached: {text}",
                "is it running, and is `url` right?",
            )
        else:
            text = self._clean(str(error)) or type(error).__name__
            failed = SourceError(
                f"{self._what} at {self._origin} broke off: {text}", "try again; look at its log"
            )
        return _AgainError(failed)

    def _too_late(self, why: str) -> SourceTimeoutError:
        return SourceTimeoutError(
            f"{self._what} at {self._origin} gave no answer in time{f': {why}' if why else ''}",
            "give the pull a larger `budget`, or ask for less",
        )

    def _clean(self, text: str) -> str:
        """Leave out secrets and what a terminal would obey, and cut what is long."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = _CONTROL.sub(" ", re.sub(r"//[^/@\s]*@", "//***@", text)).strip()
        return text if len(text) <= _LONGEST_SAID else text[: _LONGEST_SAID - 1] + "…"

    # --- credentials -----------------------------------------------------------------------------

    def _headers(self, root: Path) -> dict[str, str]:
        own = self._settings
        found = {"User-Agent": "triagebook", "Accept": "application/json", **own.headers}
        if own.token is not None:
            found["Authorization"] = f"Bearer {self._secret(own.token, 'token', root)}"
        if own.tenant is not None:
            found["X-Scope-OrgID"] = own.tenant
        for name, secret in own.secret_headers.items():
            found[name] = self._secret(secret, f"header {name}", root)
        return found

    def _auth(self, root: Path) -> httpx.BasicAuth | None:
        own = self._settings
        if own.password is None and own.user is None:
            return None
        secret = self._secret(own.password, "password", root) if own.password is not None else ""
        return httpx.BasicAuth(own.user or "", secret)

    def _secret(self, reference: SecretRef, name: str, root: Path) -> str:
        found = reference.value(root)
        if not found or not found.isascii() or not found.isprintable():
            raise SettingsError(
                f"the {name} for {self._origin} is empty or holds characters no header may hold",
                "write the secret, and nothing else, into its file or variable",
            )
        self._secrets.append(found)
        return found

    def _trust(self, root: Path) -> ssl.SSLContext | bool:
        if self._settings.ca is None:
            return True
        path = root / self._settings.ca
        try:
            return ssl.create_default_context(cafile=str(path))
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(
                f"the certificates in {path} cannot be used: {error}", "name a PEM file"
            ) from error


def _pause(state: tenacity.RetryCallState) -> float:
    """Return how long to wait before the next try, in seconds."""
    failed = state.outcome.exception() if state.outcome is not None else None
    if isinstance(failed, _AgainError) and failed.after_s is not None:
        return failed.after_s
    return float(FIRST_WAIT_S * 3 ** (state.attempt_number - 1))


def _retry_after(value: str | None) -> float | None:
    """Read Retry-After: seconds or a date (RFC 9110, 10.2.3); None where it is neither."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max((parsedate_to_datetime(value) - now_utc()).total_seconds(), 0.0)
    except (TypeError, ValueError):
        return None


def _root_of(error: BaseException) -> BaseException:
    """Return the first cause: httpx wraps what its transport raised, twice."""
    seen: set[int] = set()
    while id(error) not in seen:
        seen.add(id(error))
        error = error.__cause__ or error.__context__ or error
    return error
