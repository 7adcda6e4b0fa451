"""Who may send."""

import ipaddress

import pytest

from gateway.association.acceptor import Standing
from gateway.association.refusal import Refusal
from gateway.association.tls import PeerCertificate
from gateway.errors import ConfigurationError
from gateway.receive.access import ANY_SOURCE, AccessRules, CertificateRule, Source


def networks(*texts: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


RULES = AccessRules(
    [
        Source(
            name="ct",
            calling_ae=frozenset({"CT1", "CT2"}),
            called_ae=frozenset({"RESEARCH"}),
            addresses=networks("192.0.2.0/28", "2001:db8::/64"),
        ),
        Source(name="ct-elsewhere", calling_ae=frozenset({"CT2"}), addresses=networks("198.51.100.7")),
        Source(name="archive", calling_ae=frozenset({"PACS"})),
    ]
)


@pytest.mark.parametrize(
    ("calling", "called", "address", "expected"),
    [
        ("CT1", "RESEARCH", "192.0.2.3", "ct"),
        ("CT1", "RESEARCH", "2001:db8::9", "ct"),
        ("CT1", "RESEARCH", "::ffff:192.0.2.3", "ct"),  # IPv4 on a socket for both
        ("CT2", "RESEARCH", "192.0.2.3", "ct"),
        ("CT2", "ANYTHING", "198.51.100.7", "ct-elsewhere"),  # the second source with that title
        ("PACS", "ANYTHING", "203.0.113.1", "archive"),  # asks for nothing but the title
        ("CT9", "RESEARCH", "192.0.2.3", Refusal.CALLING_AE),
        ("ct1", "RESEARCH", "192.0.2.3", Refusal.CALLING_AE),  # titles are case-sensitive (PS3.8 9.3.2)
        ("", "RESEARCH", "192.0.2.3", Refusal.CALLING_AE),
        ("CT1", "RESEARCH", "192.0.2.16", Refusal.ADDRESS),
        ("CT1", "RESEARCH", "2001:db8:1::1", Refusal.ADDRESS),
        ("CT1", "RESEARCH", "not an address", Refusal.ADDRESS),
        ("CT1", "OTHER", "192.0.2.3", Refusal.CALLED_AE),
        ("CT1", "", "192.0.2.3", Refusal.CALLED_AE),
    ],
)
def test_p10_sources(calling: str, called: str, address: str, expected: str | Refusal) -> None:
    found = RULES.match(calling_ae=calling, called_ae=called, address=address)
    assert (found.name if isinstance(found, Source) else found) == expected


def test_without_sources_everybody_is_any() -> None:
    found = AccessRules().match(calling_ae="X", called_ae="Y", address="203.0.113.1")
    assert isinstance(found, Source)
    assert found.name == ANY_SOURCE


@pytest.mark.parametrize("name", ["", "x" * 65, "é" * 33])
def test_a_name_must_fit_the_spool_record(name: str) -> None:
    with pytest.raises(ConfigurationError):
        Source(name=name)


SHOWN = PeerCertificate(subject="CN=ct1", names=frozenset({"ct1.example"}), fingerprint="ab" * 32)


@pytest.mark.parametrize(
    ("rule", "accepted"),
    [
        (CertificateRule(), True),  # any
        (CertificateRule(subjects=frozenset({"CN=ct1", "CN=ct2"})), True),
        (CertificateRule(subjects=frozenset({"CN=ct2"})), False),
        (CertificateRule(names=frozenset({"ct1.example", "ct2.example"})), True),
        (CertificateRule(names=frozenset({"ct2.example"})), False),
        (CertificateRule(fingerprints=frozenset({"ab" * 32})), True),
        (CertificateRule(fingerprints=frozenset({"cd" * 32})), False),
        # all that is asked for has to fit
        (CertificateRule(subjects=frozenset({"CN=ct1"}), names=frozenset({"ct2.example"})), False),
        (CertificateRule(names=frozenset({"ct1.example"}), fingerprints=frozenset({"cd" * 32})), False),
        (CertificateRule(subjects=frozenset({"CN=ct1"}), names=frozenset({"ct1.example"}),
                         fingerprints=frozenset({"ab" * 32})), True),
    ],
)  # fmt: skip
def test_what_a_certificate_must_say(rule: CertificateRule, *, accepted: bool) -> None:
    assert rule.accepts(SHOWN) is accepted
    assert not rule.accepts(None)


@pytest.mark.parametrize(
    ("rules", "address", "standing"),
    [
        (RULES, "192.0.2.3", Standing.KNOWN),
        (RULES, "203.0.113.1", Standing.POSSIBLE),  # one source asks for no address
        (RULES, "no address", Standing.POSSIBLE),
        (AccessRules([Source(name="ct", addresses=networks("192.0.2.0/28"))]), "203.0.113.1", Standing.UNEXPECTED),
        (AccessRules(), "203.0.113.1", Standing.POSSIBLE),  # everybody may send
    ],
)
def test_what_an_address_alone_tells(rules: AccessRules, address: str, standing: Standing) -> None:
    assert rules.standing(address) is standing


@pytest.mark.parametrize(
    ("name", "fits"), [("", False), ("a", True), ("a" * 64, True), ("a" * 65, False), ("ñ" * 33, False)]
)
def test_names_of_sources_fit_into_a_record(name: str, *, fits: bool) -> None:
    if fits:
        assert Source(name=name).name == name
        return
    with pytest.raises(ConfigurationError, match="1 to 64 bytes"):
        Source(name=name)
