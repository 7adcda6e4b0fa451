"""XNAT's REST interface as far as delivery needs it: log in once, keep the session, ask for JSON.

One client is one server session: calls go by one connection, bodies of instances by another. XNAT opens a session for
every request that carries credentials alone, and ends a session after some minutes of silence: so the client logs in
once, sends the cookie, and logs in again when that is refused.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias
from urllib.parse import quote, urlencode

from gateway.dicom.segments import Segment
from gateway.errors import DeliveryFailed
from gateway.version import USER_AGENT
from gateway.web.answer import Answer
from gateway.web.calls import Calls
from gateway.web.endpoint import Authorization, Endpoint
from gateway.web.retry_after import retry_after
from gateway.web.streaming import Connection

#: What a session id may look like; it is put into a header field.
_SESSION: Final = re.compile(r"[A-Za-z0-9._!-]{8,256}", re.ASCII)

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
#: Those that an import, or archiving, is never answered with; 301 and 303 may tell a place.
_ELSEWHERE: Final = _REDIRECTS - {301, 303}

Query: TypeAlias = "Mapping[str, str]"


def path_of(*segments: str) -> str:
    """A path of URL segments: ``path_of("data", "projects", "CHEST")`` is ``/data/projects/CHEST``."""
    return "".join(f"/{quote(segment, safe='')}" for segment in segments)


class XnatClient:
    """A session with an XNAT server; not for use from several threads at once.

    Parameters
    ----------
    endpoint
        base URL of the server
    destination
        name that errors carry
    authorization
        user name and password, or alias and secret of a token
    context
        for TLS; None for plain HTTP
    timeout
        see ``Calls`` and ``Connection``
    answer_limit
        bytes of an answer that are read at most
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
        self._calls = Calls(
            endpoint, destination=destination, timeout=timeout, context=context, answer_limit=answer_limit
        )
        self._connection = Connection(
            endpoint, destination=destination, timeout=timeout, context=context, answer_limit=answer_limit
        )
        self._session = ""

    def log_in(self) -> None:
        """Begin a session; the one before is given up.

        Raises
        ------
        DeliveryFailed
            no answer, or not a session; its fact ``code`` is ``credentials`` or as in ``refusal``
        """
        self._session = ""
        answer = self._calls.call(
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
        """End the session on the server, as far as it can be reached, and close the connections."""
        if self._session:
            with suppress(DeliveryFailed):
                self._calls.call("DELETE", self._endpoint.target("/data/JSESSION"), self._fields())
            self._session = ""
        self._calls.close()
        self._connection.close()

    def request(
        self, method: str, path: str, *, query: Query | None = None, content: bytes = b"", content_type: str = ""
    ) -> Answer:
        """Send a request within the session, and once more in a new one if the server no longer knows it.

        Parameters
        ----------
        method
            of HTTP
        path
            below the base URL, as ``path_of`` makes it
        query
            parameters of the URL
        content
            of the request
        content_type
            its media type

        Raises
        ------
        DeliveryFailed
            no answer, or the credentials are refused; with the fact ``code``
        """
        target = self._target(path, query)
        answer = self._in_session(
            lambda: self._calls.call(method, target, self._fields_of(content_type), content, again=not content)
        )
        self._look(answer, _REDIRECTS if method == "GET" else _ELSEWHERE)
        return answer

    def send(self, path: str, *, query: Query, body: Sequence[Segment], length: int, content_type: str) -> Answer:
        """Send instances by POST; see ``request``.

        Parameters
        ----------
        path
            below the base URL
        query
            parameters of the URL
        body
            content
        length
            bytes of the content
        content_type
            its media type

        Raises
        ------
        DeliveryFailed
            no answer, or the credentials are refused; with the fact ``code``
        SpoolUnavailable
            a file of the body cannot be read; with the fact ``segment``
        SpoolCorrupt
            a file of the body is shorter than its range; with the fact ``segment``
        """
        target = self._target(path, query)
        # What was sent into a session that XNAT is at work on may be lost: it is looked at before it is sent again.
        answer = self._in_session(
            lambda: self._connection.request(
                "POST", target, self._fields_of(content_type), body, length=length, again=False
            )
        )
        self._look(answer, _ELSEWHERE)
        return answer

    def _target(self, path: str, query: Query | None) -> str:
        return self._endpoint.target(path) + (f"?{urlencode(query)}" if query else "")

    def _fields_of(self, content_type: str) -> dict[str, str]:
        return self._fields(**({"Content-Type": content_type} if content_type else {}))

    def _in_session(self, ask: Callable[[], Answer]) -> Answer:
        """The answer within a session that the server knows."""
        fresh = not self._session
        if fresh:
            self.log_in()
        answer = ask()
        if answer.status == 401 and not fresh:
            self.log_in()
            answer = ask()
        if answer.status == 401:
            self._session = ""
            raise self.failure("credentials", "status 401: it does not accept the session that it has just given")
        return answer

    def _look(self, answer: Answer, elsewhere: frozenset[int]) -> None:
        """To a session that has ended some servers, and proxies that log in for them, show the way to the login."""
        if answer.status in elsewhere or is_page(answer):
            self._session = ""

    def get(self, path: str, *, query: Query | None = None) -> Any:
        """The JSON content of a resource; None if there is no such resource (404).

        Raises
        ------
        DeliveryFailed
            no answer, or no such answer; with the fact ``code``
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
            wait = retry_after(answer.retry_after, now=datetime.now(UTC))
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
        fields = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": USER_AGENT, **more}
        if self._session:
            fields["Cookie"] = f"JSESSIONID={self._session}"
        return fields


def is_page(answer: Answer) -> bool:
    """Whether it is a page for people instead of what was asked for: nothing that is read here begins so."""
    return answer.status == 200 and answer.body[:1024].lstrip()[:1] == b"<"
