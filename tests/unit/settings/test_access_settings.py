"""The settings of doors, sources and users, and what is said when they are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.association.tls import ClientCertificates
from gateway.errors import ConfigurationError
from gateway.receive import CertificateRule
from gateway.service.reception import receiver_settings, sources
from gateway.settings.accounts import Role
from gateway.settings.configuration import Settings, load_settings

TLS = "dicom: {tls: {certificate_file: g.pem, ca_file: ca.pem, client_certificates: optional}}\n"
HASH = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g"


def load(folder: Path, text: str, **environ: str) -> Settings:
    file = folder / "gateway.yaml"
    file.write_text(text)
    return load_settings(file, environ)


def test_p10_tls_closes_the_plain_door_unless_told_otherwise(tmp_path: Path) -> None:
    assert load(tmp_path, "{}").dicom.accepts_plain
    closed = load(tmp_path, TLS)
    assert not closed.dicom.accepts_plain
    assert closed.dicom.tls is not None
    assert closed.dicom.tls.port == 2762
    assert closed.dicom.tls.client_certificates is ClientCertificates.OPTIONAL
    both = load(tmp_path, TLS.replace("dicom: {", "dicom: {plain: true, "))
    assert both.dicom.accepts_plain
    assert any("unencrypted" in warning for warning in both.warnings())
    assert not any("unencrypted" in warning for warning in closed.warnings())


def test_sources_by_certificate(tmp_path: Path) -> None:
    text = (
        TLS
        + """
sources:
  pacs:
    certificate:
      subject: O=Hospital,CN=pacs1
      name: [PACS1.Hospital.Example, 10.1.2.3]
      fingerprint: "AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99"
"""
    )
    [source] = sources(load(tmp_path, text))
    assert source.certificate == CertificateRule(
        subjects=frozenset({"O=Hospital,CN=pacs1"}),
        names=frozenset({"pacs1.hospital.example", "10.1.2.3"}),
        fingerprints=frozenset({"aabbccddeeff00112233445566778899" * 2}),
    )


def test_users(tmp_path: Path) -> None:
    text = f"""
users:
  maria: {{role: data-protection-officer, password_hash: "{HASH}"}}
  tool: {{role: administrator, token_hash: "sha256:{"ab" * 32}"}}
  prometheus: {{role: viewer, token: "${{TOKEN}}"}}
