"""Messages by webhook and by e-mail, to real servers on the loopback: taken, refused, never with more than is meant."""

from __future__ import annotations

import hashlib
import hmac
import json
import ssl
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import ConfigurationError
from gateway.ledger.tally import Tally
from gateway.notify import Message, NotifyFailed, build_notifier
from gateway.notify.message_codes import REASONS
from gateway.settings.configuration import load_settings
from gateway.settings.notification_settings import Event, Notification
from tests.fixtures.authority import Authority
from tests.fixtures.ports import free_port
from tests.unit.notify.servers import PASSWORD, mail_server, web_server

SECRET = "a-secret-that-nobody-guesses-0123456789"
AT = datetime(2026, 12, 1, 10, 5, tzinfo=UTC)
ENVIRON = {"HOOK_SECRET": SECRET, "MAIL_PASSWORD": PASSWORD, "WRONG": "wrong-" + PASSWORD}


def message() -> Message:
    tally = Tally()
    for number in range(37):
        code = "leak-suspected" if number % 4 == 0 else "burned-in-text-suspected"
        tally.add(at=AT, code=code, series=f"s{number % 3}", instance=number)
    return Message.of(tally, id="desk/held/chest/4-1", event=Event.HELD, project="chest", more=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def context(authority: Authority) -> ssl.SSLContext:
    issued = authority.issue("localhost", names=["localhost"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.file)
    return context


def settings_of(folder: Path, text: str) -> Notification:
    """The settings of one notification, as gateway.yaml has them."""
    path = folder / "gateway.yaml"
    path.write_text(f"projects: {{chest: {{}}}}\nnotifications:\n  desk: {text}\n")
    found = load_settings(path, {"GATEWAY_DATA": str(folder / "data"), **ENVIRON}).notifications
    assert found is not None
    return found["desk"]


def hook(folder: Path, url: str, more: str = "") -> Notification:
    return settings_of(folder, f'{{type: webhook, url: "{url}", secret: "${{HOOK_SECRET}}"{more}}}')


def mail(folder: Path, port: int, more: str) -> Notification:
    addresses = "sender: gateway@hospital.example, to: [one@hospital.example, two@hospital.example]"
    return settings_of(folder, f"{{type: smtp, host: localhost, port: {port}, {addresses}, {more}}}")


def test_a_webhook_is_signed_over_what_is_sent(tmp_path: Path) -> None:
    with web_server() as server:
        build_notifier("desk", hook(tmp_path, server.url)).send(message())
    ((path, headers, body),) = server.posts
    assert path == "/hook"
    moment = headers["X-Gateway-Timestamp"]
    assert abs(int(moment) - datetime.now(UTC).timestamp()) < 60
    signed = hmac.new(SECRET.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    assert headers["X-Gateway-Signature"] == f"sha256={signed}"
    assert headers["X-Gateway-Id"] == "desk/held/chest/4-1"
    assert json.loads(body) == {
        "id": "desk/held/chest/4-1",
        "event": "held",
        "project": "chest",
        "count": 37,
        "since": "2026-12-01T10:05:00.000000+00:00",
        "until": "2026-12-01T10:05:00.000000+00:00",
        "text": "37 more instances of 3 series held in project chest since 2026-12-01 10:05 UTC: "
        "burned-in-text-suspected 27, leak-suspected 10.",
        "action": "See `gateway held list`.",
        "codes": {"burned-in-text-suspected": 27, "leak-suspected": 10},
        "destinations": {},
        "series": 3,
        "instances": list(range(37)),
    }


def test_a_webhook_by_tls_takes_no_other_authority(
    tmp_path: Path, authority: Authority, context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web_server(context) as server:
        build_notifier("desk", hook(tmp_path, server.url, f", ca_file: {authority.file}")).send(message())
        assert len(server.posts) == 1
        # Neither the system's authorities nor those that the environment names.
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.file))
        with pytest.raises(NotifyFailed) as caught:
            build_notifier("desk", hook(tmp_path, server.url)).send(message())
        assert caught.value.facts["reason_code"] == "tls"
        assert len(server.posts) == 1


def test_a_webhook_uses_no_proxy_and_no_credentials_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine localhost login root password hunter2\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with web_server() as proxy, web_server() as server:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        build_notifier("desk", hook(tmp_path, server.url)).send(message())
        assert (len(server.posts), len(proxy.posts)) == (1, 0)
        assert "Authorization" not in server.posts[0][1]


@pytest.mark.parametrize(
    ("status", "code"),
    [(302, "redirect"), (308, "redirect"), (401, "credentials"), (403, "credentials"), (429, "busy"), (503, "busy"),
     (400, "refused"), (404, "refused"), (500, "refused")],
)  # fmt: skip
def test_what_a_webhook_answers(tmp_path: Path, status: int, code: str) -> None:
    with web_server() as elsewhere, web_server() as server:
        server.status, server.headers = status, {"Location": elsewhere.url}
        with pytest.raises(NotifyFailed) as caught:
            build_notifier("desk", hook(tmp_path, server.url)).send(message())
        assert caught.value.facts["reason_code"] == code
        assert code in REASONS
        assert str(status) in caught.value.message
        assert elsewhere.posts == []


def test_an_answer_without_an_end_is_not_read(tmp_path: Path) -> None:
    with web_server() as server:
        server.status, server.endless = 200, True
        build_notifier("desk", hook(tmp_path, server.url)).send(message())


def test_a_webhook_that_does_not_answer(tmp_path: Path) -> None:
    with pytest.raises(NotifyFailed) as caught:
        build_notifier("desk", hook(tmp_path, f"http://127.0.0.1:{free_port()}")).send(message())
    assert caught.value.facts["reason_code"] == "unreachable"
    with web_server() as server:
        server.gate.clear()
        with pytest.raises(NotifyFailed) as caught:
            build_notifier("desk", hook(tmp_path, server.url, ", timeout_seconds: 0.2")).send(message())
        assert caught.value.facts["reason_code"] == "timeout"


LOGIN = 'username: gateway, password: "${MAIL_PASSWORD}"'


@pytest.mark.parametrize("security", ["starttls", "tls", "none"])
def test_mail_is_sent_encrypted_as_it_is_configured(
    tmp_path: Path, authority: Authority, context: ssl.SSLContext, security: str
) -> None:
    secured = security != "none"
    with mail_server(context if secured else None, implicit=security == "tls") as server:
        login = f", {LOGIN}, ca_file: {authority.file}" if secured else ""
        notifier = build_notifier("desk", mail(tmp_path, server.port, f"security: {security}{login}"))
        notifier.send(message())
        notifier.send(message())
    assert server.encrypted is secured
    (sender, recipients, found), (_, _, again) = server.mails
    assert (sender, recipients) == ("gateway@hospital.example", ["one@hospital.example", "two@hospital.example"])
    assert str(found["Subject"]).startswith(
        "[gateway] held (chest): 37 more instances of 3 series held in project chest"
    )
    assert found["Auto-Submitted"] == "auto-generated"
    text = str(found.get_content())  # type: ignore[attr-defined]  # of an EmailMessage
    assert "burned-in-text-suspected 27" in text
    assert "See `gateway held list`." in text
    # Sent again, it is the same mail.
    assert found["Message-ID"] == again["Message-ID"]


def answering(context: ssl.SSLContext | None, verb: str, answer: str) -> AbstractContextManager[Any]:
    return mail_server(context, answer={verb: answer})


#: What the server does, how the message is sent, and the code of the failure.
FAILING: list[tuple[str, Callable[[ssl.SSLContext], AbstractContextManager[Any]], str, str]] = [
    ("no TLS is offered", lambda _: mail_server(), "security: starttls", "no-encryption"),
    ("another authority", mail_server, "security: starttls", "tls"),
    ("plain where TLS is meant", lambda _: mail_server(), "security: tls", "tls"),
    ("wrong password", mail_server, 'security: starttls, CA, username: gateway, password: "${WRONG}"', "credentials"),
    ("no recipient", lambda c: mail_server(c, refuse={"one@hospital.example", "two@hospital.example"}),
     "security: starttls, CA", "refused"),
    ("sender refused", lambda c: answering(c, "MAIL", "550 no"), "security: starttls, CA", "refused"),
    ("busy", lambda c: answering(c, "MAIL", "451 later"), "security: starttls, CA", "busy"),
    ("busy from the first word", lambda c: answering(c, "HELLO", "421 later"), "security: starttls, CA", "busy"),
    ("no mail server", lambda c: answering(c, "HELLO", "DOE^JOHN"), "security: starttls, CA", "protocol"),
    ("silence", lambda c: mail_server(c, silent=True), "security: starttls, CA, timeout_seconds: 0.2", "timeout"),
]  # fmt: skip


@pytest.mark.parametrize(("serve", "how", "code"), [row[1:] for row in FAILING], ids=[row[0] for row in FAILING])
def test_a_mail_that_is_not_taken(
    tmp_path: Path,
    authority: Authority,
    context: ssl.SSLContext,
    serve: Callable[[ssl.SSLContext], AbstractContextManager[Any]],
    how: str,
    code: str,
) -> None:
    with serve(context) as server:
        settings = mail(tmp_path, server.port, how.replace("CA", f"ca_file: {authority.file}"))
        with pytest.raises(NotifyFailed) as caught:
            build_notifier("desk", settings).send(message())
        assert server.mails == []
    assert caught.value.facts["reason_code"] == code
    assert code in REASONS
    # Nothing of what the server says, which may quote a password.
    assert PASSWORD not in caught.value.message
    assert "DOE" not in caught.value.message


def test_one_recipient_that_is_refused_keeps_no_other_waiting(
    tmp_path: Path, authority: Authority, context: ssl.SSLContext
) -> None:
    with mail_server(context, refuse={"one@hospital.example"}) as server:
        build_notifier("desk", mail(tmp_path, server.port, f"ca_file: {authority.file}")).send(message())
        ((_, recipients, _),) = server.mails
        assert recipients == ["two@hospital.example"]


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(NotifyFailed) as caught:
        build_notifier("desk", mail(tmp_path, free_port(), "security: starttls")).send(message())
    assert caught.value.facts["reason_code"] == "unreachable"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{type: webhook, url: 'https://x.example'}", "secret"),
        ("{type: webhook, url: 'https://u:p@x.example', secret: '${HOOK_SECRET}'}", "no credentials"),
        ("{type: webhook, url: 'ftp://x.example', secret: '${HOOK_SECRET}'}", "http"),
        ("{type: webhook, url: 'https://x.example', secret: '${HOOK_SECRET}', events: [hold]}", "held"),
        ("{type: webhook, url: 'https://x.example', secret: '${HOOK_SECRET}', projects: [lungs]}", "no project"),
        ("{type: smtp, host: x, sender: a@b.example, to: []}", "at least one"),
        ('{type: smtp, host: x, sender: a@b.example, to: ["a@b.example\\nBcc: c@d.example"]}', "name@host"),
        ('{type: smtp, host: x, sender: "A <a@b.example>", to: c@d.example}', "name@host"),
        ("{type: smtp, host: x, sender: a@b.example, to: c@d.example, username: u}", "go together"),
        (
            "{type: smtp, host: x, sender: a@b.example, to: c@d.example, security: none, username: u, PASS}",
            "unencrypted",
        ),
    ],
)
def test_settings_that_are_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as caught:
        settings_of(tmp_path, text.replace("PASS", "password: '${MAIL_PASSWORD}'"))
    assert "gateway.yaml" in caught.value.message


def test_secrets_from_files_are_for_the_service_account_alone(tmp_path: Path) -> None:
    path = tmp_path / "hook.key"
    path.write_text(SECRET + "\n")
    path.chmod(0o644)
    settings = settings_of(tmp_path, f"{{type: webhook, url: 'http://x.example', secret_file: {path}}}")
    with pytest.raises(ConfigurationError, match="0644"):
        build_notifier("desk", settings)
    path.chmod(0o600)
    with web_server() as server:
        build_notifier(
            "desk", settings_of(tmp_path, f"{{type: webhook, url: '{server.url}', secret_file: {path}}}")
        ).send(message())
        moment, body = server.posts[0][1]["X-Gateway-Timestamp"], server.posts[0][2]
        signed = hmac.new(SECRET.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
        assert server.posts[0][1]["X-Gateway-Signature"] == f"sha256={signed}"
    path.write_text("short")
    with pytest.raises(ConfigurationError, match="at least 32"):
        build_notifier("desk", settings)
