"""Who may send (promise P10)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from gateway.association.acceptor import Standing
from gateway.association.refusal import Refusal
from gateway.association.tls import PeerCertificate
from gateway.errors import ConfigurationError
from gateway.spool.record import SOURCE_BYTES

Network: TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"

#: Name of the source of every association when the configuration names no sources.
ANY_SOURCE: Final = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRule:
    """What a certificate must say. What is empty is not asked for.

    Attributes
    ----------
    subjects
        distinguished names in the form of ``gateway.association.tls.normal_subject``
    names
        subject alternative names in the form of ``gateway.association.tls.normal_name``
    fingerprints
        SHA-256, 64 lower-case hexadecimal digits
    """

    subjects: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    fingerprints: frozenset[str] = frozenset()

    def accepts(self, certificate: PeerCertificate | None) -> bool:
        """Whether a certificate is one that is meant."""
        return (
            certificate is not None
            and (not self.subjects or certificate.subject in self.subjects)
            and (not self.names or not self.names.isdisjoint(certificate.names))
            and (not self.fingerprints or certificate.fingerprint in self.fingerprints)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A peer that may send. What is empty is not asked for.

    Attributes
    ----------
    name
        at most 64 bytes of UTF-8
    calling_ae
        its own AE titles
    called_ae
        the titles by which it may call the gateway
    addresses
        networks that it connects from
    certificate
        what the certificate that it shows must say; None asks for none
    max_associations
        at the same time; None for no limit of its own

    Raises
    ------
    ConfigurationError
        the name is empty or too long
    """

    name: str
    calling_ae: frozenset[str] = frozenset()
    called_ae: frozenset[str] = frozenset()
    addresses: tuple[Network, ...] = ()
    certificate: CertificateRule | None = None
    max_associations: int | None = None

    @property
    def is_told_apart(self) -> bool:
        """Whether it is told by more than titles, which everybody can claim."""
        return bool(self.addresses) or self.certificate is not None

    def __post_init__(self) -> None:
        if not 0 < len(self.name.encode()) <= SOURCE_BYTES:
            raise ConfigurationError(place="sources", problem=f"a name has 1 to {SOURCE_BYTES} bytes")


class AccessRules:
    """Finds the source of an association.

    Parameters
    ----------
    sources
        tried in order; if there are none, everybody is ``ANY_SOURCE``
    """

    def __init__(self, sources: Sequence[Source] = ()) -> None:
        self._sources = tuple(sources) or (Source(name=ANY_SOURCE),)

    def standing(self, address: str) -> Standing:
        """What the IP address of a peer alone tells."""
        peer = _parsed(address)
        if peer is not None and any(peer in network for source in self._sources for network in source.addresses):
            return Standing.KNOWN
        return Standing.POSSIBLE if any(not source.addresses for source in self._sources) else Standing.UNEXPECTED

    def match(
        self, *, calling_ae: str, called_ae: str, address: str, certificate: PeerCertificate | None = None
    ) -> Source | Refusal:
        """The first source that fits, or why none does.

        Parameters
        ----------
        calling_ae
            calling AE title without its padding
        called_ae
            called AE title without its padding
        address
            IP address of the peer
        certificate
            verified certificate of the peer, if it has shown one
        """
        peer = _parsed(address)
        if peer is None:
            return Refusal.ADDRESS
        known = [source for source in self._sources if not source.calling_ae or calling_ae in source.calling_ae]
        if not known:
            return Refusal.CALLING_AE
        near = [source for source in known if not source.addresses or any(peer in net for net in source.addresses)]
        if not near:
            return Refusal.ADDRESS
        proven = [source for source in near if source.certificate is None or source.certificate.accepts(certificate)]
        if not proven:
            return Refusal.CERTIFICATE
        for source in proven:
            if not source.called_ae or called_ae in source.called_ae:
                return source
        return Refusal.CALLED_AE


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        peer = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return peer.ipv4_mapped if isinstance(peer, ipaddress.IPv6Address) and peer.ipv4_mapped else peer