"""
    settings = load(tmp_path, text, TOKEN="t" * 40)
    assert settings.users is not None
    users = {name: one.user(name) for name, one in settings.users.items()}
    assert users["maria"].role is Role.DATA_PROTECTION_OFFICER
    assert users["maria"].password_hash == HASH
    assert users["tool"].token_digest == "ab" * 32
    assert len(users["prometheus"].token_digest) == 64
    assert "t" * 40 not in repr(settings) + settings.model_dump_json()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dicom: {plain: false}\n", "plain: false needs tls"),
        ("dicom: {port: 2762, plain: true, tls: {certificate_file: g.pem}}\n", "a port of its own"),
        ("dicom: {tls: {}}\n", "certificate_file"),
        ("dicom: {tls: {certificate_file: g.pem, client_certificates: required}}\n", "go together"),
        ("dicom: {tls: {certificate_file: g.pem, ca_file: ca.pem}}\n", "go together"),
        ("dicom: {tls: {certificate_file: g.pem, key_password: hunter2}}\n", "does not stand in the file"),
        ("sources: {a: {certificate: {name: x}}}\n", "dicom.tls does not ask for certificates"),
        (TLS + "sources: {a: {certificate: {}}}\n", "needs subject, name or fingerprint"),
        (TLS + "sources: {a: {certificate: {subject: pacs1}}}\n", "RFC 4514"),
        (TLS + "sources: {a: {certificate: {name: '*.hospital.example'}}}\n", "without wildcards"),
        (TLS + "sources: {a: {certificate: {fingerprint: aabb}}}\n", "openssl x509"),
        (TLS + "sources: {a: {certificate: {name: [X.example, x.example]}}}\n", "twice"),
        ("users: {}\n", "users"),
        ("users: {a: {role: viewer}}\n", "one of password_hash, token_hash and token"),
        (f"users: {{a: {{role: viewer, password_hash: '{HASH}', token_hash: 'sha256:{'0' * 64}'}}}}\n", "one of"),
        ("users: {a: {role: king, token: '${TOKEN}'}}\n", "role"),
        ("users: {a: {role: viewer, token: secret}}\n", "does not stand in the file"),
        ("users: {a: {role: viewer, token: '${SHORT}'}}\n", "at least 32"),
        ("users: {a: {role: viewer, password_hash: secret}}\n", "gateway access hash"),
        (
            TLS + "destinations: {d: {type: dicom, host: h, called_ae: A, commitment: {port: 2762}}}\n",
            "something else of the gateway listens on 2762",
        ),
    ],
)
def test_p10_wrong_doors_are_told(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text, TOKEN="t" * 40, SHORT="short")
    assert message in caught.value.message
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize(
    ("http", "warned"),
    [
        ("{host: 0.0.0.0}", True),  # a token in clear over the network
        ("{host: 127.0.0.1}", False),
        ("{host: 0.0.0.0, tls: {certificate_file: g.pem}}", False),
    ],
)
def test_tokens_in_clear_are_warned_of(tmp_path: Path, http: str, warned: bool) -> None:
    settings = load(tmp_path, f"http: {http}\nusers: {{a: {{role: viewer, token: '${{T}}'}}}}\n", T="t" * 40)
    assert any(warning.startswith("http.tls") for warning in settings.warnings()) is warned


def test_a_gateway_without_users_is_warned_of(tmp_path: Path) -> None:
    assert any(warning.startswith("users:") for warning in load(tmp_path, "{}").warnings())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dicom: {max_associations: 4, reserved_associations: 4}\n", "reserved_associations: less than"),
        ("dicom: {max_associations: 4, max_associations_per_address: 5}\n", "max_associations_per_address: at most"),
        ("dicom: {max_pending: 4}\n", "max_pending_per_address: at most"),
        ("dicom: {association_timeout_seconds: 0}\n", "association_timeout_seconds"),
        ("sources: {pacs: {calling_ae: PACS, max_associations: 0}}\n", "max_associations"),
        ("http: {max_connections: 1}\n", "max_connections"),
        ("http: {trusted_proxies: [everybody]}\n", "trusted_proxies"),
    ],
)
def test_limits_that_agree_with_nothing(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        load(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "total", "reserved", "per_address"),
    [
        ("{}", 64, 0, 32),  # nobody is known: nothing is reserved
        ("dicom: {max_associations: 1}", 1, 0, 1),
        ("dicom: {max_associations: 8}\nsources: {a: {calling_ae: A}}", 8, 0, 4),
        ("dicom: {max_associations: 8}\nsources: {a: {calling_ae: A}, b: {addresses: 10.0.0.0/8}}", 8, 2, 4),
        (("dicom: {max_associations: 8, reserved_associations: 0, max_associations_per_address: 8}\n"
         "sources: {b: {addresses: 10.0.0.0/8}}"), 8, 0, 8),
    ],
)  # fmt: skip
def test_shares_follow_the_number_of_associations(
    tmp_path: Path, text: str, total: int, reserved: int, per_address: int
) -> None:
    capacity = receiver_settings(load(tmp_path, text)).capacity
    assert (capacity.associations, capacity.reserved, capacity.per_address) == (total, reserved, per_address)


@pytest.mark.parametrize("name", ["max_associations", "max-associations"])
def test_the_limit_of_a_source(tmp_path: Path, name: str) -> None:
    settings = load(tmp_path, f"sources: {{pacs: {{calling_ae: PACS, {name}: 3}}}}")
    assert [source.max_associations for source in sources(settings)] == [3]
