"""The HTTP listener: ``/healthz`` and ``/readyz`` for everybody, figures and lists for those who may see them."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import BoundedSemaphore, Lock, Thread
from typing import Any, ClassVar, Final, TypeAlias
from urllib.parse import parse_qsl

import structlog

from gateway.access import WINDOW_SECONDS, Authenticator, Denial, Role
from gateway.errors import ConfigurationError, GatewayError
from gateway.metrics import CONTENT_TYPE
from gateway.tls import handshake_failure

_log = structlog.get_logger()

#: Longest silence of a client in seconds, and clients at the same time.
_TIMEOUT: Final = 10.0
_CLIENTS: Final = 32
#: Longest request as a whole: a client that sends a byte now and then must not keep its place.
_PATIENCE: Final = 60.0
_LONGEST_TARGET: Final = 2048
_CHALLENGES: Final = ('Basic realm="gateway", charset="UTF-8"', 'Bearer realm="gateway"')
_STATUS_OF: Final = {
    Denial.MISSING: HTTPStatus.UNAUTHORIZED,
    Denial.WRONG: HTTPStatus.UNAUTHORIZED,
    Denial.TOO_MANY: HTTPStatus.TOO_MANY_REQUESTS,
    Denial.NOT_LOCAL: HTTPStatus.FORBIDDEN,
}

#: The name of the parameter that tells who asks; no parameter of a request has it.
ASKED_BY: Final = "@"
_LONGEST_BODY: Final = 4096

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
    """

    answer: Callable[[Query], Answer]
    role: Role | None
    is_posted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Doorkeeper:
    """How the listener protects what it gives.

    Attributes:
        authenticator: recognises who asks; by default whoever is on this machine
        tls: context of the server; None for plain HTTP
    """

    authenticator: Authenticator = field(default_factory=Authenticator)
    tls: ssl.SSLContext | None = None


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
        keeper = doorkeeper or Doorkeeper()

        class Handler(_Handler):
            resources_by_path: ClassVar[Mapping[str, Resource]] = {
                "/metrics": Resource(lambda _query: Answer(metrics(), CONTENT_TYPE), Role.VIEWER),
                "/healthz": Resource(lambda _query: _report(alive()), None),
                "/readyz": Resource(lambda _query: _report(ready()), None),
                **(resources or {}),
            }
            authenticator: ClassVar[Authenticator] = keeper.authenticator

        try:
            self._server = _Server((host, port), Handler, keeper.tls)
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


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(
        self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext | None
    ) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self._context = context
        self._free = BoundedSemaphore(_CLIENTS)
        self._lock = Lock()
        #: Connection -> when it began.
        self._clients: dict[socket.socket, float] = {}
        super().__init__(address, handler)

    def server_bind(self) -> None:
        # HTTPServer would ask the name service for the host's name here and wait for it.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self._context is not None:
            # The handshake is done by the thread that answers: a slow one delays nobody.
            connection = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def service_actions(self) -> None:
        """Cut off clients that are not done in time; called several times a second."""
        latest = time.monotonic() - _PATIENCE
        with self._lock:
            late = [client for client, began in self._clients.items() if began < latest]
        for client in late:
            _cut(client)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        with self._lock:
            self._clients[request] = time.monotonic()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._clients.pop(request, None)
            self._free.release()

    def finish_request(self, request: Any, client_address: Any) -> None:
        if isinstance(request, ssl.SSLSocket):
            request.settimeout(_TIMEOUT)
            try:
                request.do_handshake()
            except (OSError, ValueError) as error:
                reason = handshake_failure(error) if isinstance(error, OSError) else "tls-handshake"
                _log.info("http connection refused", reason=reason, peer=str(client_address[0]))
                return
        super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        _log.warning("http request failed", exc_info=True)


def _cut(client: socket.socket) -> None:
    try:
        socket.socket.shutdown(client, socket.SHUT_RDWR)
    except OSError:
        # It has just ended by itself.
        return


class _Handler(BaseHTTPRequestHandler):
    resources_by_path: ClassVar[Mapping[str, Resource]]
    authenticator: ClassVar[Authenticator]
    timeout = _TIMEOUT
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

    def _answer(self) -> None:
        path, _, query = self.path.partition("?")
        resource = self.resources_by_path.get(path)
        if resource is None or resource.role is not None:
            # Those who may see nothing are not told what there is, either.
            denied = self._denied(Role.VIEWER if resource is None or resource.role is None else resource.role)
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

    def _denied(self, role: Role) -> tuple[Answer, dict[str, str]] | None:
        """What is answered to somebody who may not see what ``role`` may, with headers; None if the person may."""
        peer = str(self.client_address[0])
        found = self.authenticator.recognise(self.headers.get, peer=peer)
        if isinstance(found, Denial):
            if found is not Denial.MISSING:
                _log.warning("http access denied", reason=found.value, peer=peer)
            status = _STATUS_OF[found]
            headers = {"WWW-Authenticate": ", ".join(_CHALLENGES)} if status is HTTPStatus.UNAUTHORIZED else {}
            if status is HTTPStatus.TOO_MANY_REQUESTS:
                headers["Retry-After"] = f"{WINDOW_SECONDS:.0f}"
            return _problem(status, found.value), headers
        if not found.role.includes(role):
            _log.warning("http access denied", reason="role", peer=peer)
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
