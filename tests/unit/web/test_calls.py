"""Calls to servers that behave, and to servers that do not: what comes of an answer is bounded, whatever they do."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.association.tls import Tls
from gateway.errors import DeliveryFailed
from gateway.web.answer import Answer
from gateway.web.calls import Calls, ascii_url
from gateway.web.endpoint import Endpoint
from tests.fixtures.authority import Authority
from tests.fixtures.ports import free_port
from tests.unit.deliver.peers import Behaviour, Exchange, Hangup, Peer, answer

LIMIT = 1000
FIELDS = {"User-Agent": "tests", "Accept-Encoding": "identity"}


@contextmanager
def calls(url: str, *, timeout: float = 20.0, limit: int = LIMIT, tls: Tls | None = None) -> Iterator[Calls]:
    context = None if tls is None else tls.context(place="x")
    made = Calls(Endpoint.parse(url, place="x"), destination="x", timeout=timeout, context=context, answer_limit=limit)
    try:
        yield made
    finally:
        made.close()


def failure(made: Calls) -> str:
    with pytest.raises(DeliveryFailed) as caught:
        made.call("GET", "/x", FIELDS)
    return str(caught.value.facts["code"])


def raw(*pieces: bytes, then: Callable[[Exchange], None] | None = None) -> Behaviour:
    """Sends these bytes and hangs up, or goes on as ``then`` does."""

    def behave(exchange: Exchange) -> None:
        for piece in pieces:
            exchange.send(piece)
        if then is not None:
            then(exchange)
        raise Hangup

    return behave


def dripping(head: bytes, drop: bytes) -> Behaviour:
    """Sends a byte now and then for ever: each comes in time, and the answer never."""

    def behave(exchange: Exchange) -> None:
        exchange.send(head)
        while not exchange.peer.over.wait(0.05):
            exchange.send(drop)
        raise Hangup

    return behave


def test_what_is_sent_and_what_comes_back() -> None:
    good = answer(200, "there", fields=[("Set-Cookie", "a=b; Path=/"), ("Retry-After", "7")])
    with Peer(good) as peer, calls(peer.url) as made:
        found = made.call("PUT", "/a/%2E%2E/../b?x=1%2F2", FIELDS | {"Cookie": "JSESSIONID=1"}, b"content")
        made.call("GET", "/c", FIELDS)
    assert found == Answer(status=200, retry_after="7", body=b"there", whole=True)
    first, second = peer.requests
    # The target is what was asked for: nothing is taken out of it or quoted anew.
    assert first.line == "PUT /a/%2E%2E/../b?x=1%2F2 HTTP/1.1"
    assert first.body == b"content"
    assert first.fields == {
        "host": f"localhost:{peer.port}",
        "content-length": "7",
        "user-agent": "tests",
        "accept-encoding": "identity",
        "cookie": "JSESSIONID=1",
    }
    # One connection, and no cookie of the server's.
    assert peer.connections == 1
    assert second.line == "GET /c HTTP/1.1"
    assert set(second.fields) == {"host", "content-length", "user-agent", "accept-encoding"}


ENDLESS = b"x" * LIMIT


@pytest.mark.parametrize(
    ("behave", "status", "body", "whole", "excessive"),
    [
        # exactly as much as is read
        (answer(200, b"x" * LIMIT), 200, b"x" * LIMIT, True, False),
        (answer(200, b"x" * (LIMIT + 1)), 200, b"x" * LIMIT, False, True),
        # in pieces
        (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
         200, b"abcde", True, False),
        # until the end of the connection
        (raw(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc"), 200, b"abc", True, False),
        # it breaks off: what came is there, and is not whole
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), 200, b"abc", False, False),
        (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc"), 200, None, False, False),
        # it is not what it says that it is
        (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"), 200, b"", False, False),
        # packed although that was not asked for: it is not unpacked, so it cannot grow
        (answer(200, b"abc", fields=[("Content-Encoding", "gzip")]), 200, b"abc", True, False),
        # no body
        (answer(204), 204, b"", True, False),
    ],
)  # fmt: skip
def test_how_an_answer_is_read(
    behave: Behaviour, status: int, body: bytes | None, whole: bool, excessive: bool
) -> None:
    with Peer(behave) as peer, calls(peer.url) as made:
        found = made.call("GET", "/x", FIELDS)
        # The next one is not disturbed by what was left of this one.
        assert made.call("GET", "/x", FIELDS).status == status
    assert (found.status, found.whole, found.excessive) == (status, whole, excessive)
    assert body is None or found.body == body


def endless(head: bytes) -> Behaviour:
    def behave(exchange: Exchange) -> None:
        exchange.send(head)
        while not exchange.peer.over.is_set():
            exchange.send(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")

    return behave


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        # A redirect as well: it is not followed, so where it leads is not read either.
        b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_an_answer_without_an_end(head: bytes) -> None:
    with Peer(endless(head)) as peer:
        with calls(peer.url) as made:
            found = made.call("GET", "/x", FIELDS)
        assert (len(found.body), found.whole, found.excessive) == (LIMIT, False, True)
        # Where nothing but the head is wanted nothing else is read.
        with calls(peer.url, limit=0) as made:
            assert made.call("GET", "/x", FIELDS).status == found.status
    assert len(peer.requests) == 2


@pytest.mark.parametrize(
    ("behave", "code"),
    [
        (lambda exchange: exchange.hold(), "timeout"),
        # a byte of the head now and then: each in time, and never all of it
        (dripping(b"HTTP/1.1 200 OK\r\nX: ", b"x"), "timeout"),
        (dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "timeout"),
        (raw(b"220 mail.example ready\r\n\r\n"), "answer-unreadable"),
        (raw(b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: x\r\n" % n for n in range(200)) + b"\r\n"),
         "answer-unreadable"),
        (raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"), "answer-unreadable"),
        (raw(), "connection-lost"),
        (lambda exchange: exchange.reset(), "connection-lost"),
    ],
)  # fmt: skip
def test_no_answer(behave: Behaviour, code: str) -> None:
    with Peer(behave) as peer, calls(peer.url, timeout=0.5 if code == "timeout" else 20.0) as made:
        assert failure(made) == code
        # A new connection is not tried twice.
        assert len(peer.requests) == 1


def test_a_body_that_drips_ends_with_its_time() -> None:
    drips = dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", b"x")
    with Peer(drips) as peer, calls(peer.url, timeout=0.5) as made:
        found = made.call("GET", "/x", FIELDS)
    assert (found.status, found.whole, found.excessive) == (200, False, False)


def test_nobody_there() -> None:
    with calls(f"http://127.0.0.1:{free_port()}") as made:
        assert failure(made) == "unreachable"


@pytest.mark.parametrize(
    ("again", "codes"),
    [
        (True, [200, 200]),
        (False, [200, "connection-lost"]),  # the server may be at work on what it has got
    ],
)
def test_a_kept_connection_that_breaks_off(again: bool, codes: list[object]) -> None:
    with Peer(answer(200), raw(), answer(200)) as peer, calls(peer.url) as made:
        found: list[object] = [made.call("GET", "/x", FIELDS).status]
        try:
            found.append(made.call("GET", "/x", FIELDS, again=again).status)
        except DeliveryFailed as error:
            found.append(error.facts["code"])
    assert found == codes
    assert peer.connections == (2 if again else 1)


def test_nothing_of_the_environment_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine localhost login root password hunter2\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with Peer(answer(200)) as proxy, Peer(answer(200)) as peer:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        with calls(peer.url) as made:
            made.call("GET", "/x", FIELDS)
        assert (len(proxy.requests), len(peer.requests)) == (0, 1)
    assert "authorization" not in peer.requests[0].fields


def test_tls_as_it_is_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(authority.issue("localhost", names=["localhost"]).file)
    # Authorities of the environment are not asked.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.file))
    with Peer(answer(200, "there"), tls=server) as peer:
        for tls, expected in ((Tls(ca_file=authority.file), 200), (Tls(verify=False), 200), (Tls(), "tls")):
            with calls(peer.url, tls=tls) as made:
                if expected == "tls":
                    assert failure(made) == expected
                else:
                    assert [made.call("GET", "/x", FIELDS).body for _ in range(2)] == [b"there"] * 2
        # Each of the first two kept its connection.
        assert (len(peer.requests), peer.connections) == (4, 3)
        other = peer.url.replace("localhost", "127.0.0.1")
        with calls(other, tls=Tls(ca_file=authority.file)) as made:
            assert failure(made) == "tls"


def test_urls_that_are_not_ascii() -> None:
    assert ascii_url("https://münchen.example/straße") == "https://xn--mnchen-3ya.example/stra%C3%9Fe"
    assert ascii_url("http://x.example/a") == "http://x.example/a"
