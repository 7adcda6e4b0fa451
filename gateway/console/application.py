"""The web application: every path with who may ask for it, as Starlette routes.

Answers are made in threads, and each kind has places of its own: the health is answered whatever others wait for.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Final, TypeVar

import structlog
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway.association.addresses import network_of
from gateway.association.listener import normal_address
from gateway.console.authentication import WINDOW_SECONDS, Denial
from gateway.console.protection import Protection, forwarded_for
from gateway.console.resource import ASKED_BY, Answer, BadQuery, Query, Resource, parameters, problem
from gateway.errors import GatewayError
from gateway.log import Throttle
from gateway.settings.accounts import Role

__all__ = ["HEALTH", "READINESS", "application"]

log = structlog.get_logger(__name__)

T = TypeVar("T")

HEALTH: Final = "/healthz"
READINESS: Final = "/readyz"
#: Places for asking after the readiness, which waits for the ledger; the health itself waits for nothing.
_ASKING_READINESS: Final = 4
_LONGEST_BODY: Final = 4096
_METHODS: Final = frozenset({"GET", "HEAD", "POST"})
#: Entries about answers that failed, per minute.
_LOGGED: Final = 10
_BASIC: Final = 'Basic realm="gateway", charset="UTF-8"'
_BEARER: Final = 'Bearer realm="gateway"'
_STATUS_OF: Final = {
    Denial.MISSING: HTTPStatus.UNAUTHORIZED,
    Denial.WRONG: HTTPStatus.UNAUTHORIZED,
    Denial.TOO_MANY: HTTPStatus.TOO_MANY_REQUESTS,
}
#: Of every answer; a connection is for one request.
_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Connection": "close"}


def application(
    resources: Mapping[str, Resource], protection: Protection, *, refuse: Callable[[str, str], None]
) -> Starlette:
    """The application.

    Parameters
    ----------
    resources
        path -> what it gives
    protection
        who may see it, and how much at a time
    refuse
        told the reason of each refusal, and the address of who was refused
    """
    desk = _Desk(protection, refuse)
    routes = [Route(path, _Endpoint(desk, path, resource)) for path, resource in resources.items()]
    app = Starlette(routes=[*routes, Route("/{path:path}", _Endpoint(desk, "", None))])
    # Paths are compared, not mended: where there is nothing, nobody is sent to something.
    app.router.redirect_slashes = False
    return app


class _Desk:
    """What all endpoints share: the places for answers, and who asks. Of one event loop."""

    def __init__(self, protection: Protection, refuse: Callable[[str, str], None]) -> None:
        self.protection = protection
        self.refuse = refuse
        #: Network of an address -> answers to it under way.
        self._answering: Counter[str] = Counter()
        self._readiness = 0
        self.throttle = Throttle(most=_LOGGED)

    @contextmanager
    def place(self, address: str) -> Iterator[bool]:
        """A place for an answer that may take long; whether there is one."""
        network = network_of(address)
        free = (
            self._answering.total() < self.protection.clients
            and self._answering[network] < self.protection.clients_per_address
        )
        self._answering[network] += free
        try:
            yield free
        finally:
            self._answering[network] -= free
            if not self._answering[network]:
                del self._answering[network]

    @contextmanager
    def place_for_readiness(self) -> Iterator[bool]:
        """A place for asking after the readiness; whether there is one."""
        free = self._readiness < _ASKING_READINESS
        self._readiness += free
        try:
            yield free
        finally:
            self._readiness -= free

    def asker(self, request: Request) -> str:
        """The address of who asks: the peer's, or behind a trusted proxy what that says."""
        peer = "" if request.client is None else normal_address(request.client.host)
        forwarded = request.headers.getlist("X-Forwarded-For")
        return forwarded_for(peer, forwarded, trusted=self.protection.trusted_proxies)


