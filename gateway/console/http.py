"""The HTTP listener: ``/healthz`` and ``/readyz`` for everybody, figures and lists for those who may see them.

Whoever has not sent a whole request gives way to newer clients (``association.admission``), and answers that take long
have places of their own: the health is answered whatever others do.
"""

from __future__ import annotations

import ipaddress
import json
import select
import socket
import ssl
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import LineTooLong
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import BoundedSemaphore, Lock, Thread
from typing import Any, ClassVar, Final, TypeAlias
from urllib.parse import parse_qsl

import structlog

from gateway.association.addresses import network_of
from gateway.association.admission import Places, displaced, has_unread
from gateway.association.listener import normal_address
from gateway.association.tls import handshake_failure
from gateway.console.authentication import WINDOW_SECONDS, Authenticator, Denial
from gateway.errors import ConfigurationError, GatewayError
from gateway.log import Throttle
from gateway.metrics import CONTENT_TYPE
from gateway.settings.accounts import Role

_log = structlog.get_logger()

#: Longest answer as a whole, and body of a request: a client that takes a byte now and then must not keep its place.
_PATIENCE: Final = 60.0
_LONGEST_TARGET: Final = 2048
#: Of the head of a request.
_LONGEST_HEAD: Final = 32768
#: Places for asking after the readiness, which waits for the ledger; the health itself waits for nothing.
_ASKING_READINESS: Final = 4
#: Clients that have been cut and are not gone yet: more are not waited for.
_LEAVING: Final = 64
_BACKLOG: Final = 128
#: Entries about refusals per minute and reason.
_LOGGED: Final = 10
_BASIC: Final = 'Basic realm="gateway", charset="UTF-8"'
_BEARER: Final = 'Bearer realm="gateway"'
_STATUS_OF: Final = {
    Denial.MISSING: HTTPStatus.UNAUTHORIZED,
    Denial.WRONG: HTTPStatus.UNAUTHORIZED,
    Denial.TOO_MANY: HTTPStatus.TOO_MANY_REQUESTS,
}

#: The name of the parameter that tells who asks; no parameter of a request has it.
ASKED_BY: Final = "@"
_LONGEST_BODY: Final = 4096

Network: TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"
#: The parameters of a request: name -> value, each once.
Query: TypeAlias = Mapping[str, str]


class BadQuery(ValueError):
    """The parameters of a request are not understood."""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether something works, what is wrong if it does not, and what else is to be known: texts without identity."""

    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether there is no problem."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent: status, media type and body."""

    body: bytes
    media_type: str = "application/json"
    status: HTTPStatus = HTTPStatus.OK

    @classmethod
    def of(cls, content: object, *, status: HTTPStatus = HTTPStatus.OK) -> Answer:
        """``content`` as JSON."""
        return cls(json.dumps(content).encode() + b"\n", status=status)


@dataclass(frozen=True, slots=True)
class Resource:
    """What a path gives.

    Attributes:
        answer: makes it from the parameters of a request; raises ``BadQuery`` for those that it does not understand
        role: who may see it; None for everybody
        is_posted: asked by POST: the parameters are the texts of a JSON object in the body, since what stands in a URL
            comes into the logs of proxies; who asks is among them as ``ASKED_BY``
        is_for_machine: without users, whoever is on this machine may see it
    """

    answer: Callable[[Query], Answer]
    role: Role | None
    is_posted: bool = False
    is_for_machine: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Doorkeeper:
    """How the listener protects what it gives.

    Attributes:
        authenticator: recognises who asks; by default nobody
        tls: context of the server; None for plain HTTP
        trusted_proxies: addresses of proxies whose ``X-Forwarded-For`` tells who asks; nobody's by default
        clients: at the same time without a whole request, and answers at the same time
        clients_per_address: of each, from one address
        request_seconds: for the TLS handshake and the whole head of a request
        refused: told the reason of each refusal
    """

    authenticator: Authenticator = field(default_factory=Authenticator)
    tls: ssl.SSLContext | None = None
    trusted_proxies: tuple[Network, ...] = ()
    clients: int = 32
    clients_per_address: int = 8
    request_seconds: float = 10.0
    refused: Callable[[str], None] = lambda _reason: None


