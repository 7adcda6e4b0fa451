"""The HTTP door: what is for everybody, for users, for roles; TLS; clients that do not behave."""

from __future__ import annotations

import ipaddress
import json
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any

import pytest
import requests
from argon2 import PasswordHasher
from pydantic import SecretStr
from requests.structures import CaseInsensitiveDict

from gateway.association.listener import open_port
from gateway.association.tls import server_context
from gateway.audit import AuditAction, AuditEntry
from gateway.console.api import resources
from gateway.console.authentication import FAILURES, Authenticator
from gateway.console.http_server import HttpServer
from gateway.console.protection import Protection, forwarded_for
from gateway.custody.original_tokens import tokens_of
from gateway.ledger import KnownBy, Ledger, Received
from gateway.service.health import Health
from gateway.settings.accounts import Role, User, token_digest
from gateway.settings.configuration import GatewayKey, Settings
from tests.fixtures.authority import Authority
from tests.fixtures.ledgers import new_ledger
from tests.fixtures.nginx import nginx_proxy

OWN_TOKEN = "own-token-0123456789-0123456789-0123456789"
PASSWORD = "correct horse battery"
TOKENS = {role: f"{role.value}-token-0123456789-0123456789" for role in Role}
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECRET = "gateway-0123456789-0123456789-abcdef"
ACCESSION = "A26-000123"
SETTINGS = Settings.model_construct(gateway_key=GatewayKey(secret=SecretStr(SECRET)))
#: Path -> least role that sees it.
PATHS = {
    "/metrics": Role.VIEWER,
    "/api/status": Role.VIEWER,
    "/api/account": Role.VIEWER,
    "/api/held": Role.DATA_PROTECTION_OFFICER,
    "/api/audit": Role.DATA_PROTECTION_OFFICER,
    "/api/studies": Role.DATA_PROTECTION_OFFICER,
}


def users() -> tuple[User, ...]:
    hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
    by_token = [User(name=role.value, role=role, token_digest=token_digest(token)) for role, token in TOKENS.items()]
    return (*by_token, User(name="maria", role=Role.ADMINISTRATOR, password_hash=hasher.hash(PASSWORD)))


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """One instance waits; two entries are in the audit trail."""
    opened = new_ledger(tmp_path_factory.mktemp("ledger") / "ledger.sqlite3")
    row = Received(
        spool_name="2026-11-21/A.dcm", received_at=NOW, size=1000, crc32=1, source="pacs", calling_ae="PACS",
        called_ae="GATEWAY", peer_address="10.1.2.3",
    )  # fmt: skip
    opened.instances.record([row])
    for number in range(2):
        entry = AuditEntry(actor="gateway", action=AuditAction.KEY_CHANGED, subject="chest", facts={"version": number})
        opened.audit.write(entry, now=NOW)
    yield opened
    opened.close()


@contextmanager
def serving(
    ledger: Ledger, *, known: tuple[User, ...], tls: ssl.SSLContext | None = None, **more: Any
) -> Iterator[HttpServer]:
    server = HttpServer(
        open_port("127.0.0.1", 0, place="http"),
        metrics=lambda: b"# figures\n",
        alive=Health,
        ready=Health,
        resources=resources(SETTINGS, lambda: ledger),
        protection=Protection(authenticator=Authenticator(known, own_token=OWN_TOKEN), tls=tls, **more),
    )
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def server(ledger: Ledger) -> Iterator[HttpServer]:
    with serving(ledger, known=users()) as running:
        yield running


def ask(
    server: HttpServer, path: str, headers: Mapping[str, str] | None = None, *, tls: ssl.SSLContext | None = None
) -> tuple[int, CaseInsensitiveDict[str], bytes]:
    connection = (
        HTTPConnection("127.0.0.1", server.port, timeout=60)
        if tls is None
        else HTTPSConnection("localhost", server.port, timeout=60, context=tls)
    )
    try:
        connection.request("GET", path, headers=dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, CaseInsensitiveDict(dict(answer.headers)), answer.read()
    finally:
        connection.close()


def bearer(role: Role) -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKENS[role]}"}


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_p10_health_is_for_everybody(server: HttpServer, path: str) -> None:
    assert ask(server, path)[0] == 200


