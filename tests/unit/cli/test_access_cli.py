"""``gateway access``, and ``gateway health`` over TLS."""

from __future__ import annotations

from pathlib import Path

import pytest
from argon2 import PasswordHasher
from typer.testing import CliRunner

from gateway.association.listener import open_port
from gateway.association.tls import server_context
from gateway.cli.access import access
from gateway.cli.health import NotRunning, health
from gateway.console.http_server import HttpServer
from gateway.console.protection import Protection
from gateway.errors import ConfigurationError
from gateway.service.health import Health
from gateway.settings.accounts import checked_token_hash, token_digest
from tests.fixtures.authority import Authority

PASSWORD = "correct horse battery"


def test_a_password_is_read_from_standard_input() -> None:
    done = CliRunner().invoke(access, ["hash"], input=f"{PASSWORD}\n")
    assert done.exit_code == 0
    assert PasswordHasher().verify(done.stdout.strip(), PASSWORD)
    assert PASSWORD not in done.output


def test_p9_a_password_is_no_argument() -> None:
    assert CliRunner().invoke(access, ["hash", PASSWORD]).exit_code == 2


def test_a_short_password_is_refused_and_not_repeated() -> None:
    done = CliRunner().invoke(access, ["hash"], input="secret\n")
    assert isinstance(done.exception, ConfigurationError)
    assert "at least 12" in done.exception.message
    assert "secret" not in done.exception.message


def test_a_token_comes_with_its_hash() -> None:
    token, hashed = CliRunner().invoke(access, ["token"]).stdout.split()
    assert checked_token_hash(hashed) == f"sha256:{token_digest(token)}"


def test_keys_need_a_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_DATA", str(tmp_path))
    monkeypatch.delenv("GATEWAY_CONFIG", raising=False)
    done = CliRunner().invoke(access, ["keys"])
    assert isinstance(done.exception, ConfigurationError)
    assert list(tmp_path.iterdir()) == []


def test_health_over_tls_trusts_the_gateways_own_certificate_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    authority = Authority(tmp_path / "authority")
    own, other = authority.issue("own", names=["elsewhere.example"]), authority.issue("other")
    context = server_context(place="x", certificate_file=own.file)
    server = HttpServer(
        open_port("127.0.0.1", 0, place="http"),
        metrics=lambda: b"",
        alive=Health,
        ready=Health,
        protection=Protection(tls=context),
    )
    server.start()
    try:
        for issued, fine in ((own, True), (other, False)):
            file = tmp_path / "gateway.yaml"
            file.write_text(f"http: {{port: {server.port}, tls: {{certificate_file: {issued.file}}}}}\n")
            if fine:
                health(file)
                assert capsys.readouterr().out == "ready\n"
            else:
                with pytest.raises(NotRunning, match="SSLCertVerificationError"):
                    health(file)
    finally:
        server.stop()
