"""The listener for monitoring systems."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPResponse

import pytest

from gateway.console import Health, StatusServer
from gateway.errors import ConfigurationError


class State:
    """What the server is given."""

    def __init__(self) -> None:
        self.ready = Health()
        self.metrics: Callable[[], bytes] = lambda: b"# figures\n"


@pytest.fixture
def state() -> State:
    return State()


@pytest.fixture
def server(state: State) -> Iterator[StatusServer]:
    server = StatusServer(
        "127.0.0.1", 0, metrics=lambda: bytes(state.metrics()), alive=Health, ready=lambda: state.ready
    )
    server.start()
    yield server
    server.stop()


def ask(server: StatusServer, method: str, path: str) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def test_metrics(server: StatusServer) -> None:
    answer, body = ask(server, "GET", "/metrics")
    assert (answer.status, body) == (200, b"# figures\n")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_ready_and_not(server: StatusServer, state: State) -> None:
    answer, body = ask(server, "GET", "/readyz")
    assert (answer.status, json.loads(body)) == (200, {"status": "ok", "problems": [], "notes": []})
    state.ready = Health(("the receiver is starting",))
    answer, body = ask(server, "GET", "/readyz?verbose")
    assert (answer.status, json.loads(body)["problems"]) == (503, ["the receiver is starting"])
    assert ask(server, "GET", "/healthz")[0].status == 200


def test_head_has_no_body(server: StatusServer) -> None:
    answer, body = ask(server, "HEAD", "/healthz")
    assert (answer.status, body) == (200, b"")
    assert int(answer.headers["Content-Length"]) > 0


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),  # nothing else is there
        ("GET", "/metrics/../healthz", 404),  # paths are compared, not resolved
        ("POST", "/healthz", 501),  # nothing can be changed
        ("DELETE", "/metrics", 501),
    ],
)
def test_everything_else_is_refused(server: StatusServer, method: str, path: str, status: int) -> None:
    assert ask(server, method, path)[0].status == status


def test_a_failing_answer_ends_one_connection_only(server: StatusServer, state: State) -> None:
    def fail() -> bytes:
        raise RuntimeError

    state.metrics = fail
    with pytest.raises(ConnectionError):
        ask(server, "GET", "/metrics")
    assert ask(server, "GET", "/healthz")[0].status == 200


def test_garbage_is_answered_with_an_error(server: StatusServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(b"\x00\xff" * 100 + b"\r\n\r\n")
        assert b"400" in client.recv(4096)
    assert ask(server, "GET", "/healthz")[0].status == 200


def test_more_clients_than_allowed_are_turned_away_and_return(server: StatusServer) -> None:
    idle = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(32)]
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
            assert client.recv(1) == b""  # the 33rd
    finally:
        for one in idle:
            one.shutdown(socket.SHUT_RDWR)
            one.recv(1)
            one.close()
    while True:  # until the server has seen that they left
        try:
            assert ask(server, "GET", "/healthz")[0].status == 200
            break
        except ConnectionError:
            continue


def test_an_address_in_use_is_a_configuration_error(server: StatusServer) -> None:
    with pytest.raises(
        ConfigurationError, match=rf"cannot listen on 127\.0\.0\.1:{server.port}: Address already in use"
    ):
        StatusServer("127.0.0.1", server.port, metrics=lambda: b"", alive=Health, ready=Health)


def test_ipv6() -> None:
    server = StatusServer("::1", 0, metrics=lambda: b"", alive=Health, ready=Health)
    server.start()
    try:
        connection = HTTPConnection("::1", server.port, timeout=10)
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
        connection.close()
    finally:
        server.stop()