@pytest.mark.parametrize("path", [*PATHS, "/nothing", "/api/", "/metrics/"])
def test_p10_everything_else_is_for_users(server: HttpServer, path: str) -> None:
    status, headers, body = ask(server, path)
    assert status == 401
    assert headers["WWW-Authenticate"].startswith('Basic realm="gateway"')
    assert "Bearer" in headers["WWW-Authenticate"]
    assert json.loads(body) == {"problem": "credentials-missing"}  # and not whether the path exists


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("path", PATHS)
def test_p10_roles(server: HttpServer, path: str, role: Role) -> None:
    status, headers, body = ask(server, path, bearer(role))
    assert status == (403 if (role, PATHS[path]) == (Role.VIEWER, Role.DATA_PROTECTION_OFFICER) else 200)
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    if status == 403:
        assert json.loads(body) == {"problem": f"this is for the role {PATHS[path].value}"}


def test_passwords(server: HttpServer) -> None:
    right = b64encode(f"maria:{PASSWORD}".encode()).decode()
    assert ask(server, "/api/held", {"Authorization": f"Basic {right}"})[0] == 200


def test_p10_guessing_is_slowed_down(server: HttpServer) -> None:
    statuses = [ask(server, "/metrics", {"Authorization": f"Bearer {number}"})[0] for number in range(FAILURES + 1)]
    assert statuses == [401] * FAILURES + [429]
    status, headers, _ = ask(server, "/metrics", {"Authorization": "Bearer wrong"})
    assert (status, headers["Retry-After"]) == (429, "60")
    assert ask(server, "/metrics", bearer(Role.VIEWER))[0] == 200


def test_p9_refusals_are_logged_without_credentials(server: HttpServer, capsys: pytest.CaptureFixture[str]) -> None:
    secret = b64encode(b"garcia:hunter2-hunter2").decode()
    ask(server, "/api/status?patient=GARCIA", {"Authorization": f"Basic {secret}"})
    ask(server, "/api/audit", bearer(Role.VIEWER))
    logged = "".join(capsys.readouterr())
    assert logged.count("http access denied") == 2
    assert "127.0.0.1" in logged
    for withheld in ("garcia", "GARCIA", "hunter2", secret, TOKENS[Role.VIEWER]):
        assert withheld not in logged


#: Headers of requests without credentials, from here and elsewhere.
UNPROVEN: list[dict[str, str]] = [
    {},
    {"X-Forwarded-For": "127.0.0.1"},
    {"X-Forwarded-For": "10.0.0.5"},
    {"X-Real-IP": "127.0.0.1"},
    {"Host": "attacker.example"},
    {"Authorization": "Bearer wrong"},
    {"Authorization": "Basic bG9jYWw6"},
]


@pytest.mark.parametrize("headers", UNPROVEN)
@pytest.mark.parametrize("path", [one for one in PATHS if one != "/metrics"])
def test_p10_without_users_the_own_token_is_needed(ledger: Ledger, path: str, headers: dict[str, str]) -> None:
    with serving(ledger, known=()) as server:
        assert ask(server, path, headers)[0] == 401
        assert ask(server, path, {"Authorization": f"Bearer {OWN_TOKEN}"})[0] == 200
        assert ask(server, "/healthz", headers)[0] == 200


def test_p10_figures_are_for_this_machine_without_users(ledger: Ledger) -> None:
    with serving(ledger, known=()) as server:
        assert ask(server, "/metrics")[0] == 200
        for headers in UNPROVEN[1:5]:
            status, answered, _ = ask(server, "/metrics", headers)
            assert (status, answered["WWW-Authenticate"]) == (401, 'Bearer realm="gateway"')


