"""Sends requests to an endpoint: as many at once as it takes, again when that may help, and never for ever."""

from __future__ import annotations

import json
import math
import random
import ssl
import time
import weakref
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from baselines.api.address import Endpoint
from baselines.api.gate import shared_gate
from baselines.api.replies import RequestFailed, error_told, read_reply, told
from baselines.api.secret import Secret
from baselines.api.settings import ApiSettings

if TYPE_CHECKING:
    import httpx

_CHAT, _MODELS = "/chat/completions", "/models"
_CROWDED = (429, 503, 529)
_AGAIN = (408, 409, 425, 500, 502, 504)
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0
_MOST_BYTES = 64 * 2**20
_CONNECT_S = 10.0


@dataclass(frozen=True)
class _Trouble:
    """Why a request had no reply, and whether to ask again."""

    reason: str
    again: bool = False
    crowded: bool = False
    wait_s: float = 0.0
    fatal: bool = False
    refused: bool = False


class Transport:
    """The connection to one endpoint, for any number of threads."""

    def __init__(self, endpoint: Endpoint, secret: Secret, settings: ApiSettings) -> None:
        import httpx

        self._endpoint, self._secret, self._settings = endpoint, secret, settings
        most = settings.concurrency
        self._client = httpx.Client(
            headers={"Content-Type": "application/json", "User-Agent": "fusemark"},
            limits=httpx.Limits(max_connections=most, max_keepalive_connections=most),
            timeout=httpx.Timeout(settings.timeout_s, connect=min(_CONNECT_S, settings.timeout_s), pool=None),
        )
        weakref.finalize(self, self._client.close)
        self.gate = shared_gate(endpoint.url, most)
        self._lock = Lock()
        self._stopped = Event()
        self._in_a_row = 0
        self._last = ""
        self.latencies_s = array("d")
        self.retries = 0

    def ask(
        self, body: bytes, patience_s: float | None = None, *, may_be_empty: bool = False
    ) -> tuple[dict[str, Any], float]:
        """Send a request until it has a reply that holds an answer; returns it and the seconds that it took.

        Raises RequestFailed when asking again does not help, or has not helped for `patience_s` (by default the setting
        retry_s); at once, when too many before it have failed in a row, or when the server wants a longer pause than
        that: then the others do not wait for its end either.
        """
        until = time.monotonic() + (self._settings.retry_s if patience_s is None else patience_s)
        tries = 0
        while True:
            tries += 1
            with self.gate.passing(self._stopped) as entered:
                self._require_hope()
                found = self._once(body, may_be_empty)
                if not isinstance(found, _Trouble):
                    seconds = time.monotonic() - entered
                    self._note(seconds)
                    return found, seconds
                left = until - time.monotonic()
                if found.crowded:
                    self.gate.refused(entered, found.wait_s if found.wait_s <= left else 0.0)
                wait = max(found.wait_s, random.uniform(0, min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2**tries)))
                if not found.again or wait > left:
                    raise self._failure(found, tries)
            if self._stopped.wait(wait):
                raise self._failure(found, tries)
            with self._lock:
                self.retries += 1

    def models(self) -> list[dict[str, Any]] | None:
        """Ask which models are there; None where the server does not say. Raises RequestFailed for what is fatal."""
        import httpx

        try:
            response = self._client.get(f"{self._endpoint.url}{_MODELS}", headers=self._secret.header())
            if response.status_code in (401, 403):
                raise RequestFailed(self._of_status(response.status_code, response.content).reason, fatal=True)
            listed = response.json()["data"] if response.is_success else None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RequestFailed(self._of_error(error).reason, fatal=True) from None
        except (ValueError, KeyError, TypeError):
            return None
        return [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else None

    def forget_times(self) -> None:
        """Leave what a probe has asked out of what is said of latency."""
        with self._lock:
            del self.latencies_s[:]
            self.retries = 0
        self.gate.forget_times()

    def stop(self) -> None:
        """Let whoever waits to ask again give up."""
        self._stopped.set()

    def go_on(self) -> None:
        """Ask again as usual."""
        self._stopped.clear()

    def _require_hope(self) -> None:
        """Ask nothing more when too many requests in a row have failed, or when nobody waits for an answer."""
        if self._stopped.is_set():
            raise RequestFailed("not asked: the run was ended")
        if self._in_a_row >= self._settings.give_up_after:
            raise RequestFailed(f"not asked: the {self._settings.give_up_after} before it failed ({self._last})")

    def _note(self, seconds: float) -> None:
        self.gate.succeeded()
        with self._lock:
            self.latencies_s.append(seconds)
            self._in_a_row = 0

    def _failure(self, trouble: _Trouble, tries: int) -> RequestFailed:
        """Count failures that say something of the server, and not of one request; gives the error to raise."""
        with self._lock:
            if not trouble.refused:
                self._in_a_row, self._last = self._in_a_row + 1, trouble.reason
        told_tries = f", {tries} times asked" if tries > 1 else ""
        return RequestFailed(f"{trouble.reason}{told_tries}", fatal=trouble.fatal, refused=trouble.refused)

    def _once(self, body: bytes, may_be_empty: bool) -> dict[str, Any] | _Trouble:
        import httpx

        until = time.monotonic() + self._settings.timeout_s
        url = f"{self._endpoint.url}{_CHAT}"
        try:
            with self._client.stream("POST", url, content=body, headers=self._secret.header()) as response:
                content = b"".join(self._parts(response, until))
                status, wait = response.status_code, _wait_wanted(response)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError) as error:
            return self._of_error(error)
        if status != 200:
            trouble = self._of_status(status, content)
            if wait is None or not trouble.again:
                return trouble
            reason = (
                f"{trouble.reason} (it asks for a pause of {wait:.0f} s)" if wait > _LONGEST_WAIT_S else trouble.reason
            )
            return replace(trouble, reason=reason, wait_s=wait)
        return self._read(content, may_be_empty)

    def _parts(self, response: httpx.Response, until: float) -> Iterator[bytes]:
        """Read a body, neither longer nor for longer than is sensible."""
        read = 0
        for part in response.iter_bytes():
            read += len(part)
            if time.monotonic() > until:
                raise TimeoutError
            if read > _MOST_BYTES:
                raise ValueError(f"a reply of more than {_MOST_BYTES >> 20} MiB")
            yield part

    def _read(self, content: bytes, may_be_empty: bool) -> dict[str, Any] | _Trouble:
        """Take a reply that holds an answer; whatever else comes with status 200 is a fault of the server."""
        content = self._secret.hide_in(content)
        try:
            found = json.loads(content)
            if not isinstance(found, dict):
                raise ValueError
        except (ValueError, RecursionError):
            kind = "HTML" if content.lstrip()[:1] == b"<" else "something"
            shown = told(content[:2000].decode("utf-8", "replace"))
            return _Trouble(f"the server replies with {kind} and not with JSON: {shown}", again=True)
        try:
            read_reply(found, may_be_empty=may_be_empty)
        except RequestFailed as error:
            server_fault = bool(found.get("error"))
            return _Trouble(error.reason, again=server_fault, refused=not server_fault)
        return found

    def _of_error(self, error: Exception) -> _Trouble:
        import httpx

        host = self._endpoint.host
        if isinstance(error, httpx.TimeoutException | TimeoutError):
            if isinstance(error, httpx.ConnectTimeout):
                return _Trouble(f"{host} is not reached: no connection within {_CONNECT_S:g} s", again=True)
            seconds = self._settings.timeout_s
            return _Trouble(f"no answer within {seconds:g} s (model.timeout_s)", again=True, crowded=True)
        if tls := _tls_fault(error):
            hint = "Is it http:// and not https://?" if "record" in tls or "WRONG_VERSION" in tls else ""
            return _Trouble(f"{host}: TLS failed: {told(tls)} {hint}".rstrip(), fatal=True)
        shown = told(self._secret.hide(str(error))[:2000] or type(error).__name__)
        if isinstance(error, httpx.ConnectError):
            return _Trouble(f"{host} is not reached: {shown}", again=True)
        if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL):
            return _Trouble(f"{host} is no address: {shown}", fatal=True)
        return _Trouble(f"the connection to {host} broke: {shown}", again=True)

    def _of_status(self, status: int, content: bytes) -> _Trouble:
        content = self._secret.hide_in(content)
        try:
            shown = error_told(json.loads(content))
        except (ValueError, RecursionError):
            shown = told(content[:2000].decode("utf-8", "replace"))
        reason = f"status {status}" + (f": {shown}" if shown else "")
        if status in (401, 403):
            return _Trouble(f"{reason} (the key is missing or refused)", fatal=True)
        if status in _CROWDED:
            return _Trouble(reason, again=True, crowded=True)
        if status in _AGAIN or status > 504:
            return _Trouble(reason, again=True)
        if 300 <= status < 400 or status in (404, 405):
            return _Trouble(reason, fatal=True)
        return _Trouble(reason, refused=True)


def _wait_wanted(response: httpx.Response) -> float | None:
    """Seconds that a server wants to be left alone, by its header Retry-After (RFC 9110, 10.2.3)."""
    wish = response.headers.get("retry-after", "").strip()
    if not wish:
        return None
    try:
        return max(0.0, seconds) if math.isfinite(seconds := float(wish)) else None
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(wish).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _tls_fault(error: BaseException) -> str:
    """Find what TLS complained of among the causes of an error."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError):
            return str(seen)
        seen = seen.__cause__ or seen.__context__
    text = str(error)
    return text if "SSL" in text or "certificate" in text.lower() else ""