class StatusServer:
    """Answers monitoring systems and people.

    Args:
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        metrics: gives the figures in Prometheus' text format.
        alive: whether the process works; restart it when not (``/healthz``).
        ready: whether instances are accepted and processed (``/readyz``).
        resources: path -> what else there is to see.
        doorkeeper: who may see what is not for everybody.

    Raises:
        ConfigurationError: the address cannot be listened on.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        metrics: Callable[[], bytes],
        alive: Callable[[], Health],
        ready: Callable[[], Health],
        resources: Mapping[str, Resource] | None = None,
        doorkeeper: Doorkeeper | None = None,
    ) -> None:
        guard = doorkeeper or Doorkeeper()

        class Handler(_Handler):
            resources_by_path: ClassVar[Mapping[str, Resource]] = {
                "/metrics": Resource(lambda _query: Answer(metrics(), CONTENT_TYPE), Role.VIEWER, is_for_machine=True),
                "/healthz": Resource(lambda _query: _report(alive()), None),
                "/readyz": Resource(lambda _query: _report(ready()), None),
                **(resources or {}),
            }
            keeper: ClassVar[Doorkeeper] = guard
            timeout = guard.request_seconds

        try:
            self._server = _Server((host, port), Handler, guard)
        except OSError as error:
            raise ConfigurationError(
                place="http", problem=f"cannot listen on {host}:{port}: {error.strerror or 'no such address'}"
            ) from None
        self._thread = Thread(target=self._server.serve_forever, args=(0.1,), name="http", daemon=True)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


def _report(health: Health) -> Answer:
    body = {
        "status": "ok" if health.is_good else "failing",
        "problems": list(health.problems),
        "notes": list(health.notes),
    }
    return Answer.of(body, status=HTTPStatus.OK if health.is_good else HTTPStatus.SERVICE_UNAVAILABLE)


@dataclass(slots=True, eq=False)
class _Client:
    """A connection.

    Attributes:
        connection: its socket
        address: IP address of the peer
        network: what stands for it where addresses are counted
        opened: when it came, monotonic seconds
        is_known: nobody is, before it has proven anything
        asked: whether its whole request has come
        spoken: whether it has sent something
        displaced: whether it has been cut to make room
    """

    connection: socket.socket
    address: str
    network: str
    opened: float
    is_known: bool = False
    asked: bool = False
    spoken: bool = False
    displaced: bool = False

    def has_spoken(self) -> bool:
        """Whether it has sent something, read or not."""
        self.spoken = self.spoken or has_unread(self.connection)
        return self.spoken


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = _BACKLOG

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], keeper: Doorkeeper) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self._keeper = keeper
        self._places = Places(keeper.clients, keeper.clients_per_address)
        self._readiness = BoundedSemaphore(_ASKING_READINESS)
        self._lock = Lock()
        self._clients: dict[socket.socket, _Client] = {}
        #: Network of an address -> answers to it under way.
        self._answering: Counter[str] = Counter()
        self._throttle = Throttle(most=_LOGGED)
        super().__init__(address, handler)

    def server_bind(self) -> None:
        # HTTPServer would ask the name service for the host's name here and wait for it.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self._keeper.tls is not None:
            # The handshake is done by the thread that answers: a slow one delays nobody.
            connection = self._keeper.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def service_actions(self) -> None:
        """Cut off clients that are not done in time; called several times a second."""
        now = time.monotonic()
        with self._lock:
            late = [
                client
                for client in self._clients.values()
                if now - client.opened > (_PATIENCE if client.asked else self._keeper.request_seconds)
            ]
        for client in late:
            if not client.asked and not client.displaced:
                client.displaced = True
                self.refuse("timeout", client.address)
            _cut(client.connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        address = normal_address(str(client_address[0]))
        client = _Client(request, address, network_of(address), time.monotonic())
        with self._lock:
            pending = [one for one in self._clients.values() if not one.asked and not one.displaced]
            afforded, leaving = displaced(client, pending, self._places)
            afforded &= len(self._clients) - len(pending) < self._keeper.clients + _LEAVING
            if afforded:
                self._clients[request] = client
                if leaving is not None:
                    leaving.displaced = True
        if not afforded:
            self.refuse("connections", client.address)
            self.shutdown_request(request)
            return
        if leaving is not None:
            self.refuse("displaced", leaving.address)
            _cut(leaving.connection)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._clients.pop(request, None)

    def finish_request(self, request: Any, client_address: Any) -> None:
        if isinstance(request, ssl.SSLSocket):
            request.settimeout(self._keeper.request_seconds)
            try:
                self._await_word(request)
                request.do_handshake()
            except (OSError, ValueError) as error:
                reason = handshake_failure(error) if isinstance(error, OSError) else "tls-handshake"
                if not self._clients[request].displaced:
                    self.refuse(reason, normal_address(str(client_address[0])))
                return
        super().finish_request(request, client_address)

    def _await_word(self, connection: ssl.SSLSocket) -> None:
        """Wait for the first byte without reading it: the handshake does not tell that it has begun."""
        poll = select.poll()
        poll.register(connection, select.POLLIN)
        if not poll.poll(self._keeper.request_seconds * 1000):
            raise TimeoutError
        self._clients[connection].spoken = True

    def asked(self, connection: socket.socket) -> None:
        """A whole request has come."""
        with self._lock:
            if connection in self._clients:
                self._clients[connection].asked = True

    @contextmanager
    def place(self, address: str) -> Iterator[bool]:
        """A place for an answer that may take long; whether there is one."""
        network = network_of(address)
        with self._lock:
            free = (
                self._answering.total() < self._keeper.clients
                and self._answering[network] < self._keeper.clients_per_address
            )
            self._answering[network] += free
        try:
            yield free
        finally:
            with self._lock:
                self._answering[network] -= free
                if not self._answering[network]:
                    del self._answering[network]

    @contextmanager
    def place_for_readiness(self) -> Iterator[bool]:
        """A place for asking after the readiness; whether there is one."""
        free = self._readiness.acquire(blocking=False)
        try:
            yield free
        finally:
            if free:
                self._readiness.release()

    def refuse(self, reason: str, address: str) -> None:
        """Count that somebody was refused, and log it, if it is no flood."""
        self._keeper.refused(reason)
        withheld = self._throttle.withheld(reason)
        if withheld is not None:
            _log.warning("http access denied", reason=reason, peer=address, withheld=withheld or None)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        if not isinstance(sys.exception(), ConnectionError) and self._throttle.withheld("failed") is not None:
            _log.warning("http request failed", exc_info=True)


def _cut(client: socket.socket) -> None:
    try:
        socket.socket.shutdown(client, socket.SHUT_RDWR)
    except OSError:
        # It has just ended by itself.
        return


class _Head:
    """The stream of a request, of whose head only so much is read.

    Args:
        stream: of the connection
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._left = _LONGEST_HEAD

    def readline(self, size: int) -> bytes:
        """The next line of the head.

        Raises:
            LineTooLong: the head is
        """
        line: bytes = self._stream.readline(min(size, self._left))
        self._left -= len(line)
        if not self._left:
            raise LineTooLong("head")
        return line

    def read(self, size: int) -> bytes:
        """Bytes of the body."""
        content: bytes = self._stream.read(size)
        return content

    def close(self) -> None:
        """The connection ends."""
        self._stream.close()


