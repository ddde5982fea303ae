"""Calls of an OpenAI-compatible server: what may be repeated is, with growing pauses; what went wrong is one line."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests

from aurac.errors import ModelError, OptionError

KEY = "OPENAI_API_KEY"
ATTEMPTS = 5
FIRST_PAUSE = 0.5  # seconds; doubled each time
TIMEOUT = 600.0  # seconds for one answer: a long generation on a busy server


class ServerError(ModelError):
    """A server that does not answer, or not what it was asked."""


class Client:
    """The calls. The key comes from the environment, and appears in no message.

    Args:
        url: Up to /v1.
        timeout: Seconds to wait for one answer.

    Attributes:
        retries: How often a call was repeated.
        also: Name of a model -> what requests for it hold besides its name.
    """

    def __init__(self, url: str, *, timeout: float = TIMEOUT) -> None:
        """Open nothing yet."""
        self.url = check_url(url)
        self._key = os.environ.get(KEY, "").strip()
        self._http, self._timeout = requests.Session(), (min(timeout, 10.0), timeout)
        self._http.auth = self._sign  # also where there is no key, so that nothing is taken from a .netrc file
        self._lock = threading.Lock()
        self.retries = 0
        self.also: Mapping[str, Mapping[str, Any]] = {}
        self._gone = False  # it did not answer last time, so it is not waited for again and again

    def get(self, path: str, *, attempts: int = ATTEMPTS) -> Any:
        """Return the JSON that a path answers; `path` follows /v1."""
        return self._call("GET", self.url + path, None, attempts)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Return the JSON that the server answers to a body."""
        return self._call("POST", self.url + path, body, ATTEMPTS)

    def text(self, path: str) -> str | None:
        """Return what a path beside /v1 answers, such as /metrics; None where there is none."""
        try:
            answer = self._http.get(self.url.removesuffix("/v1") + path, timeout=10.0)
            return answer.text if answer.ok else None
        except requests.RequestException:
            return None

    def command(self, path: str, body: dict[str, Any]) -> str | None:
        """Send something that must not be sent twice; returns what the server says against it, None if it did it."""
        try:
            answer = self._http.post(self.url + path, json=body, timeout=self._timeout)
        except requests.RequestException as exc:
            return _cause(exc)
        return None if answer.ok else f"{self._said(answer)} ({answer.status_code})"

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _call(self, method: str, url: str, body: dict[str, Any] | None, attempts: int) -> Any:
        attempts, pause, cause = 1 if self._gone else attempts, FIRST_PAUSE, ""
        for attempt in range(attempts):
            if attempt:
                time.sleep(pause)
                pause *= 2
                with self._lock:
                    self.retries += 1
            try:
                answer = self._http.request(method, url, json=body, timeout=self._timeout)
            except requests.RequestException as exc:
                cause = _cause(exc)
                continue
            if answer.status_code == 429 or answer.status_code >= 500:
                cause = f"it says {answer.status_code}, {self._said(answer)}"
                continue
            self._gone = False
            return self._json(answer)
        self._gone = True
        times = f", {attempts} times" if attempts > 1 else ""
        raise ServerError(
            f"the server gave no answer{times} ({cause}). Start it again, and the same command: what was measured is "
            "kept."
        )

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request

    def _json(self, answer: requests.Response) -> Any:
        if answer.status_code in (401, 403):
            has = f"refuses the key in {KEY}" if self._key else f"wants a key. Set {KEY}"
            raise ServerError(f"the server {has}{'. Give another' if self._key else ''}.")
        if not answer.ok:
            raise ServerError(f"the server refuses a request ({answer.status_code}): {self._said(answer)}.")
        try:
            return answer.json()
        except ValueError:
            raise ServerError("the server answers something else than JSON. Give its address up to /v1.") from None

    def _said(self, answer: requests.Response) -> str:
        """Return a server's own words in one line, without the key."""
        try:
            found = answer.json()
            found = found.get("error", found.get("detail", found)) if isinstance(found, dict) else found
            found = found.get("message", found) if isinstance(found, dict) else found
            text = found if isinstance(found, str) else json.dumps(found)
        except ValueError:
            text = answer.text or answer.reason
        text = " ".join(text.split())[:300].rstrip(".")
        return text.replace(self._key, "***") if self._key else text


def check_url(url: str) -> str:
    """Return the address without a slash at its end, or raise `OptionError` for one that is none or holds a key."""
    if "@" in url or "?" in url:
        raise OptionError(f"--url holds a user, a password or a query. Give the plain address; a key comes from {KEY}.")
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # an odd port, or half an IPv6 address
        is_one = False
    if not is_one:
        raise OptionError(f"--url {url!r} is no address of a server. Give for example http://127.0.0.1:8000/v1.")
    return url.rstrip("/")


def _cause(exc: requests.RequestException) -> str:
    """Say what happened on the way, without the address."""
    if isinstance(exc, requests.Timeout):
        return "time ran out"
    if "refused" in str(exc):
        return "connection refused"
    if "establish" in str(exc) or "resolve" in str(exc).lower():
        return "it cannot be reached"
    return "the connection broke"