def test_p10_a_plain_proxy_in_front_grants_nothing(ledger: Ledger, tmp_path: Path) -> None:
    """nginx with nothing but proxy_pass: to the gateway every request is one of this machine."""
    with serving(ledger, known=()) as server, nginx_proxy(tmp_path / "nginx", server.port) as port:

        def through(path: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
            answer = requests.get(f"http://127.0.0.1:{port}{path}", headers=headers, timeout=60)
            return answer.status_code, answer.content

        assert through("/healthz")[0] == 200
        for path in PATHS:
            if path != "/metrics":
                assert through(path)[0] == 401
        status, body = through("/api/audit", {"Authorization": f"Bearer {OWN_TOKEN}"})
        assert (status, len(json.loads(body)["entries"])) == (200, 2)
        # Slow clients are the proxy's: it does not pass on what is no whole request.
        slow = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(40)]
        try:
            for one in slow:
                one.sendall(b"GET /healthz HTTP/1.1\r\n")
            assert through("/healthz")[0] == 200
            assert ask(server, "/healthz")[0] == 200
        finally:
            for one in slow:
                one.close()


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("10.1.0.8", ["10.9.9.9"], "10.9.9.9"),
        ("10.1.0.8", ["192.0.2.1, 10.9.9.9"], "10.9.9.9"),  # what a client claims stands before what the proxy adds
        ("10.1.0.8", ["192.0.2.1", "10.9.9.9"], "10.9.9.9"),
        ("10.1.0.8", ["10.9.9.9, 10.1.0.9"], "10.9.9.9"),  # two proxies, both trusted
        ("10.1.0.8", ["::ffff:10.9.9.9"], "10.9.9.9"),
        ("10.1.0.8", [], "10.1.0.8"),
        ("10.1.0.8", ["unknown"], "10.1.0.8"),
        ("10.1.0.8", ["10.9.9.9, garbage"], "10.1.0.8"),
        ("10.1.0.7", ["10.9.9.9"], "10.1.0.7"),  # nobody's word but that of trusted proxies
        ("not an address", ["10.9.9.9"], "not an address"),
    ],
)
def test_p10_whose_word_counts(peer: str, forwarded: list[str], expected: str) -> None:
    trusted = [ipaddress.ip_network("10.1.0.8/31")]
    assert forwarded_for(peer, forwarded, trusted=trusted) == expected
    assert forwarded_for(peer, forwarded, trusted=[]) == peer


def test_p10_failures_are_counted_by_whom_a_trusted_proxy_names(ledger: Ledger) -> None:
    networks = (ipaddress.ip_network("127.0.0.1/32"),)
    with serving(ledger, known=users(), trusted_proxies=networks) as server:

        def guess(client: str) -> int:
            return ask(server, "/metrics", {"Authorization": "Bearer wrong", "X-Forwarded-For": client})[0]

        assert [guess("10.0.0.5") for _ in range(FAILURES + 1)] == [401] * FAILURES + [429]
        assert guess("10.0.0.6") == 401


def test_status_and_account(server: HttpServer) -> None:
    status = json.loads(ask(server, "/api/status", bearer(Role.VIEWER))[2])
    assert status["instances"] == [
        {"project": None, "state": "received", "count": 1, "bytes": 1000, "oldest": "2026-11-21T12:00:00+00:00"}
    ]
    account = json.loads(ask(server, "/api/account", bearer(Role.VIEWER))[2])
    assert account["balanced"] is True
    assert account["projects"][0]["in_progress"] == 1


def post(
    server: HttpServer, content: object, headers: Mapping[str, str] | None = None, *, path: str = "/api/find"
) -> tuple[int, dict[str, Any]]:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    try:
        kind = {"Content-Type": "application/json"}
        connection.request("POST", path, body, headers={**kind, **(headers or bearer(Role.DATA_PROTECTION_OFFICER))})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_p14_a_study_is_found_by_its_original_identifier(tmp_path: Path) -> None:
    with new_ledger(tmp_path / "ledger.sqlite3") as ledger, serving(ledger, known=users()) as server:
        (token,) = tokens_of([SECRET.encode()], ACCESSION, kinds=["accession"])["accession"]
        row = Received(
            spool_name="2026-11-21/A.dcm", received_at=NOW, size=1000, crc32=1, source="pacs",
            known_by=KnownBy(accession=str(token), study="1" * 32, instance=1),
        )  # fmt: skip
        ledger.instances.record([row], now=NOW)
        found_by_its_accession_number(ledger, server)