class _Handler(BaseHTTPRequestHandler):
    resources_by_path: ClassVar[Mapping[str, Resource]]
    keeper: ClassVar[Doorkeeper]
    server: _Server
    rfile: Any
    #: Who asks, once that is known.
    asked_by = ""
    server_version = "gateway"
    sys_version = ""

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        # The connection ends with the answer: a body that was not read is not taken for the next request.
        self.close_connection = True
        self._answer()

    def setup(self) -> None:
        super().setup()
        self.rfile = _Head(self.rfile)

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except LineTooLong:
            self.close_connection = True
            self.server.refuse("head-too-long", self.client_address[0])

    def _answer(self) -> None:
        self.server.asked(self.connection)
        path, _, query = self.path.partition("?")
        resource = self.resources_by_path.get(path)
        if path == "/healthz":
            self._give(query, resource)
            return
        address = self._client()
        with self.server.place_for_readiness() if path == "/readyz" else self.server.place(address) as free:
            if free:
                self._give(query, resource)
                return
        self.server.refuse("busy", address)
        self._send(_problem(HTTPStatus.SERVICE_UNAVAILABLE, "busy"), {"Retry-After": "1"})

    def _give(self, query: str, resource: Resource | None) -> None:
        if resource is None or resource.role is not None:
            # Those who may see nothing are not told what there is, either.
            denied = self._denied(resource)
            if denied is not None:
                self._send(*denied)
                return
        if resource is None:
            self._send(_problem(HTTPStatus.NOT_FOUND, "there is nothing here"))
            return
        if resource.is_posted is not (self.command == "POST"):
            allowed = "POST" if resource.is_posted else "GET, HEAD"
            self._send(_problem(HTTPStatus.METHOD_NOT_ALLOWED, f"this is asked by {allowed}"), {"Allow": allowed})
            return
        try:
            self._send(resource.answer(self._posted(query) if resource.is_posted else _parameters(query)))
        except BadQuery as error:
            self._send(_problem(HTTPStatus.BAD_REQUEST, str(error)))
        except GatewayError as error:
            self._send(_problem(HTTPStatus.SERVICE_UNAVAILABLE, error.code))

    def _client(self) -> str:
        """The address of who asks: the peer's, or behind a trusted proxy what that says."""
        return forwarded_for(
            normal_address(str(self.client_address[0])),
            self.headers.get_all("X-Forwarded-For", []),
            trusted=self.keeper.trusted_proxies,
        )

    def _posted(self, query: str) -> Query:
        """The texts of the JSON object in the body, and who asks.

        Raises:
            BadQuery: there is no such object, or there are parameters in the URL
        """
        length = self.headers.get("Content-Length", "")
        if query:
            raise BadQuery("the parameters are given in the body, not in the URL")
        # Pages of other sites cannot send this type without being asked whether they may.
        if self.headers.get_content_type() != "application/json":
            raise BadQuery("the body is JSON: Content-Type: application/json")
        if not length.isascii() or not length.isdigit() or not 0 < int(length[:9]) <= _LONGEST_BODY:
            raise BadQuery(f"the body has 1 to {_LONGEST_BODY} bytes, and Content-Length says how many")
        try:
            content = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            raise BadQuery("the body is no JSON") from None
        if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
            raise BadQuery("the body is a JSON object of texts")
        return {**content, ASKED_BY: self.asked_by}

    def _denied(self, resource: Resource | None) -> tuple[Answer, dict[str, str]] | None:
        """What is answered to somebody who may not see a resource, with headers; None if the person may."""
        authenticator, peer = self.keeper.authenticator, self._client()
        role = Role.VIEWER if resource is None or resource.role is None else resource.role
        if resource is not None and resource.is_for_machine and authenticator.is_open_to(self.headers.get, peer=peer):
            return None
        found = authenticator.recognise(self.headers.get, peer=peer)
        if isinstance(found, Denial):
            if found is not Denial.MISSING:
                self.server.refuse(found.value, peer)
            status = _STATUS_OF[found]
            headers = {}
            if status is HTTPStatus.UNAUTHORIZED:
                # Without users there is nothing but a token: no browser need ask for a name.
                headers["WWW-Authenticate"] = f"{_BASIC}, {_BEARER}" if authenticator.has_users else _BEARER
            if status is HTTPStatus.TOO_MANY_REQUESTS:
                headers["Retry-After"] = f"{WINDOW_SECONDS:.0f}"
            return _problem(status, found.value), headers
        if not found.role.includes(role):
            self.server.refuse("role", peer)
            return _problem(HTTPStatus.FORBIDDEN, f"this is for the role {role.value}"), {}
        self.asked_by = found.name
        return None

    def _send(self, answer: Answer, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.media_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Requests are not logged: monitoring asks every few seconds."""


def forwarded_for(peer: str, forwarded: Sequence[str], *, trusted: Sequence[Network]) -> str:
    """Who asks: the last address that no trusted proxy has, of those that trusted proxies tell.

    Args:
        peer: IP address of the connection
        forwarded: the values of ``X-Forwarded-For``
        trusted: addresses of proxies; what anybody else says is not looked at
    """
    hops = [hop.strip() for value in forwarded for hop in value.split(",")]
    client = peer
    while _is_in(client, trusted) and hops:
        hop = hops.pop()
        if not _is_address(hop):
            break
        client = normal_address(hop)
    return client


def _is_in(address: str, networks: Sequence[Network]) -> bool:
    return _is_address(address) and any(ipaddress.ip_address(address) in network for network in networks)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _problem(status: HTTPStatus, problem: str) -> Answer:
    return Answer.of({"problem": problem}, status=status)


def _parameters(query: str) -> Query:
    """The parameters of a request, each once.

    Raises:
        BadQuery: there are too many, or one comes twice
    """
    if len(query) > _LONGEST_TARGET:
        raise BadQuery("the parameters are too long")
    pairs = parse_qsl(query, keep_blank_values=True)
    found = dict(pairs)
    if len(found) < len(pairs):
        raise BadQuery("a parameter comes twice")
    return found


def number(query: Query, name: str, *, default: int, least: int = 1, most: int = 1000) -> int:
    """A parameter that is a number.

    Raises:
        BadQuery: it is none, or out of range
    """
    text = query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 16 or not least <= int(text) <= most:
        raise BadQuery(f"{name} is a number from {least} to {most}")
    return int(text)


def only(query: Query, *names: str) -> None:
    """Refuse parameters that nobody reads: a misspelt one would be passed over.

    Raises:
        BadQuery: there are others than ``names``
    """
    if set(query) - set(names):
        raise BadQuery(f"the parameters are {', '.join(names)}" if names else "there are no parameters")
