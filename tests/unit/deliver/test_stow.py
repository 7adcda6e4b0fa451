"""The STOW-RS destination against servers that behave, and servers that do not."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.deliver.base import Destination, Outcome, Parcel
from gateway.deliver.dicomweb.destination import StowDestination
from gateway.deliver.dicomweb.settings import DicomWebSettings
from tests.unit.deliver.peers import (
    Behaviour,
    Exchange,
    Hangup,
    Peer,
    answer,
    content_of,
    listing,
    make_parcel,
    section,
    store_all,
    uids_of,
)

SECRET = "s3cr3t-t0ken"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def destination(url: str, *, timeout: float = 30.0, answer_limit: int = 1 << 24, **options: Any) -> StowDestination:
    auth = {"type": "bearer", "token": "${TOKEN}"}
    fields = {"type": "dicomweb", "url": url, "auth": auth, "timeout_seconds": timeout, **options}
    settings = section(DicomWebSettings, environ={"TOKEN": SECRET}, **fields)
    return StowDestination("archive", settings, answer_limit=answer_limit, clock=lambda: NOW)


def send(url: str, parcels: Sequence[Parcel], *, timeout: float = 30.0, **options: Any) -> list[Outcome]:
    stow = destination(url, timeout=timeout, **options)
    try:
        outcomes = stow.send(parcels)
    finally:
        stow.close()
    assert [outcome.delivery_id for outcome in outcomes] == [parcel.delivery_id for parcel in parcels]
    for outcome in outcomes:
        assert SECRET not in repr(outcome)
        assert "2.25." not in outcome.detail
        assert "PSEUDONYM" not in outcome.detail
    return outcomes


def brief(outcomes: Sequence[Outcome]) -> list[tuple[str, str]]:
    return [(outcome.state, outcome.code) for outcome in outcomes]


@pytest.fixture
def parcels(tmp_path: Path) -> list[Parcel]:
    return [make_parcel(tmp_path, number) for number in range(4)]


# What is sent


def test_one_request_carries_the_batch(parcels: list[Parcel]) -> None:
    with Peer(store_all(parcels)) as peer:
        outcomes = send(peer.url, parcels)
    assert brief(outcomes) == [("confirmed", "stored")] * 4
    [request] = peer.requests
    assert request.line == "POST /dicom-web/studies HTTP/1.1"
    assert request.fields["content-type"].startswith('multipart/related; type="application/dicom"; boundary=')
    assert request.fields["accept"].startswith("application/dicom+json")
    assert request.fields["authorization"] == f"Bearer {SECRET}"
    assert request.fields["host"] == f"localhost:{peer.port}"
    assert "transfer-encoding" not in request.fields
    assert int(request.fields["content-length"]) == len(request.body)
    assert request.parts == [("Content-Type: application/dicom", content_of(parcel)) for parcel in parcels]


@pytest.mark.parametrize("size", [1, 64 * 1024, 64 * 1024 + 1, 256 * 1024, 3_000_001])
def test_every_size_arrives_as_it_is(tmp_path: Path, size: int) -> None:
    content = bytes(number * 31 % 251 for number in range(size))
    parcels = [make_parcel(tmp_path, number, content=content + bytes([number]), pieces=3) for number in range(2)]
    with Peer(store_all(parcels)) as peer:
        assert brief(send(peer.url, parcels)) == [("confirmed", "stored")] * 2
    assert [content for _, content in peer.requests[0].parts] == [content_of(parcel) for parcel in parcels]


def test_many_files_need_few_descriptors(tmp_path: Path) -> None:
    parcels = [make_parcel(tmp_path, number) for number in range(50)]
    with Peer(store_all(parcels)) as peer:
        assert brief(send(peer.url, parcels)) == [("confirmed", "stored")] * 50


def test_batches_keep_order_studies_and_limits(tmp_path: Path) -> None:
    sizes = [100, 100, 100, 950, 100, 100, 100]
    studies = ["2.25.7", "2.25.7", "2.25.8", "2.25.7", "2.25.7", "2.25.8", "2.25.7"]
    parcels = [
        make_parcel(tmp_path, number, content=bytes([number]) * size, study=study)
        for number, (size, study) in enumerate(zip(sizes, studies, strict=True))
    ]
    with Peer(store_all(parcels)) as peer:
        outcomes = send(peer.url, parcels, max_instances=2, max_bytes=900)
    assert brief(outcomes) == [("confirmed", "stored")] * 7
    # Study 7: two at most, the one of 950 bytes alone, the rest; then study 8.
    sent = [[content[0] for _, content in request.parts] for request in peer.requests]
    assert sent == [[0, 1], [3], [4, 6], [2, 5]]


def test_a_uid_is_never_twice_in_a_request(tmp_path: Path) -> None:
    parcels = [make_parcel(tmp_path, number, sop_uid="2.25.5") for number in range(3)]
    with Peer(store_all(parcels)) as peer:
        assert brief(send(peer.url, parcels)) == [("confirmed", "stored")] * 3
    assert [len(request.parts) for request in peer.requests] == [1, 1, 1]


def test_nothing_to_send_sends_nothing() -> None:
    with Peer(answer(500)) as peer:
        assert send(peer.url, []) == []
    assert peer.connections == 0


def test_study_in_the_url_only_on_request(parcels: list[Parcel]) -> None:
    with Peer(store_all(parcels)) as peer:
        send(peer.url + "?strategy=DirectArchive", parcels, study_in_url=True)
    assert peer.requests[0].line == "POST /dicom-web/studies/2.25.1000?strategy=DirectArchive HTTP/1.1"


# Connections


def test_the_connection_is_kept(parcels: list[Parcel]) -> None:
    with Peer(store_all(parcels)) as peer:
        stow = destination(peer.url, max_instances=1)
        assert brief(stow.send(parcels) + stow.send(parcels)) == [("confirmed", "stored")] * 8
        stow.close()
    assert peer.connections == 1
    assert len(peer.requests) == 8


def test_a_connection_that_the_server_closed_is_replaced(parcels: list[Parcel]) -> None:
    def store_and_hang_up(exchange: Exchange) -> None:
        store_all(parcels)(exchange)
        raise Hangup

    with Peer(store_and_hang_up) as peer:
        assert brief(send(peer.url, parcels, max_instances=1)) == [("confirmed", "stored")] * 4
    assert peer.connections == 4


def test_a_kept_connection_that_dies_under_the_request_is_tried_once_more(parcels: list[Parcel]) -> None:
    def die(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.reset()

    with Peer(store_all(parcels), die, store_all(parcels)) as peer:
        assert brief(send(peer.url, parcels[:2], max_instances=1)) == [("confirmed", "stored")] * 2
    assert [request.connection for request in peer.requests] == [1, 1, 2]


def test_what_a_server_says_unasked_is_no_answer(parcels: list[Parcel]) -> None:
    go, sent = threading.Event(), threading.Event()

    def store_and_babble(exchange: Exchange) -> None:
        store_all(parcels)(exchange)
        go.wait(60)
        exchange.answer(200, json.dumps(listing(failed=[(parcels[1].sop_uid, 0x0110)])))
        sent.set()

    with Peer(store_and_babble, store_all(parcels)) as peer:
        stow = destination(peer.url)
        assert brief(stow.send(parcels[:1])) == [("confirmed", "stored")]
        go.set()
        assert sent.wait(60)
        assert brief(stow.send(parcels[1:2])) == [("confirmed", "stored")]
        stow.close()
    assert [request.connection for request in peer.requests] == [1, 2]


def test_connection_close_is_honoured(parcels: list[Parcel]) -> None:
    def behave(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.answer(200, json.dumps(listing(uids_of(exchange.request, parcels))), close=True)

    with Peer(behave) as peer:
        assert brief(send(peer.url, parcels, max_instances=2)) == [("confirmed", "stored")] * 4
    assert peer.connections == 2


def test_threads_share_the_connections(tmp_path: Path) -> None:
    parcels = [make_parcel(tmp_path, number) for number in range(16)]
    with Peer(store_all(parcels)) as peer:
        stow = destination(peer.url, connections=2, max_instances=1)
        outcomes: dict[int, list[Outcome]] = {}

        def work(number: int) -> None:
            outcomes[number] = stow.send(parcels[number * 2 : number * 2 + 2])

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        stow.close()
    assert [brief(outcomes[number]) for number in range(8)] == [[("confirmed", "stored")] * 2] * 8
    assert peer.connections <= 2


def test_close_is_idempotent_and_final(parcels: list[Parcel]) -> None:
    with Peer(store_all(parcels)) as peer:
        stow = destination(peer.url)
        stow.send(parcels)
        stow.close()
        stow.close()
    assert isinstance(stow, Destination)
    assert SECRET not in repr(vars(stow)["_endpoint"])


# What the answer says of each instance

STORED = ("confirmed", "stored")
NOT_LISTED = ("failed", "not-listed")


def _uid(number: int) -> str:
    return f"2.25.{number + 1}"


XML = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM">'
    '<DicomAttribute tag="00081198" vr="SQ" keyword="FailedSOPSequence"><Item number="1">'
    '<DicomAttribute tag="00081155" vr="UI"><Value number="1">2.25.2</Value></DicomAttribute>'
    '<DicomAttribute tag="00081197" vr="US"><Value number="1">43264</Value></DicomAttribute></Item></DicomAttribute>'
    '<DicomAttribute tag="00081199" vr="SQ" keyword="ReferencedSOPSequence"><Item number="1">'
    '<DicomAttribute tag="00081155" vr="UI"><Value number="1">2.25.1</Value></DicomAttribute></Item></DicomAttribute>'
    "</NativeDicomModel>"
)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        # all stored
        (200, listing([_uid(0), _uid(1)]), [STORED, STORED]),
        # a success that leaves one out
        (200, listing([_uid(1)]), [NOT_LISTED, STORED]),
        # a success that lists other instances only
        (200, listing(["2.25.99"]), [NOT_LISTED, NOT_LISTED]),
        # a success that lists nothing
        (200, {}, [NOT_LISTED, NOT_LISTED]),
        # a success that carries a failure
        (200, listing([_uid(0)], [(_uid(1), 0x0110)]), [STORED, ("failed", "rejected")]),
        # accepted, with failures for good: data set does not match, class or syntax not supported
        (202, listing([], [(_uid(0), 0xA900), (_uid(1), 0x0122)]), [("dead", "rejected"), ("dead", "rejected")]),
        (202, listing([_uid(1)], [(_uid(0), 0xC122)]), [("dead", "rejected"), STORED]),
        # reasons that may pass: out of resources, cannot understand, one that nobody knows, none at all
        (202, listing([], [(_uid(0), 0xA700), (_uid(1), 0xC000)]), [("failed", "rejected")] * 2),
        (202, listing([], [(_uid(0), 0x1234), (_uid(1), None)]), [("failed", "rejected")] * 2),
        # stored with a warning
        (202, listing([_uid(0)], warnings=[(_uid(1), 0xB000)]), [STORED, ("confirmed", "stored-with-warning")]),
        # already there: PS3.7 0111H, and what the Medical Imaging Server for DICOM says
        (409, listing([], [(_uid(0), 0x0111), (_uid(1), 45070)]), [("confirmed", "already-stored")] * 2),
        # a conflict that nevertheless stored one
        (409, listing([_uid(0)], [(_uid(1), 0x0110)]), [STORED, ("failed", "rejected")]),
        # both stored and failed: failed prevails
        (200, listing([_uid(0), _uid(1)], [(_uid(1), 0x0110)]), [STORED, ("failed", "rejected")]),
        # a failure that names no instance
        (202, listing([_uid(0)], other=[0x0110]), [STORED, NOT_LISTED]),
        # one data set per study, as XNAT answers
        (200, [listing([_uid(0)]), listing([_uid(1)])], [STORED, STORED]),
        # XML
        (202, XML, [STORED, ("dead", "rejected")]),
    ],
)
def test_each_instance_gets_its_own_outcome(
    parcels: list[Parcel], status: int, body: object, expected: list[tuple[str, str]]
) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    with Peer(answer(status, text)) as peer:
        assert brief(send(peer.url, parcels[:2])) == expected
    assert len(peer.requests) == 1


def test_duplicates_can_be_refused(parcels: list[Parcel]) -> None:
    with Peer(answer(409, json.dumps(listing([], [(_uid(0), 0x0111)])))) as peer:
        assert brief(send(peer.url, parcels[:1], duplicates="refuse")) == [("dead", "already-stored")]


def test_the_only_failure_of_the_only_instance_is_its_own(parcels: list[Parcel]) -> None:
    with Peer(answer(202, json.dumps(listing(other=[0xC122])))) as peer:
        assert brief(send(peer.url, parcels[:1])) == [("dead", "rejected")]


def test_content_type_of_the_answer_is_not_trusted(parcels: list[Parcel]) -> None:
    body = json.dumps(listing([parcel.sop_uid for parcel in parcels]))
    with Peer(answer(200, body, fields=[("Content-Type", "text/html")])) as peer:
        assert brief(send(peer.url, parcels)) == [STORED] * 4


# Answers that prove nothing: never confirmed


@pytest.mark.parametrize("status", [200, 202])
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "answer-empty"),
        (b" \r\n", "answer-empty"),
        (b"OK", "answer-unreadable"),
        (b"null", "answer-unreadable"),
        (b"[]", "answer-unreadable"),
        (b'{"00081199": ', "answer-unreadable"),
        (b"\xff\xfe\x00garbage\x80", "answer-unreadable"),
        (b"[" * 100_000, "answer-unreadable"),
        (b"<html><body>200 OK</body></html>", "answer-unreadable"),
        (b"<NativeDicomModel>", "answer-unreadable"),
        (b'<!DOCTYPE x [<!ENTITY a SYSTEM "f:///e">]><NativeDicomModel>&a;</NativeDicomModel>', "answer-unreadable"),
        (b'{"00081199": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": [7]}}, 3, null]}}', "not-listed"),
        (b'{"00081199": {"vr": "SQ", "Value": "2.25.1"}}', "not-listed"),
        (b'{"00081199": 5}', "not-listed"),
    ],
)
def test_a_success_without_proof_is_a_failure(parcels: list[Parcel], status: int, body: bytes, code: str) -> None:
    with Peer(answer(status, body)) as peer:
        assert brief(send(peer.url, parcels[:2])) == [("failed", code)] * 2


def test_an_endless_answer_is_left(parcels: list[Parcel]) -> None:
    sent = []

    def flood(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
        for _ in range(1024):
            exchange.send(b" " * 1024**2)
            sent.append(1)

    with Peer(flood) as peer:
        assert brief(send(peer.url, parcels, answer_limit=100_000)) == [("failed", "answer-too-large")] * 4
    assert len(sent) < 100


def _chunks(body: bytes) -> bytes:
    pieces = [body[start : start + 7] for start in range(0, len(body), 7)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ALL = json.dumps(listing([_uid(number) for number in range(4)])).encode()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        # chunked, whole
        (CHUNKED + _chunks(ALL) + b"0\r\n\r\n", STORED),
        # chunked, without its end: the list is there, but the answer is not whole
        (CHUNKED + _chunks(ALL), ("failed", "answer-unreadable")),
        # chunked, with a size that is none
        (CHUNKED + b"zz\r\n", ("failed", "answer-unreadable")),
        # until the connection closes
        (b"HTTP/1.1 200 OK\r\n\r\n" + ALL, STORED),
        # shorter than it says
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + ALL, ("failed", "answer-unreadable")),
        # interim answers before the real one
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(ALL) + ALL, STORED),
        # not HTTP at all
        (b"SSH-2.0-OpenSSH_9.2\r\n", ("failed", "answer-unreadable")),
        # a line without end, more fields than anybody needs
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000, ("failed", "answer-unreadable")),
        (b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 1000 + b"\r\n", ("failed", "answer-unreadable")),
    ],
)
def test_raw_answers(parcels: list[Parcel], raw: bytes, expected: tuple[str, str]) -> None:
    def behave(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.send(raw)
        raise Hangup

    with Peer(behave) as peer:
        assert brief(send(peer.url, parcels)) == [expected] * 4


# Refusals


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "credentials"),
        (403, "credentials"),
        (404, "not-found"),
        (405, "not-found"),
        (301, "redirect"),
        (307, "redirect"),
        (429, "busy"),
        (503, "busy"),
        (204, "unexpected-status"),
        (201, "unexpected-status"),
    ],
)
def test_a_refusal_of_everything_ends_the_call(parcels: list[Parcel], status: int, code: str) -> None:
    body = json.dumps(listing([parcel.sop_uid for parcel in parcels])) if status != 204 else ""
    with Peer(answer(status, body, fields=[("Location", f"http://evil.example/?token={SECRET}")])) as peer:
        outcomes = send(peer.url, parcels, max_instances=2)
    assert brief(outcomes) == [("failed", code)] * 4
    assert len(peer.requests) == 1
    assert not any("evil" in outcome.detail for outcome in outcomes)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("Sun, 01 Mar 2026 12:05:00 GMT", 300.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),  # past
        ("99999999", 86400.0),  # no destination is left alone for longer than a day
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after(parcels: list[Parcel], status: int, value: str, seconds: float | None) -> None:
    with Peer(answer(status, fields=[("Retry-After", value)])) as peer:
        outcomes = send(peer.url, parcels)
    assert [outcome.retry_after for outcome in outcomes] == [seconds] * 4


@pytest.mark.parametrize("status", [400, 406, 409, 415, 422])
def test_one_bad_instance_does_not_take_the_others_with_it(parcels: list[Parcel], status: int) -> None:
    good = store_all(parcels)

    def behave(exchange: Exchange) -> None:
        exchange.read_body()
        if parcels[2].sop_uid in uids_of(exchange.request, parcels):
            exchange.answer(status)
        else:
            good(exchange)

    with Peer(behave) as peer:
        outcomes = send(peer.url, parcels)
    assert brief(outcomes) == [STORED, STORED, ("failed", "refused"), STORED]
    assert [len(request.parts) for request in peer.requests] == [4, 1, 1, 1, 1]


def test_a_refusal_that_names_its_reason(parcels: list[Parcel]) -> None:
    body = json.dumps(listing([], [(_uid(0), 0xC122)]))
    with Peer(answer(400, body)) as peer:
        assert brief(send(peer.url, parcels[:1])) == [("dead", "rejected")]


def test_a_refusal_that_claims_success_is_not_believed(parcels: list[Parcel]) -> None:
    with Peer(answer(400, json.dumps(listing([_uid(0)])))) as peer:
        assert brief(send(peer.url, parcels[:1])) == [("failed", "refused")]


def test_server_errors_end_the_call_after_three_in_a_row(tmp_path: Path) -> None:
    parcels = [make_parcel(tmp_path, number) for number in range(8)]
    with Peer(answer(500, "<html>stack trace</html>")) as peer:
        assert brief(send(peer.url, parcels)) == [("failed", "server-error")] * 8
    assert [len(request.parts) for request in peer.requests] == [8, 1, 1, 1]


def test_a_server_error_for_one_instance(parcels: list[Parcel]) -> None:
    good = store_all(parcels)

    def behave(exchange: Exchange) -> None:
        exchange.read_body()
        if parcels[0].sop_uid in uids_of(exchange.request, parcels):
            exchange.answer(500)
        else:
            good(exchange)

    with Peer(behave) as peer:
        assert brief(send(peer.url, parcels)) == [("failed", "server-error"), STORED, STORED, STORED]


def test_too_large_is_split_and_remembered(tmp_path: Path) -> None:
    parcels = [make_parcel(tmp_path, number, content=bytes([number]) * 1000) for number in range(8)]

    def behave(exchange: Exchange) -> None:
        if int(exchange.request.fields["content-length"]) > 3000:
            exchange.answer(413, close=True)
        store_all(parcels)(exchange)

    with Peer(behave) as peer:
        stow = destination(peer.url)
        assert brief(stow.send(parcels)) == [STORED] * 8
        tried = len(peer.requests)
        assert brief(stow.send(parcels)) == [STORED] * 8
        stow.close()
    assert tried > 4
    assert len(peer.requests) - tried == 4


def test_an_instance_too_large_alone_is_dead(tmp_path: Path) -> None:
    parcels = [make_parcel(tmp_path, number, content=bytes([number]) * size) for number, size in enumerate([10, 5000])]

    def behave(exchange: Exchange) -> None:
        if int(exchange.request.fields["content-length"]) > 3000:
            exchange.answer(413, close=True)
        store_all(parcels)(exchange)

    with Peer(behave) as peer:
        assert brief(send(peer.url, parcels)) == [STORED, ("dead", "too-large")]


# Early answers: the server answers and stops reading


@pytest.mark.parametrize(("status", "expected"), [(413, ("dead", "too-large")), (401, ("failed", "credentials"))])
@pytest.mark.parametrize("ending", ["close", "reset", "hold"])
def test_an_answer_in_the_middle_of_the_body_is_not_lost(
    tmp_path: Path, status: int, expected: tuple[str, str], ending: str
) -> None:
    parcel = make_parcel(tmp_path, 0, content=bytes(40_000_000), pieces=1)

    def behave(exchange: Exchange) -> None:
        exchange.read_body(1000)
        exchange.send(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode())
        if ending == "hold":
            exchange.hold()
        elif ending == "close":
            exchange.sock.shutdown(socket.SHUT_WR)
            while exchange.sock.recv(1 << 16):
                pass
        raise Hangup

    with Peer(behave, receive_buffer=4096) as peer:
        [outcome] = send(peer.url, [parcel])
    assert brief([outcome]) == [expected]


@pytest.mark.parametrize(("status", "code"), [(200, "answer-early"), (202, "answer-early"), (409, "refused")])
def test_a_success_before_the_end_of_the_body_is_none(tmp_path: Path, status: int, code: str) -> None:
    parcel = make_parcel(tmp_path, 0, content=bytes(40_000_000))

    def behave(exchange: Exchange) -> None:
        exchange.read_body(1000)
        exchange.answer(status, json.dumps(listing([parcel.sop_uid])))
        exchange.hold()

    with Peer(behave, receive_buffer=4096) as peer:
        assert brief(send(peer.url, [parcel])) == [("failed", code)]


# No answer


def _closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port


def test_nobody_listens(parcels: list[Parcel]) -> None:
    outcomes = send(f"http://127.0.0.1:{_closed_port()}", parcels, max_instances=1)
    assert brief(outcomes) == [("failed", "unreachable")] * 4


@pytest.mark.parametrize("host", ["name.invalid", "a..b", "x" * 300])
def test_no_such_host(parcels: list[Parcel], host: str) -> None:
    assert brief(send(f"http://{host}:1", parcels)) == [("failed", "unreachable")] * 4


def _read_and_close(exchange: Exchange) -> None:
    exchange.read_body()
    raise Hangup


def _close_at_once(exchange: Exchange) -> None:
    raise Hangup


def _reset_in_the_body(exchange: Exchange) -> None:
    exchange.read_body(100)
    exchange.reset()


@pytest.mark.parametrize("behaviour", [_read_and_close, _close_at_once, _reset_in_the_body])
@pytest.mark.parametrize("size", [1000, 3_000_000])
def test_connections_that_break_end_the_call_after_three(tmp_path: Path, behaviour: Behaviour, size: int) -> None:
    parcels = [make_parcel(tmp_path, number, content=bytes([number]) * size) for number in range(5)]
    with Peer(behaviour, receive_buffer=4096) as peer:
        assert brief(send(peer.url, parcels)) == [("failed", "connection-lost")] * 5
    assert peer.connections == 4


def test_one_instance_that_breaks_the_connection(parcels: list[Parcel]) -> None:
    good = store_all(parcels)

    def behave(exchange: Exchange) -> None:
        exchange.read_body()
        if parcels[1].sop_uid in uids_of(exchange.request, parcels):
            exchange.reset()
        good(exchange)

    with Peer(behave) as peer:
        assert brief(send(peer.url, parcels)) == [STORED, ("failed", "connection-lost"), STORED, STORED]


def _hold_at_once(exchange: Exchange) -> None:
    exchange.hold()


def _hold_after_the_body(exchange: Exchange) -> None:
    exchange.read_body()
    exchange.hold()


def _hold_in_the_answers_head(exchange: Exchange) -> None:
    exchange.read_body()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Le")
    exchange.hold()


def _drip(exchange: Exchange) -> None:
    exchange.read_body()
    exchange.send(b"HTTP/1.1 200 OK\r\nX: ")
    while not exchange.peer.over.wait(0.02):
        exchange.send(b"x")


@pytest.mark.parametrize("behaviour", [_hold_at_once, _hold_after_the_body, _hold_in_the_answers_head, _drip])
def test_a_server_that_stalls(tmp_path: Path, behaviour: Behaviour) -> None:
    parcels = [make_parcel(tmp_path, number, content=bytes([number]) * 20_000_000) for number in range(2)]
    with Peer(behaviour, receive_buffer=4096) as peer:
        assert brief(send(peer.url, parcels, timeout=0.5, max_instances=1)) == [("failed", "timeout")] * 2
    assert peer.connections == 1


def test_a_server_that_stalls_in_the_answers_body(parcels: list[Parcel]) -> None:
    def behave(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + ALL[:20])
        exchange.hold()

    with Peer(behave) as peer:
        assert brief(send(peer.url, parcels, timeout=0.5)) == [("failed", "answer-unreadable")] * 4


# Faults at home


def test_a_missing_file_concerns_its_instance_alone(parcels: list[Parcel]) -> None:
    parcels[1].parts[0].path.unlink()
    with Peer(store_all([parcels[0], *parcels[2:]])) as peer:
        outcomes = send(peer.url, parcels)
    assert brief(outcomes) == [STORED, ("failed", "spool-unreadable"), STORED, STORED]


@pytest.mark.parametrize("size", [1000, 3_000_000])
def test_a_truncated_file_concerns_its_instance_alone(tmp_path: Path, size: int) -> None:
    parcels = [make_parcel(tmp_path, number, content=bytes([number]) * size) for number in range(3)]
    path = parcels[1].parts[0].path
    path.write_bytes(path.read_bytes()[: size // 2])
    with Peer(store_all([parcels[0], parcels[2]])) as peer:
        outcomes = send(peer.url, parcels)
    assert brief(outcomes) == [STORED, ("dead", "spool-corrupt"), STORED]


@pytest.mark.parametrize(
    ("change", "options", "expected"),
    [
        (lambda parcel: replace(parcel, length=parcel.length + 1), {}, ("dead", "spool-corrupt")),
        (lambda parcel: replace(parcel, parts=(), length=0), {}, ("dead", "spool-corrupt")),
        (lambda parcel: replace(parcel, sop_uid=""), {}, ("dead", "invalid-uid")),
        (lambda parcel: replace(parcel, study_uid="1.2\r\nX: y"), {"study_in_url": True}, ("dead", "invalid-uid")),
    ],
)
def test_what_cannot_be_sent_is_not_sent(
    parcels: list[Parcel],
    change: Callable[[Parcel], Parcel],
    options: dict[str, Any],
    expected: tuple[str, str],
) -> None:
    with Peer(store_all(parcels)) as peer:
        outcomes = send(peer.url, [change(parcels[1])], **options)
    assert brief(outcomes) == [expected]
    assert peer.requests == []


# An archive that needs long for many


def test_after_a_request_that_took_too_long_the_next_ones_are_smaller(tmp_path: Path) -> None:
    sizes: list[int] = []
    parcels = [make_parcel(tmp_path, number) for number in range(8)]

    def slow(exchange: Exchange) -> None:
        exchange.read_body()
        uids = uids_of(exchange.request, parcels)
        sizes.append(len(uids))
        if len(uids) > 3:
            assert exchange.sock.recv(1) == b""  # until the sender gives up
            return
        exchange.answer(200, json.dumps(listing(uids)))

    with Peer(slow) as peer:
        stow = destination(peer.url, timeout=1.0)
        for expected in ("timeout", "timeout", "stored"):
            assert {code for _, code in brief(stow.send(parcels))} == {expected}
        stow.close()
    # 8, then halves of it; what was quick may grow again.
    assert sizes[:3] == [8, 4, 2]
    assert max(sizes[2:]) <= 4


def test_a_proxy_that_gives_up_is_as_one_that_does_not_answer(tmp_path: Path) -> None:
    sizes: list[int] = []
    parcels = [make_parcel(tmp_path, number) for number in range(4)]

    def behind_a_proxy(exchange: Exchange) -> None:
        exchange.read_body()
        uids = uids_of(exchange.request, parcels)
        sizes.append(len(uids))
        exchange.answer(504 if len(uids) > 2 else 200, json.dumps(listing(uids)))

    with Peer(behind_a_proxy) as peer:
        stow = destination(peer.url)
        assert set(brief(stow.send(parcels))) == {("failed", "timeout")}
        assert set(brief(stow.send(parcels[:2]))) == {("confirmed", "stored")}
        stow.close()
    assert sizes == [4, 2]