def found_by_its_accession_number(ledger: Ledger, server: HttpServer) -> None:
    status, found = post(server, {"original": f" {ACCESSION.lower()} "})
    assert (status, found["verdict"], found["count"]) == (200, "under way", 1)
    (study,) = found["studies"]
    assert (study["received"], study["sources"], study["in_progress"]) == (1, ["pacs"], 1)
    assert post(server, {"original": ACCESSION, "as": "patient"})[1]["verdict"] == "absent"
    assert post(server, {"original": "A26-000124"})[1]["studies"] == []
    # On the record, without what was asked for.
    first, _, last = ledger.audit.trail()
    assert (first.text("action"), first.text("actor")) == ("original-sought", "data-protection-officer over HTTP")
    assert first.text("subject") == f"study {study['study']}"
    assert last.text("subject") == "nothing found"
    assert not any(ACCESSION in one.document or "A26" in one.document for one in ledger.audit.trail())
    listed = json.loads(ask(server, "/api/studies?limit=5", bearer(Role.DATA_PROTECTION_OFFICER))[2])
    assert listed["studies"] == [study]
    assert listed["before"] is None


def test_p10_who_may_not_look_for_originals(server: HttpServer) -> None:
    assert post(server, {"original": ACCESSION}, bearer(Role.VIEWER))[0] == 403
    assert post(server, {"original": ACCESSION}, {"Authorization": "Bearer wrong"})[0] == 401


@pytest.mark.parametrize(
    ("content", "headers", "path", "status"),
    [
        ({}, {}, "/api/find", 400),  # nothing asked for
        ({"original": ""}, {}, "/api/find", 400),
        ({"original": "x" * 300}, {}, "/api/find", 400),
        ({"original": "x", "pseudonym": "y"}, {}, "/api/find", 400),  # both
        ({"pseudonym": "y", "as": "patient"}, {}, "/api/find", 400),
        ({"original": "x", "as": "name"}, {}, "/api/find", 400),  # no such kind
        ({"original": 4711}, {}, "/api/find", 400),
        ({"originall": "x"}, {}, "/api/find", 400),
        (["original"], {}, "/api/find", 400),
        (b"{", {}, "/api/find", 400),
        (b"[" * 4000, {}, "/api/find", 400),
        (b"", {}, "/api/find", 400),
        ({"original": "x" * 5000}, {}, "/api/find", 400),  # longer than a body may be
        ({"original": "x"}, {"Content-Type": "text/plain"}, "/api/find", 400),  # pages of other sites could send it
        ({"original": "x"}, {}, "/api/find?original=x", 400),  # URLs come into logs
        ({"original": "x"}, {}, "/api/status", 405),
        ({"original": "x"}, {}, "/api/nothing", 404),
    ],
)  # fmt: skip
def test_questions_that_are_refused(
    server: HttpServer, content: object, headers: Mapping[str, str], path: str, status: int
) -> None:
    answered, problem = post(server, content, {**bearer(Role.ADMINISTRATOR), **headers}, path=path)
    assert answered == status
    assert "x" * 10 not in str(problem)
    assert ask(server, "/healthz")[0] == 200


def test_originals_are_not_asked_for_by_url(server: HttpServer) -> None:
    status, headers, _ = ask(server, f"/api/find?original={ACCESSION}", bearer(Role.ADMINISTRATOR))
    assert (status, headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize("query", ["state=nowhere", "since=yesterday", "original=x", "before=0"])
def test_lists_of_studies_that_are_refused(server: HttpServer, query: str) -> None:
    assert ask(server, f"/api/studies?{query}", bearer(Role.ADMINISTRATOR))[0] == 400


def test_held_and_audit(server: HttpServer) -> None:
    officer = bearer(Role.DATA_PROTECTION_OFFICER)
    assert json.loads(ask(server, "/api/held?limit=5&after=0", officer)[2]) == {"held": []}
    entries = json.loads(ask(server, "/api/audit?limit=1", officer)[2])["entries"]
    assert [(one["number"], one["action"], one["subject"], one["facts"]) for one in entries] == [
        (2, "key-changed", "chest", {"version": "1"})
    ]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=ten",
        "limit=-1",
        "limit=\N{SUPERSCRIPT TWO}",
        "limit=1&limit=2",
        "limits=5",  # misspelt
        "after=" + "9" * 30,
        "x=" + "y" * 3000,
    ],
)
def test_parameters_that_are_refused(server: HttpServer, query: str) -> None:
    from urllib.parse import quote

    path = f"/api/held?{quote(query, safe='=&')}"
    assert ask(server, path, bearer(Role.ADMINISTRATOR))[0] == 400


