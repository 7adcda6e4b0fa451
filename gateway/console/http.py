"""The HTTP listener for monitoring: ``/metrics``, ``/healthz``, ``/readyz``."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import BoundedSemaphore, Thread
from typing import Any, ClassVar, Final, TypeAlias

import structlog

from gateway.errors import ConfigurationError
from gateway.metrics import CONTENT_TYPE

_log = structlog.get_logger()

#: Path -> what gives status, media type and body.
_Answers: TypeAlias = dict[str, Callable[[], tuple[HTTPStatus, str, bytes]]]

#: Longest silence of a client in seconds, and clients at the same time.
_TIMEOUT: Final = 10.0
_CLIENTS: Final = 32


@dataclass(frozen=True, slots=True)
class Health:
    """Whether something works, and what is wrong if it does not: short texts without identity."""

    problems: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether there is no problem."""
        return not self.problems


class StatusServer:
    """Answers monitoring systems.

    Args:
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        metrics: gives the figures in Prometheus' text format.
        alive: whether the process works; restart it when not (``/healthz``).
        ready: whether instances are accepted and processed (``/readyz``).

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
    ) -> None:
        class Handler(_Handler):
            answers: ClassVar[_Answers] = {
                "/metrics": lambda: (HTTPStatus.OK, CONTENT_TYPE, metrics()),
                "/healthz": lambda: _report(alive()),
                "/readyz": lambda: _report(ready()),
            }

        try:
            self._server = _Server((host, port), Handler)
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


def _report(health: Health) -> tuple[HTTPStatus, str, bytes]:
    status = HTTPStatus.OK if health.is_good else HTTPStatus.SERVICE_UNAVAILABLE
    body = {"status": "ok" if health.is_good else "failing", "problems": list(health.problems)}
    return status, "application/json", json.dumps(body).encode() + b"\n"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self._free = BoundedSemaphore(_CLIENTS)
        super().__init__(address, handler)

    def server_bind(self) -> None:
        # HTTPServer would ask the name service for the host's name here and wait for it.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        _log.warning("http request failed", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    answers: ClassVar[_Answers]
    timeout = _TIMEOUT
    server_version = "gateway"
    sys_version = ""

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        answer = self.answers.get(self.path.split("?", 1)[0])
        if answer is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        status, kind, body = answer()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Requests are not logged: monitoring asks every few seconds."""
