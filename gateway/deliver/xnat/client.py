"""XNAT's REST interface as far as delivery needs it: log in once, keep the session, ask for JSON.

One client is one connection with one server session. XNAT opens a session for every request that carries credentials
alone, and ends a session after some minutes of silence: so the client logs in once, sends the cookie, and logs in again
when that is refused.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias
from urllib.parse import quote, urlencode

from gateway.deliver.connection import Answer, Connection
from gateway.deliver.endpoint import Authorization, Endpoint
from gateway.dicom.segments import Segment
from gateway.errors import DeliveryFailed
from gateway.version import __version__

#: Anything that looks like a browser's is asked for a token against cross-site requests.
_USER_AGENT: Final = f"deid-gateway/{__version__}"
#: What a session id may look like; it is put into a header field.
_SESSION: Final = re.compile(r"[A-Za-z0-9._!-]{8,256}", re.ASCII)
_LONGEST_RETRY_AFTER: Final = 24 * 3600.0

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
#: Those that an import, or archiving, is never answered with; 301 and 303 may tell a place.
_ELSEWHERE: Final = _REDIRECTS - {301, 303}

Query: TypeAlias = "Mapping[str, str]"


def path_of(*segments: str) -> str:
    """A path of URL segments: ``path_of("data", "projects", "CHEST")`` is ``/data/projects/CHEST``."""
    return "".join(f"/{quote(segment, safe='')}" for segment in segments)


class XnatClient:
    """A connection to an XNAT server with a session of its own; not for use from several threads at once.

    Parameters
    ----------
    endpoint: base URL of the server
    destination: name that errors carry
    authorization: user name and password, or alias and secret of a token
    context: for TLS; None for plain HTTP
    timeout: see ``Connection``
    answer_limit: bytes of an answer that are read at most
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        destination: str,
        authorization: Authorization,
        context: ssl.SSLContext | None,
        timeout: float,
        answer_limit: int,
    ) -> None:
        self._endpoint = endpoint
        self._destination = destination
        self._authorization = authorization
        self._connection = Connection(
            endpoint, destination=destination, timeout=timeout, context=context, answer_limit=answer_limit
        )
        self._session = ""

    def log_in(self) -> None:
        """Begin a session; the one before is given up.

        Raises
        ------
        DeliveryFailed: no answer, or not a session; its fact ``code`` is ``credentials`` or as in ``refusal``
        """
        self._session = ""
        answer = self._connection.request(
            "POST", self._endpoint.target("/data/JSESSION"), self._fields(Authorization=self._authorization.value)
        )
        if answer.status in (401, 403):
            raise self.failure("credentials", f"status {answer.status}: it does not accept the credentials")
        if answer.status != 200:
            raise self.refusal(answer)
        session = answer.body[:1024].decode("ascii", "replace").partition(";")[0].strip()
        if not answer.whole or not _SESSION.fullmatch(session):
            raise self.failure("not-xnat", "what it answers to a login is no session: check the URL")
        self._session = session

    def log_out(self) -> None:
        """End the session on the server, as far as it can be reached, and close the connection."""
        if self._session:
            with suppress(DeliveryFailed):
                self._connection.request("DELETE", self._endpoint.target("/data/JSESSION"), self._fields())
            self._session = ""
        self._connection.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Sequence[Segment] = (),
        length: int = 0,
        content_type: str = "",
    ) -> Answer:
        """Send a request within the session, and once more in a new one if the server no longer knows it.

        Parameters
        ----------
        method: of HTTP
        path: below the base URL, as ``path_of`` makes it
        query: parameters of the URL
        body: content
        length: bytes of the content
        content_type: its media type

        Raises
        ------
        DeliveryFailed: no answer, or the credentials are refused; with the fact ``code``
        SpoolUnavailable: a file of the body cannot be read; with the fact ``segment``
        SpoolCorrupt: a file of the body is shorter than its range; with the fact ``segment``
        """
        fresh = not self._session
        if fresh:
            self.log_in()
        target = self._endpoint.target(path) + (f"?{urlencode(query)}" if query else "")
        named = {"Content-Type": content_type} if content_type else {}

        def ask() -> Answer:
            # What was sent into a session that XNAT is at work on may be lost: it is looked at before.
            return self._connection.request(
                method, target, self._fields(**named), body, length=length, again=not length
            )

        answer = ask()
        if answer.status == 401 and not fresh:
            self.log_in()
            answer = ask()
        if answer.status == 401:
            self._session = ""
            raise self.failure("credentials", "status 401: it does not accept the session that it has just given")
        if answer.status in (_REDIRECTS if method == "GET" else _ELSEWHERE) or is_page(answer):
            # To a session that has ended some servers, and proxies that log in for them, show the way to the login.
            self._session = ""
        return answer

    def get(self, path: str, *, query: Query | None = None) -> Any:
        """The JSON content of a resource; None if there is no such resource (404).

        Raises
        ------
        DeliveryFailed: no answer, or no such answer; with the fact ``code``
        """
        asked = {**(query or {}), "format": "json"}
        had = bool(self._session)
        answer = self.request("GET", path, query=asked)
        if had and not self._session:
            answer = self.request("GET", path, query=asked)
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise self.refusal(answer)
        if not answer.whole:
            raise self.unreadable("breaks off or is too large")
        try:
            return json.loads(answer.body)
        except ValueError:
            raise self.unreadable("is not JSON") from None

    def forget(self) -> bool:
        """Give up the session, if there is one, so that the next request begins another; whether there was one."""
        had = bool(self._session)
        self._session = ""
        return had

    def failure(self, code: str, reason: str, *, retry_after: float | None = None) -> DeliveryFailed:
        """An error of this destination; ``reason`` holds nothing that came from the peer."""
        return DeliveryFailed(destination=self._destination, reason=reason, code=code, retry_after=retry_after)

    def unreadable(self, how: str) -> DeliveryFailed:
        """The error for an answer that cannot be understood."""
        return self.failure("answer-unreadable", f"its answer {how}")

    def refusal(self, answer: Answer) -> DeliveryFailed:
        """The error for a status that was not expected; ``code`` says what kind it is."""
        status = f"status {answer.status}"
        if answer.status == 403:
            return self.failure("no-rights", f"{status}: the user is not allowed to do this")
        if answer.status in (404, 405, 410):
            return self.failure("not-found", f"{status}: there is no such service: check the URL")
        if answer.status in (429, 503):
            wait = _seconds(answer.retry_after)
            return self.failure("busy", f"{status}: it asks to be left alone for a while", retry_after=wait)
        if answer.status == 507:
            return self.failure("storage-full", f"{status}: its disk is full")
        if answer.status in (502, 504):
            return self.failure("proxy", f"{status}: a proxy gave up waiting for XNAT, or does not reach it")
        if 300 <= answer.status < 400:
            return self.failure("redirect", f"{status}: redirects are not followed: set the URL to the final address")
        if answer.status >= 500:
            return self.failure("server-error", f"{status}: it met an error")
        return self.failure("unexpected-status", f"{status} is no answer to this request")

    def _fields(self, **more: str) -> dict[str, str]:
        fields = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": _USER_AGENT, **more}
        if self._session:
            fields["Cookie"] = f"JSESSIONID={self._session}"
        return fields


def is_page(answer: Answer) -> bool:
    """Whether it is a page for people instead of what was asked for: nothing that is read here begins so."""
    return answer.status == 200 and answer.body[:1024].lstrip()[:1] == b"<"


def _seconds(value: str) -> float | None:
    """Seconds of a Retry-After field, if it is a number (RFC 9110 10.2.3)."""
    value = value.strip()
    return min(float(value), _LONGEST_RETRY_AFTER) if value.isascii() and value.isdecimal() else None