def test_a_ledger_that_fails_is_told_by_its_code(tmp_path: Path) -> None:
    broken = new_ledger(tmp_path / "ledger.sqlite3")
    with serving(broken, known=users()) as server:
        for path in tmp_path.iterdir():
            path.unlink()
        (tmp_path / "ledger.sqlite3").write_bytes(b"this is no database" * 100)
        broken.close()
        status, _, body = ask(server, "/api/status", bearer(Role.VIEWER))
        assert status == 503
        assert json.loads(body)["problem"] in ("ledger-damaged", "ledger-unavailable")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def test_p10_tls(ledger: Ledger, authority: Authority, capsys: pytest.CaptureFixture[str]) -> None:
    context = server_context(place="http.tls", certificate_file=authority.issue("gateway", names=["localhost"]).file)
    client = ssl.create_default_context(cafile=str(authority.file))
    with serving(ledger, known=users(), tls=context) as server:
        silent = socket.create_connection(("127.0.0.1", server.port), timeout=60)  # never begins its handshake
        try:
            assert ask(server, "/metrics", bearer(Role.VIEWER), tls=client)[0] == 200
            with socket.create_connection(("127.0.0.1", server.port), timeout=60) as plain:
                plain.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                assert b"figures" not in b"".join(iter(lambda: _received(plain), b""))
            with pytest.raises(ssl.SSLCertVerificationError):
                ask(server, "/healthz", tls=ssl.create_default_context())
            assert ask(server, "/healthz", tls=client)[0] == 200
        finally:
            silent.close()
    assert "tls-expected" in "".join(capsys.readouterr())


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(4096)
    except ConnectionResetError:
        return b""


def test_p7_a_client_that_trickles_loses_its_place(ledger: Ledger) -> None:
    refused: list[str] = []
    with serving(ledger, known=users(), request_seconds=0.5, refused=refused.append) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as slow:
            pause = threading.Event()
            for byte in b"GET /healthz HTTP/1.1" * 50:  # within the time-out between bytes, but never done
                try:
                    slow.sendall(bytes([byte]))
                except OSError:
                    break
                pause.wait(0.05)
            assert _received(slow) == b""
        assert refused == ["timeout"]
        assert ask(server, "/healthz")[0] == 200


def test_p7_a_handshake_that_does_not_end_loses_its_place(ledger: Ledger, authority: Authority) -> None:
    context = server_context(place="http.tls", certificate_file=authority.issue("slow", names=["localhost"]).file)
    refused: list[str] = []
    with (
        serving(ledger, known=users(), tls=context, request_seconds=0.5, refused=refused.append) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=60) as slow,
    ):
        slow.sendall(b"\x16\x03\x01")  # the beginning of a TLS record
        assert _received(slow) == b""
        assert refused == ["tls-timeout"]


def test_p7_who_has_its_answer_and_does_not_go_keeps_nobody_out(ledger: Ledger, authority: Authority) -> None:
    context = server_context(place="http.tls", certificate_file=authority.issue("stays", names=["localhost"]).file)
    trusting = ssl.create_default_context(cafile=str(authority.file))
    refused: list[str] = []
    with (
        ExitStack() as stack,
        serving(ledger, known=(), tls=context, clients=1, refused=refused.append) as server,
    ):
        # One place, and 64 for those who leave.
        for _ in range(70):
            plain = socket.create_connection(("localhost", server.port), timeout=60)
            client = stack.enter_context(trusting.wrap_socket(plain, server_hostname="localhost"))
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            # It has been told that the connection ends, and does not agree.
            assert b" 200 " in b"".join(iter(partial(client.recv, 4096), b""))
    assert refused == []
