"""The listener for monitoring systems."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from http.client import HTTPConnection, HTTPResponse

import pytest

from gateway.association.listener import open_port
from gateway.console.http_server import HttpServer
from gateway.console.protection import Protection
from gateway.errors import ConfigurationError
from gateway.service.health import Health


class State:
    """What the server is given."""

    def __init__(self) -> None:
        self.ready = Health()
        self.asked_for_readiness: Callable[[], Health] = lambda: self.ready
        self.refused: list[str] = []
        self.metrics: Callable[[], bytes] = lambda: b"# figures\n"


@pytest.fixture
def state() -> State:
    return State()


@pytest.fixture
def server(state: State) -> Iterator[HttpServer]:
    server = HttpServer(
        open_port("127.0.0.1", 0, place="http"),
        metrics=lambda: bytes(state.metrics()),
        alive=Health,
        ready=lambda: state.asked_for_readiness(),  # noqa: PLW0108 - tests replace it later
        protection=Protection(refused=state.refused.append),
    )
    server.start()
    yield server
    server.stop()


def ask(server: HttpServer, method: str, path: str) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def test_metrics(server: HttpServer) -> None:
    answer, body = ask(server, "GET", "/metrics")
    assert (answer.status, body) == (200, b"# figures\n")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_ready_and_not(server: HttpServer, state: State) -> None:
    answer, body = ask(server, "GET", "/readyz")
    assert (answer.status, json.loads(body)) == (200, {"status": "ok", "problems": [], "notes": []})
    state.ready = Health(("the receiver is starting",))
    answer, body = ask(server, "GET", "/readyz?verbose")
    assert (answer.status, json.loads(body)["problems"]) == (503, ["the receiver is starting"])
    assert ask(server, "GET", "/healthz")[0].status == 200


def test_head_has_no_body(server: HttpServer) -> None:
    answer, body = ask(server, "HEAD", "/healthz")
    assert (answer.status, body) == (200, b"")
    assert int(answer.headers["Content-Length"]) > 0


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 401),  # nothing is told of what there is
        ("GET", "/metrics/../healthz", 401),  # paths are compared, not resolved
        ("POST", "/healthz", 405),  # nothing can be changed
        ("DELETE", "/metrics", 501),
    ],
)
def test_everything_else_is_refused(server: HttpServer, method: str, path: str, status: int) -> None:
    assert ask(server, method, path)[0].status == status


def test_a_failing_answer_ends_one_connection_only(server: HttpServer, state: State) -> None:
    def fail() -> bytes:
        raise RuntimeError

    state.metrics = fail
    answer, body = ask(server, "GET", "/metrics")
    assert (answer.status, json.loads(body)) == (500, {"problem": "failed"})
    assert ask(server, "GET", "/healthz")[0].status == 200


def test_garbage_is_answered_with_an_error(server: HttpServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(b"\x00\xff" * 100 + b"\r\n\r\n")
        assert b"400" in client.recv(4096)
    assert ask(server, "GET", "/healthz")[0].status == 200


def silent(_client: socket.socket) -> None:
    """Says nothing."""


def half(client: socket.socket) -> None:
    """Sends half of a head."""
    client.sendall(b"GET /metrics HTTP/1.1\r\nHost: ")


@pytest.mark.parametrize("behave", [silent, half])
@pytest.mark.parametrize("sources", [["127.0.0.1"], [f"127.0.0.{number}" for number in range(2, 60)]])
def test_p7_health_is_answered_while_others_hold_the_line(
    server: HttpServer, state: State, behave: Callable[[socket.socket], None], sources: list[str]
) -> None:
    with ExitStack() as stack:
        for number in range(80):
            address = (sources[number % len(sources)], 0)
            with suppress(ConnectionError):
                client = socket.create_connection(("127.0.0.1", server.port), timeout=10, source_address=address)
                behave(stack.enter_context(client))
            if number % 8 == 0:
                for path in ("/healthz", "/readyz", "/metrics"):
                    assert ask(server, "GET", path)[0].status == 200
        assert "displaced" in state.refused
        assert set(state.refused) <= {"displaced", "timeout"}


def test_p7_answers_that_take_long_leave_the_health_alone(server: HttpServer, state: State) -> None:
    over, waiting = threading.Event(), threading.Semaphore(0)

    def hang() -> bytes:
        waiting.release()
        over.wait(60)
        return b""

    state.metrics = hang
    threads = [threading.Thread(target=ask, args=(server, "GET", "/metrics")) for _ in range(8)]
    try:
        for thread in threads:
            thread.start()
        for _ in threads:
            assert waiting.acquire(timeout=60)
        answer, _ = ask(server, "GET", "/metrics")  # the ninth of one address
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert ask(server, "GET", "/healthz")[0].status == 200
        assert ask(server, "GET", "/readyz")[0].status == 200
        assert state.refused == ["busy"]
    finally:
        over.set()
        for thread in threads:
            thread.join(60)


def test_p7_a_readiness_that_hangs_leaves_the_health_alone(server: HttpServer, state: State) -> None:
    over, waiting = threading.Event(), threading.Semaphore(0)

    def hang() -> Health:
        waiting.release()
        over.wait(60)
        return Health()

    state.asked_for_readiness = hang
    threads = [threading.Thread(target=ask, args=(server, "GET", "/readyz")) for _ in range(4)]
    try:
        for thread in threads:
            thread.start()
        for _ in threads:
            assert waiting.acquire(timeout=60)
        assert ask(server, "GET", "/readyz")[0].status == 503
        assert ask(server, "GET", "/healthz")[0].status == 200
        assert ask(server, "GET", "/metrics")[0].status == 200
    finally:
        over.set()
        for thread in threads:
            thread.join(60)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 40_000,
        b"GET /healthz HTTP/1.1\r\nX: " + b"a" * 40_000,
        b"GET /healthz HTTP/1.1\r\n" + b"X: y\r\n" * 8_000,
        b"GET /healthz HTTP/1.1\r\n" + b"X: y\r\n" * 101 + b"\r\n",  # more headers than anybody has
    ],
)
def test_p7_a_head_that_is_too_long(server: HttpServer, state: State, head: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(head)
        answer = b""
        with suppress(ConnectionResetError):
            answer = client.recv(64)
        assert b" 200 " not in answer
    assert ask(server, "GET", "/healthz")[0].status == 200
    assert state.refused == ["head-too-long"]


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /healthz HTTP/1.0\r\n\r\n",  # no Host: HTTP/1.0 has none
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",  # one request a connection
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",  # two at once
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n" + b"X: y\r\n" * 99 + b"Host: x\r\n\r\n",  # as many headers as there may be
    ],
)
def test_one_request_is_answered_and_the_connection_ends(server: HttpServer, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)  # who sends no more is answered all the same
        answer = b"".join(iter(lambda: client.recv(4096), b""))
    assert answer.count(b"HTTP/1.1 200") == answer.count(b"HTTP/1.1") == 1


def test_an_address_in_use_is_a_configuration_error(server: HttpServer) -> None:
    with pytest.raises(
        ConfigurationError, match=rf"cannot listen on 127\.0\.0\.1 port {server.port}: Address already in use"
    ):
        open_port("127.0.0.1", server.port, place="http")


def test_ipv6() -> None:
    server = HttpServer(open_port("::1", 0, place="http"), metrics=lambda: b"", alive=Health, ready=Health)
    server.start()
    try:
        connection = HTTPConnection("::1", server.port, timeout=10)
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
        connection.close()
    finally:
        server.stop()


def test_p7_a_burst_that_waits_before_the_start_keeps_nobody_out() -> None:
    refused: list[str] = []
    listening = open_port("127.0.0.1", 0, place="http")
    server = HttpServer(
        listening, metrics=lambda: b"", alive=Health, ready=Health, protection=Protection(refused=refused.append)
    )
    with ExitStack() as stack:
        # More than there are places, and than may be leaving at a time.
        for _ in range(200):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=60))
        asking = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=60))
        asking.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        server.start()
        try:
            assert b" 200 " in asking.recv(4096)
        finally:
            server.stop()
    assert set(refused) == {"displaced"}
