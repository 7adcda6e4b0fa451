"""Confirmation by QIDO-RS: only what the server finds is confirmed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gateway.deliver.base import Outcome, Parcel
from gateway.deliver.dicomweb.destination import StowDestination
from gateway.deliver.dicomweb.qido import QidoConfirmation
from gateway.deliver.dicomweb.settings import DicomWebSettings
from gateway.web.endpoint import Endpoint
from gateway.web.streaming import Connection
from tests.fixtures.ports import free_port
from tests.unit.deliver.peers import make_parcel, section

FIELDS = {"User-Agent": "tests"}


def row(uid: str) -> dict[str, object]:
    return {"00080018": {"vr": "UI", "Value": [uid]}}


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@contextmanager
def server(*answers: tuple[int, bytes]) -> Iterator[tuple[Endpoint, list[str]]]:
    """Answers in turn, the last one for ever; tells the targets that were asked for."""
    targets: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, body = answers[min(len(targets), len(answers) - 1)]
            targets.append(self.path)
            self.send_response(status)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if status != 204:
                self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.daemon_threads = True
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield Endpoint.parse(f"http://127.0.0.1:{running.server_address[1]}/dicom-web", place="x"), targets
        finally:
            running.shutdown()
            thread.join()


def ask(
    endpoint: Endpoint, parcels: Sequence[Parcel], *, asked: QidoConfirmation | None = None
) -> list[tuple[str, str]]:
    asked = asked or QidoConfirmation(endpoint, fields=FIELDS, seconds=60)
    connection = Connection(endpoint, destination="web", timeout=5, context=None, answer_limit=1 << 20)
    try:
        return [(outcome.state, outcome.code) for outcome in asked.ask(connection, parcels)]
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, json.dumps([row("2.25.2")]).encode(), ("confirmed", "found")),
        # padded, and among others
        (200, json.dumps([row("2.25.9"), row("2.25.2 ")]).encode(), ("confirmed", "found")),
        # a server that ignores the query and lists something else
        (200, json.dumps([row("2.25.3")]).encode(), ("sent", "not-found-yet")),
        (200, b"[]", ("sent", "not-found-yet")),
        (204, b"", ("sent", "not-found-yet")),
        (404, b"", ("sent", "not-found-yet")),
        # a lie without a word
        (200, b"", ("sent", "not-found-yet")),
        (200, b"<html>welcome</html>", ("sent", "not-found-yet")),
        (200, json.dumps({"00080018": {"Value": ["2.25.2"]}}).encode(), ("sent", "not-found-yet")),
        (200, json.dumps([{"00080018": {"Value": []}}, 7, None]).encode(), ("sent", "not-found-yet")),
        # nested too deeply to be read
        (200, b"[" * 100_000, ("sent", "not-found-yet")),
        (401, b"", ("sent", "credentials")),
        (503, b"", ("sent", "busy")),
        (500, b"", ("sent", "busy")),
        (400, b"", ("sent", "no-qido")),
        (302, b"", ("sent", "no-qido")),
    ],
)
def test_what_an_answer_means(tmp_path: Path, status: int, body: bytes, expected: tuple[str, str]) -> None:
    with server((status, body)) as (endpoint, targets):
        assert ask(endpoint, [make_parcel(tmp_path, 1)]) == [expected]
        assert targets == [
            "/dicom-web/studies/2.25.1000/series/2.25.1000.1/instances?SOPInstanceUID=2.25.2"
        ]  # fmt: skip


def test_each_instance_is_asked_for(tmp_path: Path) -> None:
    answers = [(200, json.dumps([row("2.25.2")]).encode()), (204, b""), (200, json.dumps([row("2.25.4")]).encode())]
    with server(*answers) as (endpoint, targets):
        parcels = [make_parcel(tmp_path, number) for number in (1, 2, 3)]
        assert ask(endpoint, parcels) == [("confirmed", "found"), ("sent", "not-found-yet"), ("confirmed", "found")]
        assert len(targets) == 3


def test_a_server_that_is_busy_is_left_alone(tmp_path: Path) -> None:
    with server((503, b"")) as (endpoint, targets):
        assert ask(endpoint, [make_parcel(tmp_path, number) for number in range(3)]) == [("sent", "busy")] * 3
        assert len(targets) == 1


def test_nobody_answers(tmp_path: Path) -> None:
    endpoint = Endpoint.parse(f"http://127.0.0.1:{free_port()}/dicom-web", place="x")
    assert ask(endpoint, [make_parcel(tmp_path, 1)]) == [("sent", "unreachable")]


def test_a_uid_that_is_none_is_not_put_into_a_url(tmp_path: Path) -> None:
    with server((200, b"[]")) as (endpoint, targets):
        assert ask(endpoint, [make_parcel(tmp_path, 1, sop_uid="../../admin?x=")]) == [("dead", "invalid-uid")]
        assert targets == []


def test_what_is_not_found_in_time_is_stored_again(tmp_path: Path) -> None:
    clock = Clock()
    parcel = make_parcel(tmp_path, 1)
    with server((204, b"")) as (endpoint, _):
        asked = QidoConfirmation(endpoint, fields=FIELDS, seconds=60, clock=clock)
        sent = asked.stored(Outcome(1, "confirmed", "stored"))
        assert (sent.state, sent.code, sent.retry_after) == ("sent", "stored", 0.5)
        clock.seconds = 60
        assert ask(endpoint, [parcel], asked=asked) == [("sent", "not-found-yet")]
        clock.seconds = 61
        assert ask(endpoint, [parcel], asked=asked) == [("failed", "not-found")]
        # Stored once more, the time begins anew.
        asked.stored(Outcome(1, "confirmed", "stored"))
        assert ask(endpoint, [parcel], asked=asked) == [("sent", "not-found-yet")]


def test_what_failed_is_not_asked_for(tmp_path: Path) -> None:
    asked = QidoConfirmation(Endpoint.parse("http://127.0.0.1", place="x"), fields=FIELDS, seconds=60)
    failed = Outcome(1, "failed", "rejected")
    assert asked.stored(failed) is failed


def test_the_query_of_the_endpoint_stays(tmp_path: Path) -> None:
    with server((200, b"[]")) as (endpoint, targets):
        with_query = Endpoint(endpoint.secure, endpoint.host, endpoint.port, endpoint.path, "tenant=a")
        ask(with_query, [make_parcel(tmp_path, 1)])
        assert targets[0].endswith("/instances?tenant=a&SOPInstanceUID=2.25.2")


def test_without_qido_confirming_is_storing_again(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/dicom-web"
    stow = StowDestination("web", section(DicomWebSettings, type="dicomweb", url=url))
    [outcome] = stow.confirm([make_parcel(tmp_path, 1)])
    assert (outcome.state, outcome.code) == ("failed", "unreachable")
    stow.close()
