"""Calls to a server and what it answers, by requests: for all that carries no stored bytes.

What a server may do to the gateway by its answers is bounded here, once for all who ask one: redirects are not
followed, cookies are not kept, an answer is read up to a limit and must be there, all of it, before a deadline. What
the environment says of proxies, authorities and credentials counts for nothing: only what is configured does.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from http.client import HTTPException, HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from time import monotonic
from typing import Any, Final, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from gateway.association.connecting import connect
from gateway.errors import ConnectionFailed, DeliveryFailed
from gateway.web.answer import Answer, AnswerStream, failure_of
from gateway.web.endpoint import Endpoint

_CHUNK: Final = 64 * 1024


class _Response(HTTPResponse):
    """An answer that must be there before the socket's time-out is over, however many pieces it comes in."""

    def __init__(self, sock: Any, *arguments: Any, **options: Any) -> None:
        deadline = monotonic() + (sock.gettimeout() or 0.0)
        sock.setblocking(False)
        super().__init__(cast("Any", AnswerStream(sock, deadline=deadline)), *arguments, **options)


class _Connection(HTTPConnection):
    """A connection that is made as every other of the gateway's, and fails in its words.

    Attributes: ``answers``: how many have come over it.
    """

    response_class = _Response

    def __init__(self, *arguments: Any, endpoint: Endpoint, context: ssl.SSLContext | None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._endpoint = endpoint
        self._context = context
        self.answers = 0

    def connect(self) -> None:
        seconds = self.timeout
        assert isinstance(seconds, float)
        self.sock = connect(self._endpoint.host, self._endpoint.port, timeout_seconds=seconds, context=self._context)
        self.answers = 0

    def request(self, *arguments: Any, **options: Any) -> None:
        try:
            super().request(*arguments, **options)
        except (OSError, HTTPException) as error:
            raise self._failed(error, sending=True) from None

    def getresponse(self) -> Any:
        try:
            response = super().getresponse()
        except (OSError, HTTPException) as error:
            raise self._failed(error, sending=False) from None
        self.answers += 1
        return response

    def _failed(self, error: Exception, *, sending: bool) -> ConnectionFailed:
        failed = failure_of(error, sending=sending)
        failed.facts["kept"] = self.answers > 0
        return failed


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _Adapter(HTTPAdapter):
    """Sends every request to one endpoint, whatever else there is in the environment."""

    def __init__(self, endpoint: Endpoint, context: ssl.SSLContext | None) -> None:
        super().__init__(pool_connections=1, pool_maxsize=1)
        self._pool = _Pool(endpoint.host, endpoint.port, maxsize=1, endpoint=endpoint, context=context)

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> HTTPConnectionPool:
        return self._pool

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """The connection has done that."""

    def close(self) -> None:
        self._pool.close()
        super().close()


class _Session(requests.Session):
    """A session that knows nothing but what it is told."""

    def __init__(self, adapter: HTTPAdapter) -> None:
        super().__init__()
        self.trust_env = False
        self.headers.clear()
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 - its caller's
        """Nowhere: what is not followed need not be looked for, which would read the whole answer."""
        return


def ascii_url(url: str) -> str:
    """A URL with what is not ASCII in its host and path encoded; as it is if that cannot be done."""
    try:
        return requests.Request("GET", url).prepare().url or url
    except (requests.RequestException, ValueError):
        return url


class Calls:
    """Calls to one endpoint, over one connection that is opened when needed and kept; not for several threads at once.

    Parameters
    ----------
    endpoint
        where to
    destination
        name that errors carry
    timeout
        seconds that the peer may take to connect, to take the request, and to answer all of it
    context
        for TLS; None for plain HTTP
    answer_limit
        bytes of an answer that are read at most; with 0 only its head is
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        destination: str,
        timeout: float,
        context: ssl.SSLContext | None,
        answer_limit: int,
    ) -> None:
        self._destination = destination
        self._timeout = float(timeout)
        self._answer_limit = answer_limit
        self._authority = endpoint.authority
        self._base = f"{'https' if endpoint.secure else 'http'}://{endpoint.authority}"
        self._session = _Session(_Adapter(endpoint, context))

    def call(
        self, method: str, target: str, fields: Mapping[str, str], content: bytes = b"", *, again: bool = True
    ) -> Answer:
        """Send a request and read its answer.

        Parameters
        ----------
        method
            of HTTP, such as ``GET``
        target
            request target
        fields
            header fields besides Host and Content-Length
        content
            the body
        again
            whether it may be sent once more when a kept connection breaks off without an answer; not so where the
            server may still be at work on what it has got

        Raises
        ------
        DeliveryFailed
            no answer; its fact ``code`` is ``unreachable``, ``tls``, ``timeout``, ``connection-lost`` or
            ``answer-unreadable``
        """
        prepared = requests.PreparedRequest()
        prepared.prepare_method(method)
        # As it is: what stands in a target was quoted where it was made.
        prepared.url = self._base + target
        prepared.prepare_headers({"Host": self._authority, "Content-Length": str(len(content)), **fields})
        prepared.body = content or None
        try:
            try:
                return self._exchange(prepared)
            except ConnectionFailed as error:
                # A server may close a kept connection at any moment; another one tells whether it is really gone.
                if error.facts["code"] != "connection-lost" or not error.facts["kept"] or not again:
                    raise
                return self._exchange(prepared)
        except ConnectionFailed as error:
            code, reason = str(error.facts["code"]), str(error.facts["reason"])
        except (requests.RequestException, HTTPError, ValueError):
            code, reason = "answer-unreadable", "what it answers is not HTTP"
        raise DeliveryFailed(destination=self._destination, reason=reason, code=code)

    def close(self) -> None:
        """Close the connection, if it is open."""
        self._session.close()

    def _exchange(self, prepared: requests.PreparedRequest) -> Answer:
        response = self._session.send(prepared, stream=True, timeout=self._timeout, allow_redirects=False, proxies={})
        with response:
            return self._read(response)

    def _read(self, response: requests.Response) -> Answer:
        raw = cast("BaseHTTPResponse", response.raw)
        limit, body = self._answer_limit, bytearray()
        try:
            while len(body) <= limit and limit:
                piece = raw.read1(min(_CHUNK, limit + 1 - len(body)), decode_content=False)
                if not piece:
                    break
                body += piece
            whole = 0 < limit >= len(body)
        except (HTTPError, OSError, HTTPException, ValueError):
            # The status is known and says enough, unless it needs the body to say which instances it means.
            whole = False
        return Answer(
            status=response.status_code,
            retry_after=response.headers.get("Retry-After", ""),
            body=bytes(body[:limit]),
            whole=whole,
            excessive=len(body) > limit > 0,
        )