class _Refused(Exception):
    """Somebody may not have what was asked for: the answer, with its headers."""

    def __init__(self, answer: Answer, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(answer.status)
        self.answer = answer
        self.headers = headers or {}


class _Endpoint:
    """Answers the requests for one path; for those of no other, without a resource."""

    def __init__(self, desk: _Desk, path: str, resource: Resource | None) -> None:
        self._desk = desk
        self._path = path
        self._resource = resource

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        headers: Mapping[str, str] = {}
        try:
            answer = await self._answer(request)
        except ClientDisconnect:
            return
        except _Refused as refused:
            answer, headers = refused.answer, refused.headers
        except BadQuery as error:
            answer = problem(HTTPStatus.BAD_REQUEST, str(error))
        except GatewayError as error:
            answer = problem(HTTPStatus.SERVICE_UNAVAILABLE, error.code)
        except Exception:
            if self._desk.throttle.withheld("failed") is not None:
                log.warning("http request failed", exc_info=True)
            answer = problem(HTTPStatus.INTERNAL_SERVER_ERROR, "failed")
        # Starlette would add a character set to a type that has none.
        typed = {"Content-Type": answer.media_type, **_HEADERS, **headers}
        await Response(answer.body, answer.status, typed)(scope, receive, send)

    async def _answer(self, request: Request) -> Answer:
        if request.method not in _METHODS:
            raise _Refused(problem(HTTPStatus.NOT_IMPLEMENTED, "nothing is asked so"))
        if self._path == HEALTH:
            return await self._give(request)
        address = self._desk.asker(request)
        place = self._desk.place_for_readiness() if self._path == READINESS else self._desk.place(address)
        with place as free:
            if free:
                return await self._give(request)
        self._desk.refuse("busy", address)
        raise _Refused(problem(HTTPStatus.SERVICE_UNAVAILABLE, "busy"), {"Retry-After": "1"})

    async def _give(self, request: Request) -> Answer:
        resource, asked_by = self._resource, ""
        if resource is None or resource.role is not None:
            # Those who may see nothing are not told what there is, either.
            asked_by = await _in_thread(lambda: self._asked_by(request))
        if resource is None:
            raise _Refused(problem(HTTPStatus.NOT_FOUND, "there is nothing here"))
        if resource.is_posted is not (request.method == "POST"):
            allowed = "POST" if resource.is_posted else "GET, HEAD"
            raise _Refused(problem(HTTPStatus.METHOD_NOT_ALLOWED, f"this is asked by {allowed}"), {"Allow": allowed})
        query = await _posted(request) if resource.is_posted else parameters(request.url.query)
        if resource.is_posted:
            query = {**query, ASKED_BY: asked_by}
        return await _in_thread(lambda: resource.answer(query))

    def _asked_by(self, request: Request) -> str:
        """Who asks: the name of somebody who may.

        Raises
        ------
        _Refused
            nobody is recognised, or who is may not
        """
        resource, authenticator = self._resource, self._desk.protection.authenticator
        peer, header = self._desk.asker(request), request.headers.get
        role = Role.VIEWER if resource is None or resource.role is None else resource.role
        if resource is not None and resource.is_for_machine and authenticator.is_open_to(header, peer=peer):
            return ""
        person = authenticator.recognise(header, peer=peer)
        if isinstance(person, Denial):
            if person is not Denial.MISSING:
                self._desk.refuse(person.value, peer)
            status, headers = _STATUS_OF[person], {}
            if status is HTTPStatus.UNAUTHORIZED:
                # Without users there is nothing but a token: no browser need ask for a name.
                headers["WWW-Authenticate"] = f"{_BASIC}, {_BEARER}" if authenticator.has_users else _BEARER
            if status is HTTPStatus.TOO_MANY_REQUESTS:
                headers["Retry-After"] = f"{WINDOW_SECONDS:.0f}"
            raise _Refused(problem(status, person.value), headers)
        if not person.role.includes(role):
            self._desk.refuse("role", peer)
            raise _Refused(problem(HTTPStatus.FORBIDDEN, f"this is for the role {role.value}"))
        return person.name


async def _posted(request: Request) -> Query:
    """The texts of the JSON object in the body.

    Raises
    ------
    BadQuery
        there is no such object, or there are parameters in the URL
    ClientDisconnect
        the client is gone
    """
    if request.url.query:
        raise BadQuery("the parameters are given in the body, not in the URL")
    # Pages of other sites cannot send this type without being asked whether they may.
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
        raise BadQuery("the body is JSON: Content-Type: application/json")
    length = request.headers.get("Content-Length", "")
    if not length.isascii() or not length.isdigit() or not 0 < int(length[:9]) <= _LONGEST_BODY:
        raise BadQuery(f"the body has 1 to {_LONGEST_BODY} bytes, and Content-Length says how many")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LONGEST_BODY:
            raise BadQuery(f"the body has 1 to {_LONGEST_BODY} bytes, and Content-Length says how many")
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise BadQuery("the body is no JSON") from None
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise BadQuery("the body is a JSON object of texts")
    return content


async def _in_thread(call: Callable[[], T]) -> T:
    """What ``call`` returns, called in a thread of its own.

    Starlette's threads are few and shared: answers that hang would take them all, and keep the process from its end.
    """
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[T] = loop.create_future()

    def settle(settled: Callable[[], None]) -> None:
        # The loop may have ended: nobody waits any more.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(lambda: None if answered.done() else settled())

    def run() -> None:
        try:
            result = call()
        except Exception as error:  # noqa: BLE001 - raised where it is awaited
            failure = error
            settle(lambda: answered.set_exception(failure))
        else:
            settle(lambda: answered.set_result(result))

    threading.Thread(target=contextvars.copy_context().run, args=(run,), name="http-answer", daemon=True).start()
    return await answered
